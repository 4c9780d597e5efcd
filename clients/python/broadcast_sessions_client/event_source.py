"""What the application sees of a client: its state and its events."""

from typing import Self

from broadcast_sessions_client.event_buffer import EventBuffer
from broadcast_sessions_client.events import Event, State, StateChanged
from broadcast_sessions_client.sessions import Counts


class EventSource:
    """A client as a source of events."""

    def __init__(self) -> None:
        self._shown = StateChanged("idle")
        self._buffer = EventBuffer()

    @property
    def state(self) -> State:
        """The state that the latest `StateChanged` names, or `idle` before the first one."""
        return self._shown.state

    @property
    def reason(self) -> str | None:
        """The reason of the state."""
        return self._shown.reason

    @property
    def buffer(self) -> Counts:
        """The events that wait for the iteration."""
        return Counts(self._buffer.length, self._buffer.dropped)

    def __aiter__(self) -> Self:
        """Iterate over the events until the session or the client ends."""
        return self

    async def __anext__(self) -> Event:
        """Wait for the next event."""
        return await self._buffer.take()

    def _show(self, change: StateChanged) -> None:
        """Report a change of the state, unless nothing has changed."""
        if change != self._shown:
            self._shown = change
            self._buffer.append(change)
