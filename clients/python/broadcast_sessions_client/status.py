"""The session's status, and the watch over an interruption whose end gets lost."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Final

from broadcast_sessions_client import messages
from broadcast_sessions_client.latest_timestamp import LatestTimestamp
from broadcast_sessions_client.messages import Message

GRACE_SECONDS: Final = 60
"""The service's default, for interruptions whose notice the client hasn't seen."""

LONGEST_GRACE_SECONDS: Final = 3600

OVERDUE_SECONDS: Final = 10
"""After the grace period, the next notice has this time to arrive."""

STATUSES: Final[Mapping[str, str]] = {
    "sessionPaused": "paused",
    "sessionResumed": "active",
    "sessionInterrupted": "interrupted",
}
"""The session's status after each notice."""


class Status:
    """The session's status.

    Attributes:
        value: `active`, `paused` or `interrupted`.
    """

    def __init__(
        self,
        known: Collection[str],
        overdue: Callable[[], None],
        wall_clock: Callable[[], float],
    ) -> None:
        """Begin with an active session.

        Args:
            known: The statuses that count.
            overdue: Called when an interruption should be over.
            wall_clock: Returns Unix time in seconds.
        """
        self._known = known
        self._overdue = overdue
        self._latest = LatestTimestamp(wall_clock)
        self._watch: asyncio.TimerHandle | None = None
        self.reset()

    def reset(self) -> None:
        """Begin anew, for another session."""
        self.value = "active"
        self.expect_any()

    def expect_any(self) -> None:
        """Apply the next status, whatever its timestamp."""
        self._latest.reset()

    def apply(self, message: Message) -> bool:
        """Apply the status of a message, unless a later one is known.

        Returns:
            Whether the message has a status that counts.
        """
        status = STATUSES.get(messages.text(message, "type")) or messages.text(message, "status")
        if status not in self._known or not self._latest.accept(message):
            return False
        self.value = status
        self.stop()
        if status == "interrupted":
            grace_seconds = messages.number(message, "graceSeconds", 0, LONGEST_GRACE_SECONDS)
            seconds = GRACE_SECONDS if grace_seconds is None else grace_seconds
            loop = asyncio.get_running_loop()
            self._watch = loop.call_later(seconds + OVERDUE_SECONDS, self._overdue)
        return True

    def stop(self) -> None:
        """Stop the watch."""
        if self._watch:
            self._watch.cancel()
            self._watch = None
