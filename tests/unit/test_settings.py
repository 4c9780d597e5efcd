"""Settings: defaults, limits and errors that name the variable."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from chalicelib.aws.signing import Credentials
from chalicelib.environment import (
    LOCAL_CONNECTIONS_URL,
    SettingError,
    find_handler,
    is_local_server,
    read_credentials,
    read_log_level,
    read_region,
)
from chalicelib.setting_names import NUMBERS, SPEECH, check_names
from chalicelib.settings import (
    check_all,
    check_on_aws,
    read_cognito_settings,
    read_rate_limits,
    read_settings,
)

TABLES = {
    "SESSIONS_TABLE": "s",
    "CONNECTIONS_TABLE": "c",
    "CAPTIONS_TABLE": "captions",
    "OUTCOME_FUNCTION": "f",
}
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
def test_a_missing_rate_limit_setting_is_named(name: str) -> None:
    with pytest.raises(SettingError, match=name):
        read_rate_limits({key: value for key, value in LIMITS.items() if key != name})


RATES = {
    "RATE_LIMIT_SESSIONS_PER_HOUR": ("sessions_per_hour", 50),
    "RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN": ("refused_attempts_per_minute", 20),
    "RATE_LIMIT_LISTENER_JOINS_PER_MIN": ("listener_joins_per_minute", 100),
    "RATE_LIMIT_INVITED_JOINS_PER_MIN": ("invited_joins_per_minute", 1000),
    "RATE_LIMIT_CONNECTIONS_PER_MIN": ("connections_per_minute", 3000),
}


@pytest.mark.parametrize("value", ["many", "0", "-1", "2.5", "nan", "1e300"])
@pytest.mark.parametrize("name", RATES)
def test_an_invalid_rate_is_named(name: str, value: str) -> None:
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
def test_an_invalid_time_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        read_settings({**TABLES, name: value})


@pytest.mark.parametrize(("name", "field", "default"), [(k, *v) for k, v in RATES.items()])
def test_a_rate_has_the_default_of_the_protocol_and_can_be_set(
    name: str, field: str, default: int
) -> None:
    assert getattr(read_rate_limits(LIMITS), field) == default
    assert getattr(read_rate_limits({**LIMITS, name: "7"}), field) == 7


@pytest.mark.parametrize(
    ("environment", "handler", "is_local"),
    [
        ({}, None, False),
        ({"_HANDLER": ""}, None, False),
        ({LOCAL_CONNECTIONS_URL: "http://127.0.0.1:8000/local"}, None, True),
        ({"_HANDLER": "app.sweep"}, "app.sweep", False),
        ({"_HANDLER": "app.sweep", LOCAL_CONNECTIONS_URL: "http://127.0.0.1"}, "app.sweep", False),
    ],
)
def test_the_process_is_the_local_server_only_without_a_handler(
    environment: dict[str, str], handler: str | None, is_local: bool
) -> None:
    assert find_handler(environment) == handler
    assert is_local_server(environment) is is_local


def test_credentials_come_from_the_environment() -> None:
    environment = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
    assert read_credentials(environment) == Credentials("id", "secret", None)
    environment["AWS_SESSION_TOKEN"] = "token"
    assert read_credentials(environment) == Credentials("id", "secret", "token")


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_missing_credential_is_named(name: str) -> None:
    environment = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", name: ""}
    with pytest.raises(SettingError, match=f"{name} is not set"):
        read_credentials(environment)


def test_a_missing_region_is_named() -> None:
    with pytest.raises(SettingError, match="AWS_REGION is not set"):
        read_region({})


def test_the_hash_key_comes_from_the_environment() -> None:
    limits = read_rate_limits(LIMITS)
    assert (limits.table, limits.hash_key) == ("r", b"secret")


@pytest.mark.parametrize("value", ["many", "0", "-1", "2.5", "nan", "inf", "10001"])
def test_an_invalid_number_is_named(value: str) -> None:
    with pytest.raises(SettingError, match="MAX_LISTENERS_PER_SESSION"):
        read_settings({**TABLES, "MAX_LISTENERS_PER_SESSION": value})


def test_a_session_may_have_ten_thousand_seats() -> None:
    settings = read_settings({**TABLES, "MAX_LISTENERS_PER_SESSION": "10000"})
    assert settings.limits.max_listeners == 10_000


def test_an_unknown_log_level_is_named() -> None:
    with pytest.raises(SettingError, match="LOG_LEVEL"):
        read_log_level({"LOG_LEVEL": "LOUD"})


def test_limits_have_the_protocols_defaults() -> None:
    settings = read_settings(TABLES)
    assert settings.limits.max_listeners == 500
    assert settings.limits.max_refused_commands == 20
    assert settings.limits.heartbeat_interval_seconds == 30
    assert settings.limits.heartbeat_settled_seconds == 90
    assert settings.limits.heartbeat_timeout_seconds == 90
    assert settings.limits.heartbeats_per_minute == 2
    assert settings.limits.session_max_duration_seconds == 7200
    assert settings.limits.refresh_after_seconds == 6000
    assert settings.limits.warn_after_seconds == 6300
    assert settings.limits.captions_per_minute == 60
    assert settings.captions_kept_seconds == 600
    assert settings.graces.lost_seconds == 60
    assert settings.graces.closed_seconds == 5


@pytest.mark.parametrize("value", ["many", "-1", "2.5", "nan", "inf"])
def test_an_invalid_time_of_captions_is_named(value: str) -> None:
    with pytest.raises(SettingError, match="CAPTIONS_KEPT_SECONDS"):
        read_settings({**TABLES, "CAPTIONS_KEPT_SECONDS": value})


@pytest.mark.parametrize("value", ["many", "0", "-1", "2.5"])
def test_an_invalid_limit_of_captions_is_named(value: str) -> None:
    with pytest.raises(SettingError, match="RATE_LIMIT_CAPTIONS_PER_MIN"):
        read_settings({**TABLES, "RATE_LIMIT_CAPTIONS_PER_MIN": value})


def test_a_negative_time_of_captions_is_refused_with_the_range() -> None:
    with pytest.raises(SettingError, match="must be 0 or greater and at most"):
        read_settings({**TABLES, "CAPTIONS_KEPT_SECONDS": "-1"})


def test_a_stage_can_keep_no_captions_and_limit_them() -> None:
    own = {"CAPTIONS_KEPT_SECONDS": "0", "RATE_LIMIT_CAPTIONS_PER_MIN": "7"}
    settings = read_settings({**TABLES, **own})
    assert settings.captions_kept_seconds == 0
    assert settings.limits.captions_per_minute == 7


@pytest.mark.parametrize(("value", "function"), [("", None), ("interpreter", "interpreter")])
def test_a_stage_can_have_no_pipeline(value: str, function: str | None) -> None:
    assert read_settings({**TABLES, "PIPELINE_FUNCTION": value}).pipeline_function == function
    assert read_settings(TABLES).pipeline_function is None


def test_times_may_have_fractions() -> None:
    times = {
        "CONNECTION_REFRESH_MINUTES": "0.5",
        "CONNECTION_WARNING_MINUTES": "0.75",
        "SPEAKER_GRACE_SECONDS": "1.5",
    }
    settings = read_settings({**TABLES, **times})
    assert settings.limits.refresh_after_seconds == 30
    assert settings.limits.warn_after_seconds == 45
    assert settings.graces.lost_seconds == 1.5


def test_limits_can_be_set() -> None:
    settings = read_settings(
        {**TABLES, "MAX_LISTENERS_PER_SESSION": "3", "SESSION_MAX_DURATION_HOURS": "0.5"}
    )
    assert settings.limits.max_listeners == 3
    assert settings.limits.session_max_duration_seconds == 1800


def test_on_aws_the_key_set_comes_from_cognito() -> None:
    settings = read_cognito_settings(POOL)
    assert settings.issuer == "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Abc"
    assert settings.key_set_url == f"{settings.issuer}/.well-known/jwks.json"


def test_the_key_set_comes_from_the_environments_endpoint() -> None:
    settings = read_cognito_settings({**POOL, "AWS_ENDPOINT_URL": "http://127.0.0.1:4566/"})
    assert settings.issuer == "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Abc"
    assert settings.key_set_url == "http://127.0.0.1:4566/eu-west-1_Abc/.well-known/jwks.json"


def test_on_aws_the_stack_sets_the_connections_url() -> None:
    settings = read_settings({**TABLES, "CONNECTIONS_URL": "https://api/dev"})
    assert (settings.connections_url, settings.emulator_url) == ("https://api/dev", None)


def test_an_emulator_ignores_the_stacks_connections_url() -> None:
    environment = {"CONNECTIONS_URL": "https://api/dev", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    settings = read_settings({**TABLES, **environment})
    assert (settings.connections_url, settings.emulator_url) == (None, "http://127.0.0.1:1")
    assert settings.api_url == "https://api/dev"


def test_boto3s_connections_endpoint_has_precedence() -> None:
    own = {"AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": "http://127.0.0.1:2/local"}
    settings = read_settings({**TABLES, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", **own})
    assert settings.connections_url == "http://127.0.0.1:2/local"


ALL = {**TABLES, **LIMITS, **POOL}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MAX_LISTENER_PER_SESSION", "MAX_LISTENERS_PER_SESSION"),
        ("MAX_LISTENERS", "MAX_LISTENERS_PER_SESSION"),
        ("max_listeners_per_session", "MAX_LISTENERS_PER_SESSION"),
        ("HEARTBEAT_TIMEOUT", "HEARTBEAT_TIMEOUT_SECONDS"),
        ("CONNECTION_REFRESH", "CONNECTION_REFRESH_MINUTES"),
        ("CONNECTION_WARN_MINUTES", "CONNECTION_WARNING_MINUTES"),
        ("SESSION_MAX_DURATION_MINUTES", "SESSION_MAX_DURATION_HOURS"),
        ("SPEAKER_GRACE", "SPEAKER_GRACE_SECONDS"),
        ("RATE_LIMIT_LISTENERS", "RATE_LIMIT_LISTENER_JOINS_PER_MIN"),
    ],
)
def test_a_misspelled_name_is_named_with_the_likely_setting(name: str, meant: str) -> None:
    with pytest.raises(SettingError, match=rf"^{name} is not a setting; did you mean {meant}\?$"):
        check_names({name: "3"})


@pytest.mark.parametrize(
    "name",
    [
        *(
            "SESSION_MANAGER",
            "SESSION_ID",
            "SESSION_TIMEOUT_SECONDS",
            "MAX_JOBS",
            "MAX_CONNECTIONS",
        ),
        *("CONNECTION_STRING", "CONNECTION_TIMEOUT_SECONDS", "DBUS_SESSION_BUS_ADDRESS"),
        *("SSH_CONNECTION", "LOGLEVEL", "LD_LIBRARY_PATH", "HASH", "STAGES", "XDG_SESSION_TYPE"),
        *("SESSIONS_TABLE", "CONNECTIONS_URL", "RATE_LIMITS_TABLE", "MAX", "SESSION"),
        *("SPEECH", "MEDIA_BUCKET", "MEDIA_URL", "MEDIA_ROOT"),
    ],
)
def test_variables_of_other_programs_are_ignored(name: str) -> None:
    check_names({name: "3"})


def test_a_misspelled_name_without_a_value_is_ignored() -> None:
    check_names({"MAX_LISTENER_PER_SESSION": ""})


class Recorder(Mapping[str, str]):
    """An environment that records which variables are read."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values
        self.read_names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read_names.add(name)
        return self.values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)


