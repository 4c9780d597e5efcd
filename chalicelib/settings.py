"""The settings, which only this module reads from the environment.

Each function takes the environment as an argument, and reads and checks a part of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from chalicelib.aws.signing import Credentials

CONNECTION_LIFETIME_MINUTES: Final = 120
"""Time after which API Gateway closes a connection. Source: "WebSocket API quotas"."""

IDLE_TIMEOUT_SECONDS: Final = 600
"""Time after which API Gateway closes an idle connection. Source: "WebSocket API quotas"."""

MISSED_HEARTBEATS: Final = 3
"""Missed heartbeats in a row after which a participant can be lost."""

MAX_NUMBER: Final = 1_000_000_000
"""Highest accepted number, which is within DynamoDB's precision."""

NUMBERS: Final = frozenset(
    {
        "CONNECTION_REFRESH_MINUTES",
        "CONNECTION_WARNING_MINUTES",
        "HEARTBEAT_INTERVAL_SECONDS",
        "HEARTBEAT_SETTLED_SECONDS",
        "HEARTBEAT_TIMEOUT_SECONDS",
        "MAX_LISTENERS_PER_SESSION",
        "MAX_REFUSED_COMMANDS",
        "RATE_LIMIT_CONNECTIONS_PER_MIN",
        "RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN",
        "RATE_LIMIT_HEARTBEATS_PER_MIN",
        "RATE_LIMIT_INVITED_JOINS_PER_MIN",
        "RATE_LIMIT_LISTENER_JOINS_PER_MIN",
        "RATE_LIMIT_SESSIONS_PER_HOUR",
        "SESSION_MAX_DURATION_HOURS",
        "SPEAKER_CLOSE_GRACE_SECONDS",
        "SPEAKER_GRACE_SECONDS",
    }
)
"""The numeric settings. Unknown names are compared with them to find misspelled ones."""

OWN_PREFIXES: Final = ("HEARTBEAT_", "RATE_LIMIT_", "SPEAKER_")
"""Prefixes that other programs don't use."""

SIMILARITY: Final = 0.8
"""Lowest difflib ratio of a misspelled name without a prefix of this service.

CONNECTION_REFRESH has 0.82, CONNECTION_STRING 0.70 and SESSION_MANAGER 0.59.
"""

LOCAL_CONNECTIONS_URL: Final = "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"
"""boto3's variable for the URL of the @connections API, which the local server sets."""

_REQUIRED = (
    *("SESSIONS_TABLE", "CONNECTIONS_TABLE", "RATE_LIMITS_TABLE", "OUTCOME_FUNCTION", "HASH_KEY"),
    *("COGNITO_USER_POOL_ID", "COGNITO_CLIENT_ID"),
)
_TEXTS = frozenset({*_REQUIRED, "AWS_SESSION_TOKEN", "CONNECTIONS_URL"})
"""Settings with a text value. They are not compared, although some share a word with a number."""

_SECONDS_PER_HOUR = 3600
_SECONDS_PER_MINUTE = 60
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingError(Exception):
    """A setting is missing or invalid. The message names it."""


@dataclass(frozen=True, slots=True)
class CognitoSettings:
    """The app client whose tokens are accepted.

    Attributes:
        issuer: The `iss` claim of the tokens.
        key_set_url: The URL of the user pool's public keys.
        client_id: The app client's ID.
    """

    issuer: str
    key_set_url: str
    client_id: str


