"""The position at which a sweep ran out of time, stored in the Sessions table."""

from typing import Final, NamedTuple

from chalicelib.store.items import number
from chalicelib.store.table import Table

SWEEP_CURSOR: Final = "#sweep"
"""The item's key, which can't be a session ID."""


class SweepCursor(NamedTuple):
    """The session after which the next sweep begins, and the counts until then."""

    after_session_id: str | None = None
    active_sessions: int = 0
    listeners: int = 0


class SweepCursorStore:
    """Stores the cursor in the Sessions table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self) -> SweepCursor:
        """Read the cursor. Without one, a sweep begins with the first session."""
        item = self._table.find(SWEEP_CURSOR)
        if not item:
            return SweepCursor()
        return SweepCursor(
            item["afterSessionId"]["S"],
            int(item["activeSessions"]["N"]),
            int(item["listeners"]["N"]),
        )

    def put(self, cursor: SweepCursor) -> None:
        """Store the cursor, or delete it after the last session."""
        if cursor.after_session_id is None:
            self._table.delete(SWEEP_CURSOR)
            return
        self._table.put(
            {
                **self._table.key(SWEEP_CURSOR),
                "afterSessionId": {"S": cursor.after_session_id},
                "activeSessions": number(cursor.active_sessions),
                "listeners": number(cursor.listeners),
            }
        )