def test_every_numeric_setting_is_compared_with_unknown_names() -> None:
    environment = Recorder(ALL)
    check_all(environment)
    others = {*ALL, *SPEECH, "LOG_LEVEL", "CONNECTIONS_URL", "PIPELINE_FUNCTION"}
    numbers = {name for name in environment.read_names - others if not name.startswith("AWS_")}
    assert numbers == NUMBERS


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        (
            {"CONNECTION_REFRESH_MINUTES": "200"},
            "CONNECTION_REFRESH_MINUTES (200) must be less than CONNECTION_WARNING_MINUTES (105)",
        ),
        (
            {"CONNECTION_REFRESH_MINUTES": "105"},
            "CONNECTION_REFRESH_MINUTES (105) must be less than CONNECTION_WARNING_MINUTES (105)",
        ),
        (
            {"CONNECTION_WARNING_MINUTES": "120"},
            "CONNECTION_WARNING_MINUTES (120) must be less than 120, the lifetime of a connection",
        ),
        (
            {"HEARTBEAT_TIMEOUT_SECONDS": "89"},
            "HEARTBEAT_TIMEOUT_SECONDS (89) must be at least 3 times "
            "HEARTBEAT_INTERVAL_SECONDS (30)",
        ),
        (
            {"HEARTBEAT_SETTLED_SECONDS": "29"},
            "HEARTBEAT_SETTLED_SECONDS (29) must be at least HEARTBEAT_INTERVAL_SECONDS (30)",
        ),
        (
            {"HEARTBEAT_INTERVAL_SECONDS": "29"},
            "HEARTBEAT_INTERVAL_SECONDS (29) times RATE_LIMIT_HEARTBEATS_PER_MIN (2) must be at "
            "least 60, or heartbeats that the service asks for exceed the limit",
        ),
        (
            {"RATE_LIMIT_HEARTBEATS_PER_MIN": "1"},
            "HEARTBEAT_INTERVAL_SECONDS (30) times RATE_LIMIT_HEARTBEATS_PER_MIN (1) must be at "
            "least 60, or heartbeats that the service asks for exceed the limit",
        ),
        (
            {"SPEAKER_GRACE_SECONDS": "4", "SPEAKER_CLOSE_GRACE_SECONDS": "4.5"},
            "SPEAKER_CLOSE_GRACE_SECONDS (4.5) must be at most SPEAKER_GRACE_SECONDS (4)",
        ),
        (
            {"SESSION_MAX_DURATION_HOURS": "0.0001"},
            "SESSION_MAX_DURATION_HOURS must be at least a second",
        ),
    ],
)
def test_contradicting_settings_are_named(settings: dict[str, str], rule: str) -> None:
    with pytest.raises(SettingError) as refused:
        read_settings({**TABLES, **settings})
    assert str(refused.value) == rule


