import pytest

from chalicelib.settings import (
    SettingError,
    read_cognito_settings,
    read_log_level,
    read_rate_limits,
    read_settings,
)

TABLES = {"SESSIONS_TABLE": "s", "CONNECTIONS_TABLE": "c", "OUTCOME_FUNCTION": "f"}
LIMITS = {"RATE_LIMITS_TABLE": "r", "HASH_KEY": "secret"}
POOL = {"COGNITO_USER_POOL_ID": "eu-west-1_Abc", "COGNITO_CLIENT_ID": "client"}


@pytest.mark.parametrize("name", TABLES)
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(SettingError, match=name):
        read_settings({key: value for key, value in TABLES.items() if key != name})


@pytest.mark.parametrize("name", POOL)
def test_a_missing_pool_or_client_is_named(name: str) -> None:
    with pytest.raises(SettingError, match=name):
        read_cognito_settings({key: value for key, value in POOL.items() if key != name})


@pytest.mark.parametrize("name", LIMITS)
def test_what_counting_cannot_do_without_is_named(name: str) -> None:
    with pytest.raises(SettingError, match=name):
        read_rate_limits({key: value for key, value in LIMITS.items() if key != name})


RATES = {
    "RATE_LIMIT_SESSIONS_PER_HOUR": ("sessions_per_hour", 50),
    "RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN": ("refused_attempts_per_minute", 20),
    "RATE_LIMIT_LISTENER_JOINS_PER_MIN": ("listener_joins_per_minute", 100),
    "RATE_LIMIT_INVITED_JOINS_PER_MIN": ("invited_joins_per_minute", 1000),
    "RATE_LIMIT_CONNECTIONS_PER_MIN": ("connections_per_minute", 3000),
    "RATE_LIMIT_HEARTBEATS_PER_MIN": ("heartbeats_per_minute", 2),
}


@pytest.mark.parametrize("value", ["many", "0", "-1", "2.5", "nan"])
@pytest.mark.parametrize("name", RATES)
def test_a_rate_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        read_rate_limits({**LIMITS, name: value})


@pytest.mark.parametrize(
    "name",
    [
        "CONNECTION_REFRESH_MINUTES",
        "CONNECTION_WARNING_MINUTES",
        "SPEAKER_GRACE_SECONDS",
        "SPEAKER_CLOSE_GRACE_SECONDS",
    ],
)
@pytest.mark.parametrize("value", ["soon", "0", "-0.5", "inf"])
def test_a_time_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        read_settings({**TABLES, name: value})


@pytest.mark.parametrize(("name", "field", "default"), [(k, *v) for k, v in RATES.items()])
def test_a_rate_has_the_protocols_default_and_can_be_set(
    name: str, field: str, default: int
) -> None:
    assert getattr(read_rate_limits(LIMITS), field) == default
    assert getattr(read_rate_limits({**LIMITS, name: "7"}), field) == 7


def test_the_hash_key_is_what_the_environment_says() -> None:
    limits = read_rate_limits(LIMITS)
    assert (limits.table, limits.hash_key) == ("r", b"secret")


@pytest.mark.parametrize("value", ["many", "0", "-1", "2.5", "nan", "inf"])
def test_a_number_that_makes_no_sense_is_named(value: str) -> None:
    with pytest.raises(SettingError, match="MAX_LISTENERS_PER_SESSION"):
        read_settings({**TABLES, "MAX_LISTENERS_PER_SESSION": value})


def test_an_unknown_log_level_is_named() -> None:
    with pytest.raises(SettingError, match="LOG_LEVEL"):
        read_log_level({"LOG_LEVEL": "LOUD"})


def test_limits_have_the_protocols_defaults() -> None:
    settings = read_settings(TABLES)
    assert settings.max_listeners == 500
    assert settings.max_refused_commands == 20
    assert settings.heartbeat_interval_seconds == 30
    assert settings.heartbeat_settled_seconds == 90
    assert settings.heartbeat_timeout_seconds == 90
    assert settings.session_max_duration_seconds == 7200
    assert settings.refresh_after_seconds == 6000
    assert settings.warn_after_seconds == 6300
    assert settings.speaker_grace_seconds == 60
    assert settings.speaker_close_grace_seconds == 5


def test_times_may_have_fractions() -> None:
    times = {
        "CONNECTION_REFRESH_MINUTES": "0.5",
        "CONNECTION_WARNING_MINUTES": "0.75",
        "SPEAKER_GRACE_SECONDS": "1.5",
    }
    settings = read_settings({**TABLES, **times})
    assert settings.refresh_after_seconds == 30
    assert settings.warn_after_seconds == 45
    assert settings.speaker_grace_seconds == 1.5


def test_limits_can_be_set() -> None:
    settings = read_settings(
        {**TABLES, "MAX_LISTENERS_PER_SESSION": "3", "SESSION_MAX_DURATION_HOURS": "0.5"}
    )
    assert settings.max_listeners == 3
    assert settings.session_max_duration_seconds == 1800


def test_the_key_set_is_cognitos_own_on_aws() -> None:
    settings = read_cognito_settings(POOL)
    assert settings.issuer == "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Abc"
    assert settings.key_set_url == f"{settings.issuer}/.well-known/jwks.json"


def test_the_key_set_is_fetched_from_the_endpoint_that_the_environment_names() -> None:
    settings = read_cognito_settings({**POOL, "AWS_ENDPOINT_URL": "http://127.0.0.1:4566/"})
    assert settings.issuer == "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Abc"
    assert settings.key_set_url == "http://127.0.0.1:4566/eu-west-1_Abc/.well-known/jwks.json"


def test_connections_are_where_the_stack_says_on_aws() -> None:
    settings = read_settings({**TABLES, "CONNECTIONS_URL": "https://api/dev"})
    assert (settings.connections_url, settings.emulator_url) == ("https://api/dev", None)


def test_the_stacks_word_on_connections_does_not_lead_out_of_an_emulator() -> None:
    environment = {"CONNECTIONS_URL": "https://api/dev", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    settings = read_settings({**TABLES, **environment})
    assert (settings.connections_url, settings.emulator_url) == (None, "http://127.0.0.1:1")
    assert settings.api_url == "https://api/dev"


def test_boto3s_own_name_for_the_connections_endpoint_comes_first() -> None:
    own = {"AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": "http://127.0.0.1:2/local"}
    settings = read_settings({**TABLES, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", **own})
    assert settings.connections_url == "http://127.0.0.1:2/local"
