import pytest

from chalicelib.settings import (
    SettingError,
    read_cognito_settings,
    read_log_level,
    read_settings,
)

TABLES = {"SESSIONS_TABLE": "s", "CONNECTIONS_TABLE": "c", "OUTCOME_FUNCTION": "f"}
POOL = {"COGNITO_USER_POOL_ID": "eu-west-1_Abc", "COGNITO_CLIENT_ID": "client"}


@pytest.mark.parametrize("name", TABLES)
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(SettingError, match=name):
        read_settings({key: value for key, value in TABLES.items() if key != name})


@pytest.mark.parametrize("name", POOL)
def test_a_missing_pool_or_client_is_named(name: str) -> None:
    with pytest.raises(SettingError, match=name):
        read_cognito_settings({key: value for key, value in POOL.items() if key != name})


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
    assert settings.heartbeat_interval_seconds == 30
    assert settings.session_max_duration_seconds == 7200


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


def test_boto3s_own_name_for_the_connections_endpoint_comes_first() -> None:
    own = {"AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": "http://127.0.0.1:2/local"}
    settings = read_settings({**TABLES, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", **own})
    assert settings.connections_url == "http://127.0.0.1:2/local"