@dataclass(frozen=True, slots=True)
class RateLimitSettings:
    """The rate limits, their table, and the key with which subjects are hashed."""

    table: str
    hash_key: bytes
    sessions_per_hour: int
    refused_attempts_per_minute: int
    listener_joins_per_minute: int
    invited_joins_per_minute: int
    connections_per_minute: int


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of all functions except the authorizer.

    Attributes:
        connections_url: The URL of the @connections API, or None if each event determines it.
        api_url: The stack's own URL of the @connections API, if it is set.
        emulator_url: The URL of an AWS emulator, if there is one.
    """

    sessions_table: str
    connections_table: str
    outcome_function: str
    connections_url: str | None
    api_url: str | None
    emulator_url: str | None
    max_listeners: int
    max_refused_commands: int
    heartbeat_interval_seconds: int
    heartbeat_settled_seconds: int
    heartbeat_timeout_seconds: int
    heartbeats_per_minute: int
    session_max_duration_seconds: int
    refresh_after_seconds: float
    warn_after_seconds: float
    speaker_grace_seconds: float
    speaker_close_grace_seconds: float


def check_all(environment: Mapping[str, str]) -> None:
    """Check every setting, for a process that runs all functions.

    Raises:
        SettingError: A setting is missing or invalid.
    """
    check_names(environment)
    read_log_level(environment)
    missing = [name for name in _REQUIRED if not environment.get(name)]
    if missing:
        raise SettingError(f"not set: {', '.join(missing)}")
    read_cognito_settings(environment)
    read_settings(environment)
    read_rate_limits(environment)


def check_on_aws(environment: Mapping[str, str]) -> None:
    """Check the settings that all functions share on AWS.

    These are the names of variables and the heartbeats' intervals, which API Gateway limits. The
    local server has an option for that limit.

    Raises:
        SettingError: A variable is misspelled, or an interval is too long.
    """
    check_names(environment)
    for name, default in (("HEARTBEAT_INTERVAL_SECONDS", 30), ("HEARTBEAT_SETTLED_SECONDS", 90)):
        seconds = _whole(environment, name, default=default)
        if seconds >= IDLE_TIMEOUT_SECONDS:
            raise SettingError(
                f"{name} ({seconds}) must be less than {IDLE_TIMEOUT_SECONDS}, after which API "
                "Gateway closes an idle connection"
            )


def check_names(environment: Mapping[str, str]) -> None:
    """Refuse variables whose names look like misspelled settings.

    Variables with an empty value count as not set.

    Raises:
        SettingError: A name looks like a setting's but is none.
    """
    for name in sorted(environment):
        if name in NUMBERS or name in _TEXTS or not environment[name]:
            continue
        if (meant := _find_meant(name.upper())) is not None:
            raise SettingError(f"{name} is not a setting; did you mean {meant}?")


def _find_meant(name: str) -> str | None:
    """Return the setting that a misspelled name resembles most, or None."""
    words = set(name.split("_"))
    candidates = [number for number in sorted(NUMBERS) if words.intersection(number.split("_"))]
    if not candidates:
        return None
    from difflib import get_close_matches  # Its import would add 2 ms to each cold start.

    is_own = name.startswith(OWN_PREFIXES) or _begins_a_setting(name)
    return next(iter(get_close_matches(name, candidates, 1, 0 if is_own else SIMILARITY)), None)


def _begins_a_setting(name: str) -> bool:
    return "_" in name and any(number.startswith(f"{name}_") for number in NUMBERS)


def read_log_level(environment: Mapping[str, str]) -> str:
    """Return the name of the log level.

    Raises:
        SettingError: The level is unknown.
    """
    level = environment.get("LOG_LEVEL") or "INFO"
    if level not in _LOG_LEVELS:
        raise SettingError(f"LOG_LEVEL must be one of {', '.join(_LOG_LEVELS)}, not {level!r}")
    return level


def read_stage(environment: Mapping[str, str]) -> str:
    """Return the stage's name."""
    return environment.get("STAGE") or "local"


def read_hash_key(environment: Mapping[str, str]) -> bytes:
    """Return the key with which the log hashes IDs, or an empty one.

    It is empty when `chalice package` imports the application. read_rate_limits requires the same
    key.
    """
    return environment.get("HASH_KEY", "").encode()


def find_handler(environment: Mapping[str, str]) -> str | None:
    """Return the name of the function's handler, or None outside Lambda.

    Source: "Defined runtime environment variables" (`_HANDLER`), AWS Lambda Developer Guide.
    """
    return environment.get("_HANDLER") or None


def is_local_server(environment: Mapping[str, str]) -> bool:
    """Return whether the local server runs all functions in this process."""
    return find_handler(environment) is None and LOCAL_CONNECTIONS_URL in environment


def read_region(environment: Mapping[str, str]) -> str:
    """Return the AWS Region.

    Raises:
        SettingError: It is not set.
    """
    return _text(environment, "AWS_REGION")


def read_credentials(environment: Mapping[str, str]) -> Credentials:
    """Return the credentials that Lambda sets for each environment.

    Raises:
        SettingError: The access key or the secret key is not set.

    Source: "Defined runtime environment variables", AWS Lambda Developer Guide.
    """
    return Credentials(
        _text(environment, "AWS_ACCESS_KEY_ID"),
        _text(environment, "AWS_SECRET_ACCESS_KEY"),
        environment.get("AWS_SESSION_TOKEN"),
    )


