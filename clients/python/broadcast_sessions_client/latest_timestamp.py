"""The order of messages by their timestamps, which can be wrong."""

from collections.abc import Callable
from typing import Final

from broadcast_sessions_client import messages
from broadcast_sessions_client.messages import Message

LEAD_SECONDS: Final = 3600
"""A timestamp that is further ahead of the wall clock is ignored."""


class LatestTimestamp:
    """The timestamp of the latest message of a kind."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self.reset()

    def reset(self) -> None:
        """Accept any message next."""
        self._latest: float | None = None

    def accept(self, message: Message) -> bool:
        """Return whether a message isn't older than the latest one, which it then is itself.

        A message without a timestamp counts.
        """
        most = (self._wall_clock() + LEAD_SECONDS) * 1000
        timestamp = messages.number(message, "timestamp", most=most)
        if timestamp is None:
            return True
        if self._latest is not None and timestamp < self._latest:
            return False
        self._latest = timestamp
        return True
