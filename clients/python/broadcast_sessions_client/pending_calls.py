"""The calls of the application that wait for the next attempt to enter a session."""

import asyncio

from broadcast_sessions_client.errors import SessionError


class PendingCalls:
    """Calls that settle together."""

    def __init__(self) -> None:
        self._calls: list[asyncio.Future[None]] = []

    def add(self) -> asyncio.Future[None]:
        """Return a future for another call."""
        call: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls.append(call)
        return call

    @property
    def are_waiting(self) -> bool:
        """Whether a call waits that the application hasn't cancelled."""
        return not all(call.done() for call in self._calls)

    def settle(self, error: SessionError | None = None) -> None:
        """Settle all calls that the application hasn't cancelled."""
        calls, self._calls = self._calls, []
        for call in calls:
            if call.done():
                continue
            if error:
                call.set_exception(error.copy())
            else:
                call.set_result(None)