def test_boundary_values_do_not_contradict() -> None:
    read_settings(
        {
            **TABLES,
            "CONNECTION_REFRESH_MINUTES": "119.8",
            "CONNECTION_WARNING_MINUTES": "119.9",
            "HEARTBEAT_INTERVAL_SECONDS": "60",
            "HEARTBEAT_SETTLED_SECONDS": "60",
            "HEARTBEAT_TIMEOUT_SECONDS": "180",
            "RATE_LIMIT_HEARTBEATS_PER_MIN": "1",
            "SPEAKER_GRACE_SECONDS": "4",
            "SPEAKER_CLOSE_GRACE_SECONDS": "4",
        }
    )


@pytest.mark.parametrize("name", ["HEARTBEAT_INTERVAL_SECONDS", "HEARTBEAT_SETTLED_SECONDS"])
def test_on_aws_heartbeat_intervals_are_below_the_idle_timeout(name: str) -> None:
    check_on_aws({name: "599"})
    with pytest.raises(SettingError, match=rf"{name} \(600\) must be less than 600, after which"):
        check_on_aws({name: "600"})


def test_the_validations_of_variables_tf_have_the_applications_defaults() -> None:
    text = Path("terraform/variables.tf").read_text()
    found = set(re.findall(r'lookup\(var\.settings, "(\w+)", "?(\w+)"?\)', text))
    assert len(found) == 10
    assert read_log_level(dict(found)) == read_log_level({})
    assert read_settings(TABLES | dict(found)) == read_settings(TABLES)