def read_cognito_settings(environment: Mapping[str, str]) -> CognitoSettings:
    """Read the user pool and its app client.

    The key set's URL follows boto3's rules for endpoints: the endpoint of Cognito, else the
    endpoint of all services, else AWS.

    Raises:
        SettingError: A setting is missing.

    Source: "Verifying a JSON web token", Amazon Cognito Developer Guide (issuer and key set).
    """
    pool_id = _text(environment, "COGNITO_USER_POOL_ID")
    region = pool_id.partition("_")[0]
    issuer = f"https://cognito-idp.{region}.amazonaws.com/{pool_id}"
    endpoint = _find_endpoint(environment, "COGNITO_IDENTITY_PROVIDER")
    pool_url = f"{endpoint}/{pool_id}" if endpoint else issuer
    return CognitoSettings(
        issuer=issuer,
        key_set_url=f"{pool_url}/.well-known/jwks.json",
        client_id=_text(environment, "COGNITO_CLIENT_ID"),
    )


def read_endpoint_url(environment: Mapping[str, str], service: str) -> str:
    """Return the URL of an AWS service, from the environment or in the Region.

    Args:
        environment: The environment.
        service: The first label of the service's host name, for example `dynamodb`.

    Raises:
        SettingError: The Region is not set.
    """
    region = read_region(environment)
    return (
        _find_endpoint(environment, service.upper()) or f"https://{service}.{region}.amazonaws.com"
    )


