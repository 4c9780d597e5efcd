"""The settings of the functions, with the checks that involve several settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from chalicelib.environment import (
    LOCAL_CONNECTIONS_URL,
    SettingError,
    find_endpoint,
    read_log_level,
    read_number,
    read_text,
    read_whole,
)
from chalicelib.limits import MAX_LISTENERS, MISSED_HEARTBEATS, Graces, Limits
from chalicelib.models import CONNECTION_SECONDS
from chalicelib.setting_names import REQUIRED, check_names
from chalicelib.table_names import TableNames

IDLE_TIMEOUT_SECONDS: Final = 600
"""Time after which API Gateway closes an idle connection. Source: "WebSocket API quotas"."""

_INTERVALS_SECONDS = {"HEARTBEAT_INTERVAL_SECONDS": 30, "HEARTBEAT_SETTLED_SECONDS": 90}
"""The defaults of the times between heartbeats."""

_SECONDS_PER_HOUR = 3600
_SECONDS_PER_MINUTE = 60


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
        tables: The names of the tables, without that of rate limits.
        captions_kept_seconds: How long captions are kept; 0 keeps none.
        pipeline_function: The function that gets the pipeline's events, or None.
        outcome_function: The function that makes deliveries.
        connections_url: The URL of the @connections API, or None if each event determines it.
        api_url: The stack's own URL of the @connections API, if it is set.
        emulator_url: The URL of an AWS emulator, if there is one.
    """

    tables: TableNames
    captions_kept_seconds: int
    pipeline_function: str | None
    outcome_function: str
    connections_url: str | None
    api_url: str | None
    emulator_url: str | None
    limits: Limits
    graces: Graces


def check_all(environment: Mapping[str, str]) -> None:
    """Check every setting, for a process that runs all functions.

    Raises:
        SettingError: A setting is missing or invalid.
    """
    check_names(environment)
    read_log_level(environment)
    missing = [name for name in REQUIRED if not environment.get(name)]
    if missing:
        raise SettingError(f"not set: {', '.join(missing)}")
    read_cognito_settings(environment)
    read_settings(environment)
    read_rate_limits(environment)
    from chalicelib.speech_settings import read_speech_settings  # Only the interpreter needs it.

    read_speech_settings(environment)


def check_on_aws(environment: Mapping[str, str]) -> None:
    """Check the settings that all functions share on AWS.

    These are the names of variables and the heartbeats' intervals, which API Gateway limits. The
    local server has an option for that limit.

    Raises:
        SettingError: A variable is misspelled, or an interval is too long.
    """
    check_names(environment)
    for name in _INTERVALS_SECONDS:
        seconds = _read_interval(environment, name)
        if seconds >= IDLE_TIMEOUT_SECONDS:
            raise SettingError(
                f"{name} ({seconds}) must be less than {IDLE_TIMEOUT_SECONDS}, after which API "
                "Gateway closes an idle connection"
            )


def _read_interval(environment: Mapping[str, str], name: str) -> int:
    return read_whole(environment, name, default=_INTERVALS_SECONDS[name])


