"""The buffer between the client and the application that iterates over its events."""

import asyncio
from collections import deque
from typing import Final

from broadcast_sessions_client.events import Event

CAPACITY: Final = 500
"""Room for 200 captions that were recovered at once, and 200 that had waited for them."""


class EventBuffer:
    """The events that the application hasn't taken. When it is full, the oldest event is dropped.

    Attributes:
        dropped: The number of events that were dropped.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._events: deque[Event] = deque()
        self._has_ended = False
        self._changed = asyncio.Event()

    @property
    def length(self) -> int:
        """The number of events that wait."""
        return len(self._events)

    def append(self, event: Event) -> None:
        """Add an event."""
        if len(self._events) == CAPACITY:
            self._events.popleft()
            self.dropped += 1
        self._events.append(event)
        self._changed.set()

    def begin(self) -> None:
        """Expect events, also after the end."""
        self._has_ended = False

    def end(self) -> None:
        """End the iteration after the events that wait."""
        self._has_ended = True
        self._changed.set()

    async def take(self) -> Event:
        """Return the next event.

        Raises:
            StopAsyncIteration: There are no more.
        """
        while not self._events:
            if self._has_ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._events.popleft()
