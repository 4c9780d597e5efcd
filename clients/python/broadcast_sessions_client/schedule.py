"""When the next attempt to connect is due."""

import asyncio
from collections.abc import Callable
from typing import Final

from broadcast_sessions_client.backoff import Backoff

STABLE_SECONDS: Final = 5
"""A connection that has been in the session for so long makes the next waits short again."""


class Schedule:
    """The wait before the next attempt."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._backoff = Backoff(random)
        self._due_at = self._not_before = self._entered_at = 0.0
        self._hurried = asyncio.Event()

    @property
    def seconds_left(self) -> float:
        """The time until the attempt is due. 0 if there is no wait."""
        return max(0, self._due_at - asyncio.get_running_loop().time())

    def back_off(self, retry_after_seconds: float | None = None) -> float:
        """Count a failure, and return the seconds to wait.

        Args:
            retry_after_seconds: The wait that the service demands.
        """
        self._not_before = asyncio.get_running_loop().time() + (retry_after_seconds or 0)
        return self._backoff.next_seconds(retry_after_seconds)

    async def wait(self, seconds: float) -> None:
        """Wait until the attempt is due, or until `hurry` ends the wait."""
        self._due_at = asyncio.get_running_loop().time() + seconds
        self._hurried.clear()
        try:
            async with asyncio.timeout_at(self._due_at):
                await self._hurried.wait()
        except TimeoutError:
            pass
        finally:
            self._due_at = 0

    def hurry(self) -> None:
        """End the wait, unless the service demands it."""
        if asyncio.get_running_loop().time() >= self._not_before:
            self._due_at = 0
            self._hurried.set()

    def enter(self) -> None:
        """Begin the time in the session."""
        self._entered_at = asyncio.get_running_loop().time()

    def leave(self) -> bool:
        """End the time in the session. After a long one, forget the failures.

        Returns:
            Whether it was long.
        """
        was_stable = asyncio.get_running_loop().time() - self._entered_at >= STABLE_SECONDS
        if was_stable:
            self.reset()
        return was_stable

    def reset(self) -> None:
        """Forget the failures."""
        self._backoff.reset()