def read_cognito_settings(environment: Mapping[str, str]) -> CognitoSettings:
    """Read the user pool and its app client.

    The key set's URL follows boto3's rules for endpoints: the endpoint of Cognito, else the
    endpoint of all services, else AWS.

    Raises:
        SettingError: A setting is missing.

    Source: "Verifying a JSON web token", Amazon Cognito Developer Guide (issuer and key set).
    """
    pool_id = read_text(environment, "COGNITO_USER_POOL_ID")
    region = pool_id.partition("_")[0]
    issuer = f"https://cognito-idp.{region}.amazonaws.com/{pool_id}"
    endpoint = find_endpoint(environment, "COGNITO_IDENTITY_PROVIDER")
    pool_url = f"{endpoint}/{pool_id}" if endpoint else issuer
    return CognitoSettings(
        issuer=issuer,
        key_set_url=f"{pool_url}/.well-known/jwks.json",
        client_id=read_text(environment, "COGNITO_CLIENT_ID"),
    )


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings for sessions and connections.

    The default of SPEAKER_CLOSE_GRACE_SECONDS is never longer than SPEAKER_GRACE_SECONDS.

    Raises:
        SettingError: A setting is missing, invalid, or contradicts another.
    """
    emulator_url = environment.get("AWS_ENDPOINT_URL", "").rstrip("/") or None
    api_url = environment.get("CONNECTIONS_URL")
    duration_hours = read_number(environment, "SESSION_MAX_DURATION_HOURS", default=2)
    if duration_hours * _SECONDS_PER_HOUR < 1:
        raise SettingError("SESSION_MAX_DURATION_HOURS must be at least a second")
    speaker_grace_seconds = read_number(environment, "SPEAKER_GRACE_SECONDS", default=60)
    limits = Limits(
        max_listeners=read_whole(
            environment, "MAX_LISTENERS_PER_SESSION", default=500, maximum=MAX_LISTENERS
        ),
        max_refused_commands=read_whole(environment, "MAX_REFUSED_COMMANDS", default=20),
        heartbeat_interval_seconds=_read_interval(environment, "HEARTBEAT_INTERVAL_SECONDS"),
        heartbeat_settled_seconds=_read_interval(environment, "HEARTBEAT_SETTLED_SECONDS"),
        heartbeat_timeout_seconds=read_whole(environment, "HEARTBEAT_TIMEOUT_SECONDS", default=90),
        heartbeats_per_minute=read_whole(environment, "RATE_LIMIT_HEARTBEATS_PER_MIN", default=2),
        session_max_duration_seconds=round(duration_hours * _SECONDS_PER_HOUR),
        refresh_after_seconds=_SECONDS_PER_MINUTE
        * read_number(environment, "CONNECTION_REFRESH_MINUTES", default=100),
        warn_after_seconds=_SECONDS_PER_MINUTE
        * read_number(environment, "CONNECTION_WARNING_MINUTES", default=105),
        captions_per_minute=read_whole(environment, "RATE_LIMIT_CAPTIONS_PER_MIN", default=60),
    )
    graces = Graces(
        lost_seconds=speaker_grace_seconds,
        closed_seconds=read_number(
            environment, "SPEAKER_CLOSE_GRACE_SECONDS", default=min(5, speaker_grace_seconds)
        ),
    )
    _check_contradictions(limits, graces)
    return Settings(
        tables=TableNames(
            sessions=read_text(environment, "SESSIONS_TABLE"),
            connections=read_text(environment, "CONNECTIONS_TABLE"),
            captions=read_text(environment, "CAPTIONS_TABLE"),
        ),
        captions_kept_seconds=read_whole(
            environment, "CAPTIONS_KEPT_SECONDS", default=600, may_be_zero=True
        ),
        pipeline_function=environment.get("PIPELINE_FUNCTION") or None,
        outcome_function=read_text(environment, "OUTCOME_FUNCTION"),
        # On AWS, the stack sets CONNECTIONS_URL. An event is not enough to build the URL, because
        # the path of a custom domain does not contain the stage.
        connections_url=environment.get(LOCAL_CONNECTIONS_URL)
        or (None if emulator_url else api_url),
        api_url=api_url,
        emulator_url=emulator_url,
        limits=limits,
        graces=graces,
    )


def read_rate_limits(environment: Mapping[str, str]) -> RateLimitSettings:
    """Read the rate limits.

    Raises:
        SettingError: A setting is missing or invalid.
    """
    return RateLimitSettings(
        table=read_text(environment, "RATE_LIMITS_TABLE"),
        hash_key=read_text(environment, "HASH_KEY").encode(),
        sessions_per_hour=read_whole(environment, "RATE_LIMIT_SESSIONS_PER_HOUR", default=50),
        refused_attempts_per_minute=read_whole(
            environment, "RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN", default=20
        ),
        listener_joins_per_minute=read_whole(
            environment, "RATE_LIMIT_LISTENER_JOINS_PER_MIN", default=100
        ),
        invited_joins_per_minute=read_whole(
            environment, "RATE_LIMIT_INVITED_JOINS_PER_MIN", default=1000
        ),
        connections_per_minute=read_whole(
            environment, "RATE_LIMIT_CONNECTIONS_PER_MIN", default=3000
        ),
    )


def _check_contradictions(limits: Limits, graces: Graces) -> None:
    refresh_minutes = limits.refresh_after_seconds / _SECONDS_PER_MINUTE
    warning_minutes = limits.warn_after_seconds / _SECONDS_PER_MINUTE
    interval_seconds = limits.heartbeat_interval_seconds
    settled_seconds = limits.heartbeat_settled_seconds
    timeout_seconds = limits.heartbeat_timeout_seconds
    heartbeats = limits.heartbeats_per_minute
    for is_met, rule in (
        (
            refresh_minutes < warning_minutes,
            f"CONNECTION_REFRESH_MINUTES ({refresh_minutes:g}) must be less than "
            f"CONNECTION_WARNING_MINUTES ({warning_minutes:g})",
        ),
        (
            limits.warn_after_seconds < CONNECTION_SECONDS,
            f"CONNECTION_WARNING_MINUTES ({warning_minutes:g}) must be less than "
            f"{CONNECTION_SECONDS // _SECONDS_PER_MINUTE}, the lifetime of a connection",
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
            graces.closed_seconds <= graces.lost_seconds,
            f"SPEAKER_CLOSE_GRACE_SECONDS ({graces.closed_seconds:g}) must be at most "
            f"SPEAKER_GRACE_SECONDS ({graces.lost_seconds:g})",
        ),
    ):
        if not is_met:
            raise SettingError(rule)
