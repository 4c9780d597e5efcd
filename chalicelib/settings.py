"""The only reader of the environment: names, units, defaults.

Nothing here opens a client or remembers a value; wiring asks once per process.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_SECONDS_PER_HOUR = 3600
_SECONDS_PER_MINUTE = 60
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingError(Exception):
    """A setting that is missing or makes no sense; the message names it."""


@dataclass(frozen=True, slots=True)
class CognitoSettings:
    """Whose tokens are taken. All that the authorizer needs."""

    issuer: str
    key_set_url: str
    client_id: str


@dataclass(frozen=True, slots=True)
class RateLimitSettings:
    """What counting takes: where, with which key the subjects are hashed, and how often each."""

    table: str
    hash_key: bytes
    sessions_per_hour: int
    refused_attempts_per_minute: int
    listener_joins_per_minute: int
    invited_joins_per_minute: int
    connections_per_minute: int


@dataclass(frozen=True, slots=True)
class Settings:
    """What all functions but the authorizer need.

    `connections_url` is where @connections are, unless an event says it; `api_url` where they are
    on AWS, which is known to the stack.
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


def read_log_level(environment: Mapping[str, str]) -> str:
    """Raises: SettingError."""
    level = environment.get("LOG_LEVEL") or "INFO"
    if level not in _LOG_LEVELS:
        raise SettingError(f"LOG_LEVEL must be one of {', '.join(_LOG_LEVELS)}, not {level!r}")
    return level


def read_stage(environment: Mapping[str, str]) -> str:
    return environment.get("STAGE") or "local"


def read_cognito_settings(environment: Mapping[str, str]) -> CognitoSettings:
    """Read the user pool and its app client.

    The key set is fetched from where boto3 would look for Cognito: the endpoint of that one
    service, else the endpoint of all, else AWS.

    Raises: SettingError.
    Source: "Verifying a JSON web token", Amazon Cognito Developer Guide (issuer and key set);
    "Service-specific endpoints", AWS SDKs and Tools Reference Guide (order of the variables).
    """
    pool_id = _text(environment, "COGNITO_USER_POOL_ID")
    region = pool_id.partition("_")[0]
    issuer = f"https://cognito-idp.{region}.amazonaws.com/{pool_id}"
    endpoint = environment.get("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER") or environment.get(
        "AWS_ENDPOINT_URL"
    )
    pool_url = f"{endpoint.rstrip('/')}/{pool_id}" if endpoint else issuer
    return CognitoSettings(
        issuer=issuer,
        key_set_url=f"{pool_url}/.well-known/jwks.json",
        client_id=_text(environment, "COGNITO_CLIENT_ID"),
    )


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read what is about sessions. Raises: SettingError."""
    emulator_url = environment.get("AWS_ENDPOINT_URL", "").rstrip("/") or None
    api_url = environment.get("CONNECTIONS_URL")
    duration_hours = _number(environment, "SESSION_MAX_DURATION_HOURS", default=2)
    return Settings(
        sessions_table=_text(environment, "SESSIONS_TABLE"),
        connections_table=_text(environment, "CONNECTIONS_TABLE"),
        outcome_function=_text(environment, "OUTCOME_FUNCTION"),
        # The first is boto3's own name, for the local server. On AWS the stack sets the second: a
        # domain of one's own has no stage in its path, so it cannot be built from an event.
        connections_url=environment.get("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI")
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
        speaker_grace_seconds=_number(environment, "SPEAKER_GRACE_SECONDS", default=60),
        speaker_close_grace_seconds=_number(environment, "SPEAKER_CLOSE_GRACE_SECONDS", default=5),
    )


def read_rate_limits(environment: Mapping[str, str]) -> RateLimitSettings:
    """Raises: SettingError."""
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


def _text(environment: Mapping[str, str], name: str) -> str:
    if value := environment.get(name):
        return value
    raise SettingError(f"{name} is not set")


def _whole(environment: Mapping[str, str], name: str, *, default: int) -> int:
    value = _number(environment, name, default=default)
    if value != int(value):
        raise SettingError(f"{name} must be a whole number")
    return int(value)


def _number(environment: Mapping[str, str], name: str, *, default: int) -> float:
    text = environment.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        raise SettingError(f"{name} must be a number, not {text!r}") from None
    if not 0 < value < float("inf"):
        raise SettingError(f"{name} must be greater than 0, not {text!r}")
    return value