def test_the_docs_have_the_applications_defaults() -> None:
    page = Path("docs/reference/configuration.md").read_text()
    found = dict(re.findall(r"^\| `([A-Z_]+)` \| `?(\w+)", page, re.MULTILINE))
    assert found.keys() == NUMBERS | {"LOG_LEVEL", "SPEECH"}
    assert read_log_level(found) == read_log_level({})
    assert read_settings(TABLES | found) == read_settings(TABLES)
    assert read_rate_limits(LIMITS | found) == read_rate_limits(LIMITS)
    assert found["SPEECH"] == "off"


def test_the_default_close_grace_never_exceeds_the_grace() -> None:
    assert read_settings({**TABLES, "SPEAKER_GRACE_SECONDS": "2"}).graces.closed_seconds == 2
    assert read_settings({**TABLES, "SPEAKER_GRACE_SECONDS": "9"}).graces.closed_seconds == 5


def test_all_missing_settings_are_named_together() -> None:
    with pytest.raises(SettingError) as refused:
        check_all({**ALL, "HASH_KEY": "", "OUTCOME_FUNCTION": ""})
    assert str(refused.value) == "not set: OUTCOME_FUNCTION, HASH_KEY"


@pytest.mark.parametrize(
    ("name", "value"), [("RATE_LIMIT_HEARTBEATS_PER_MIN", "0"), ("LOG_LEVEL", "LOUD")]
)
def test_check_all_checks_every_setting(name: str, value: str) -> None:
    check_all(ALL)
    with pytest.raises(SettingError, match=name):
        check_all({**ALL, name: value})