def _find_endpoint(environment: Mapping[str, str], name: str) -> str:
    """Return the environment's URL for a service, or an empty text.

    Source: "Service-specific endpoints", AWS SDKs and Tools Reference Guide.
    """
    url = environment.get(f"AWS_ENDPOINT_URL_{name}") or environment.get("AWS_ENDPOINT_URL") or ""
    return url.rstrip("/")


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings for sessions and connections.

    The default of SPEAKER_CLOSE_GRACE_SECONDS is never longer than SPEAKER_GRACE_SECONDS.

    Raises:
        SettingError: A setting is missing, invalid, or contradicts another.
    """
    emulator_url = environment.get("AWS_ENDPOINT_URL", "").rstrip("/") or None
    api_url = environment.get("CONNECTIONS_URL")
    duration_hours = _number(environment, "SESSION_MAX_DURATION_HOURS", default=2)
    if duration_hours * _SECONDS_PER_HOUR < 1:
        raise SettingError("SESSION_MAX_DURATION_HOURS must be at least a second")
    speaker_grace_seconds = _number(environment, "SPEAKER_GRACE_SECONDS", default=60)
    settings = Settings(
        sessions_table=_text(environment, "SESSIONS_TABLE"),
        connections_table=_text(environment, "CONNECTIONS_TABLE"),
        outcome_function=_text(environment, "OUTCOME_FUNCTION"),
        # On AWS, the stack sets CONNECTIONS_URL. An event is not enough to build the URL, because
        # the path of a custom domain does not contain the stage.
        connections_url=environment.get(LOCAL_CONNECTIONS_URL)
        or (None if emulator_url else api_url),
        api_url=api_url,
        emulator_url=emulator_url,
        max_listeners=_whole(environment, "MAX_LISTENERS_PER_SESSION", default=500),
        max_refused_commands=_whole(environment, "MAX_REFUSED_COMMANDS", default=20),
        heartbeat_interval_seconds=_whole(environment, "HEARTBEAT_INTERVAL_SECONDS", default=30),
        heartbeat_settled_seconds=_whole(environment, "HEARTBEAT_SETTLED_SECONDS", default=90),
        heartbeat_timeout_seconds=_whole(environment, "HEARTBEAT_TIMEOUT_SECONDS", default=90),
        heartbeats_per_minute=_whole(environment, "RATE_LIMIT_HEARTBEATS_PER_MIN", default=2),
        session_max_duration_seconds=round(duration_hours * _SECONDS_PER_HOUR),
        refresh_after_seconds=_SECONDS_PER_MINUTE
        * _number(environment, "CONNECTION_REFRESH_MINUTES", default=100),
        warn_after_seconds=_SECONDS_PER_MINUTE
        * _number(environment, "CONNECTION_WARNING_MINUTES", default=105),
        speaker_grace_seconds=speaker_grace_seconds,
        speaker_close_grace_seconds=_number(
            environment, "SPEAKER_CLOSE_GRACE_SECONDS", default=min(5, speaker_grace_seconds)
        ),
    )
    _check_contradictions(settings)
    return settings


def read_rate_limits(environment: Mapping[str, str]) -> RateLimitSettings:
    """Read the rate limits.

    Raises:
        SettingError: A setting is missing or invalid.
    """
    return RateLimitSettings(
        table=_text(environment, "RATE_LIMITS_TABLE"),
        hash_key=_text(environment, "HASH_KEY").encode(),
        sessions_per_hour=_whole(environment, "RATE_LIMIT_SESSIONS_PER_HOUR", default=50),
        refused_attempts_per_minute=_whole(
            environment, "RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN", default=20
        ),
        listener_joins_per_minute=_whole(
            environment, "RATE_LIMIT_LISTENER_JOINS_PER_MIN", default=100
        ),
        invited_joins_per_minute=_whole(
            environment, "RATE_LIMIT_INVITED_JOINS_PER_MIN", default=1000
        ),
        connections_per_minute=_whole(environment, "RATE_LIMIT_CONNECTIONS_PER_MIN", default=3000),
    )


def _check_contradictions(settings: Settings) -> None:
    refresh_minutes = settings.refresh_after_seconds / _SECONDS_PER_MINUTE
    warning_minutes = settings.warn_after_seconds / _SECONDS_PER_MINUTE
    interval_seconds = settings.heartbeat_interval_seconds
    settled_seconds = settings.heartbeat_settled_seconds
    timeout_seconds = settings.heartbeat_timeout_seconds
    heartbeats = settings.heartbeats_per_minute
    close_grace_seconds = settings.speaker_close_grace_seconds
    grace_seconds = settings.speaker_grace_seconds
    for is_met, rule in (
        (
            refresh_minutes < warning_minutes,
            f"CONNECTION_REFRESH_MINUTES ({refresh_minutes:g}) must be less than "
            f"CONNECTION_WARNING_MINUTES ({warning_minutes:g})",
        ),
        (
            warning_minutes < CONNECTION_LIFETIME_MINUTES,
            f"CONNECTION_WARNING_MINUTES ({warning_minutes:g}) must be less than "
            f"{CONNECTION_LIFETIME_MINUTES}, the lifetime of a connection",
        ),
        (
            settled_seconds >= interval_seconds,
            f"HEARTBEAT_SETTLED_SECONDS ({settled_seconds}) must be at least "
            f"HEARTBEAT_INTERVAL_SECONDS ({interval_seconds})",
        ),
        (
            timeout_seconds >= MISSED_HEARTBEATS * interval_seconds,
            f"HEARTBEAT_TIMEOUT_SECONDS ({timeout_seconds}) must be at least {MISSED_HEARTBEATS} "
            f"times HEARTBEAT_INTERVAL_SECONDS ({interval_seconds})",
        ),
        (
            interval_seconds * heartbeats >= _SECONDS_PER_MINUTE,
            f"HEARTBEAT_INTERVAL_SECONDS ({interval_seconds}) times RATE_LIMIT_HEARTBEATS_PER_MIN "
            f"({heartbeats}) must be at least {_SECONDS_PER_MINUTE}, or heartbeats that the "
            "service asks for exceed the limit",
        ),
        (
            close_grace_seconds <= grace_seconds,
            f"SPEAKER_CLOSE_GRACE_SECONDS ({close_grace_seconds:g}) must be at most "
            f"SPEAKER_GRACE_SECONDS ({grace_seconds:g})",
        ),
    ):
        if not is_met:
            raise SettingError(rule)


def _text(environment: Mapping[str, str], name: str) -> str:
    if value := environment.get(name):
        return value
    raise SettingError(f"{name} is not set")


def _whole(environment: Mapping[str, str], name: str, *, default: int) -> int:
    value = _number(environment, name, default=default)
    if value != int(value):
        raise SettingError(f"{name} must be a whole number, not {environment[name]!r}")
    return int(value)


def _number(environment: Mapping[str, str], name: str, *, default: float) -> float:
    text = environment.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        raise SettingError(f"{name} must be a number, not {text!r}") from None
    if not 0 < value <= MAX_NUMBER:
        raise SettingError(
            f"{name} must be greater than 0 and at most {MAX_NUMBER:,}, not {text!r}"
        )
    return value
