"""The waits between attempts."""

from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 0.5
LAST_SECONDS: Final = 20
DOUBLINGS: Final = 6
"""After these, the wait is longer than `LAST_SECONDS`."""


class Backoff:
    """Waits that are random ("full jitter") and double from 0.5 s to 20 s."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._attempts = 0

    def next_seconds(self, retry_after_seconds: float | None = None) -> float:
        """Return the wait before the next attempt, on top of the one that the service asks for."""
        longest = min(LAST_SECONDS, FIRST_SECONDS * (1 << min(self._attempts, DOUBLINGS)))
        self._attempts += 1
        return (retry_after_seconds or 0) + self._random() * longest

    def reset(self) -> None:
        """Start again with the shortest wait."""
        self._attempts = 0
