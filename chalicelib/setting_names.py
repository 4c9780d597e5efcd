"""The names of the settings, with which misspelled variables are found."""

from collections.abc import Mapping
from typing import Final

from chalicelib.environment import SettingError

NUMBERS: Final = frozenset(
    {
        "CAPTIONS_KEPT_SECONDS",
        "CONNECTION_REFRESH_MINUTES",
        "CONNECTION_WARNING_MINUTES",
        "HEARTBEAT_INTERVAL_SECONDS",
        "HEARTBEAT_SETTLED_SECONDS",
        "HEARTBEAT_TIMEOUT_SECONDS",
        "MAX_LISTENERS_PER_SESSION",
        "MAX_REFUSED_COMMANDS",
        "RATE_LIMIT_CAPTIONS_PER_MIN",
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

REQUIRED: Final = (
    *("SESSIONS_TABLE", "CONNECTIONS_TABLE", "CAPTIONS_TABLE", "RATE_LIMITS_TABLE"),
    *("OUTCOME_FUNCTION", "HASH_KEY"),
    *("COGNITO_USER_POOL_ID", "COGNITO_CLIENT_ID"),
)
"""The settings without a default."""

SPEECH: Final = frozenset({"MEDIA_BUCKET", "MEDIA_URL", "SPEECH"})
"""The settings of speech, which have text values."""

_TEXTS = frozenset(
    {*REQUIRED, *SPEECH, "AWS_SESSION_TOKEN", "CONNECTIONS_URL", "PIPELINE_FUNCTION"}
)
"""Settings with a text value. They are not compared, although some share a word with a number."""


def check_names(environment: Mapping[str, str]) -> None:
    """Refuse variables whose names look like misspelled settings.

    Variables with an empty value count as not set.

    Raises:
        SettingError: A name looks like the name of a setting but isn't one.
    """
    for name in sorted(environment):
        if name in NUMBERS or name in _TEXTS or not environment[name]:
            continue
        if (meant := _find_meant(name.upper())) is not None:
            raise SettingError(f"{name} is not a setting; did you mean {meant}?")


def _find_meant(name: str) -> str | None:
    """Return the setting that a misspelled name resembles most, or None."""
    words = set(name.split("_"))
    candidates = [each for each in sorted(NUMBERS) if words.intersection(each.split("_"))]
    if not candidates:
        return None
    from difflib import get_close_matches  # Its import would add 2 ms to each cold start.

    is_own = name.startswith(OWN_PREFIXES) or _begins_a_setting(name)
    return next(iter(get_close_matches(name, candidates, 1, 0 if is_own else SIMILARITY)), None)


def _begins_a_setting(name: str) -> bool:
    return "_" in name and any(each.startswith(f"{name}_") for each in NUMBERS)
