"""The condition that a session is open."""

from typing import Final

from chalicelib.aws.dynamodb import Item
from chalicelib.models import SessionStatus
from chalicelib.store.items import number

IS_OPEN: Final = (
    "attribute_exists(sessionId) AND #status <> :ended AND expiresAt > :now"
    " AND (attribute_not_exists(graceEndsAt) OR graceEndsAt > :now_ms)"
)
"""Session.is_open as a condition expression. It needs NAMES and open_values."""

NAMES: Final = {"#status": "status"}


def open_values(now_seconds: float) -> Item:
    """Return the values of IS_OPEN for a time."""
    return {
        ":ended": {"S": SessionStatus.ENDED},
        ":now": number(int(now_seconds)),
        ":now_ms": number(int(now_seconds * 1000)),
    }
