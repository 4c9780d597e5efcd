"""The state machine that listeners and speakers share."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import ClassVar, Final, Self
from urllib.parse import urlencode

from websockets.exceptions import InvalidURI
from websockets.uri import parse_uri

from broadcast_sessions_client import messages
from broadcast_sessions_client.backoff import Backoff
from broadcast_sessions_client.command_queue import CommandQueue
from broadcast_sessions_client.connection import Callbacks, Connection, open_connection
from broadcast_sessions_client.environment import Environment
from broadcast_sessions_client.errors import (
    NoAnswer,
    SessionError,
    no_session,
    reason_of,
    unexpected,
)
from broadcast_sessions_client.event_buffer import EventBuffer
from broadcast_sessions_client.events import Event, Failed, SessionEnded, State, StateChanged
from broadcast_sessions_client.messages import Message
from broadcast_sessions_client.pending_calls import PendingCalls
from broadcast_sessions_client.sessions import Counts
from broadcast_sessions_client.task_set import TaskSet

LOGGER: Final = logging.getLogger("broadcast_sessions_client")

STABLE_SECONDS: Final = 5
"""A connection that has been in the session for so long makes the next waits short again."""

CLOSE_NORMALLY: Final = 1000

GRACE_SECONDS: Final = 60
"""The service's default, for interruptions whose notice the client hasn't seen."""

OVERDUE_SECONDS: Final = 10
"""After the grace period, the next notice has this time to arrive."""

REPLACED_LOSSES: Final = 3
REPLACED_SECONDS: Final = 600
"""So many losses of the membership within this time mean that another client has the seat."""

STATUSES: Final[Mapping[str, str]] = {
    "sessionPaused": "paused",
    "sessionResumed": "active",
    "sessionInterrupted": "interrupted",
}
"""The session's status after each notice."""

AT_ONCE: Final = frozenset({"slept", "membershipLost"})
"""The reasons of losses after which there is no wait."""


class Client(ABC):
    """Enters a session, and comes back to it until it is over.

    One task, `_make_attempts`, makes all attempts to enter the session. While a connection is in
    the session, the task waits for `_trouble`: a loss, or a request to refresh.
    """

    _shown_statuses: ClassVar[Mapping[str, StateChanged]]
    """The state to show for each status of the session."""

    _leave_code: ClassVar[int]
    """The code that closes a connection which may be in the session."""

    def __init__(self, url: str, environment: Environment) -> None:
        try:
            parse_uri(url)
        except (InvalidURI, ValueError):
            message = f"the URL must be that of a WebSocket, such as wss://host/stage: {url!r}"
            raise ValueError(message) from None
        self._url = url
        self._environment = environment
        self._callbacks = Callbacks(self._on_message, self._on_lost)
        self._backoff = Backoff(environment.random)
        self._buffer = EventBuffer()
        self._tasks = TaskSet()
        self._usable = asyncio.Event()
        self._queue = CommandQueue(
            self._usable_connection,
            self._usable.is_set,
            self._on_membership_lost,
            self._tasks,
            environment.random,
        )
        self._shown = StateChanged("idle")
        self._end_error: SessionError | None = None
        self._is_closed = False
        self._attempts: asyncio.Task[None] | None = None
        self._calls = PendingCalls()
        self._hurried = asyncio.Event()
        self._first_command: Message = {}
        self._interruption: asyncio.TimerHandle | None = None
        self._forget()

    def _forget(self) -> None:
        """Forget everything about the last session."""
        self._session: str | None = None
        self._connection_id = ""
        self._connection: Connection | None = None
        self._next: Connection | None = None
        self._status, self._status_at = "active", 0.0
        self._membership_losses: deque[float] = deque(maxlen=REPLACED_LOSSES)
        self._trouble = asyncio.Event()
        self._reason = self._refresh_reason = ""
        self._due_at = 0.0
        self._can_hurry = False

    @property
    def state(self) -> State:
        """The state that the latest `StateChanged` names, or `idle` before the first one."""
        return self._shown.state

    @property
    def reason(self) -> str | None:
        """The reason of the state."""
        return self._shown.reason

    @property
    def session(self) -> str | None:
        """The session's ID."""
        return self._session

    @property
    def buffer(self) -> Counts:
        """The events that wait for the iteration."""
        return Counts(self._buffer.length, self._buffer.dropped)

    @property
    def queue(self) -> Counts:
        """The commands that wait to be sent."""
        return Counts(self._queue.length, self._queue.dropped)

    def __aiter__(self) -> Self:
        """Iterate over the events until the session or the client ends."""
        return self

    async def __anext__(self) -> Event:
        """Wait for the next event."""
        return await self._buffer.take()

    async def __aexit__(self, *_: object) -> None:
        """Close the client."""
        await self.close()

    async def close(self) -> None:
        """Leave, and wait until nothing of the client runs. You can call it more than once.

        A token callback that ignores its cancellation has 5 seconds to end.
        """
        error = SessionError("CLOSED", "The client is closed.")
        if self._end_error is None:
            self._finish(SessionEnded("ended", "closed"), error, self._leave_code)
        self._end_error = error
        self._is_closed = True
        await self._tasks.wait()

    # The calls of the application

    async def _enter(self, command: Message) -> None:
        """Enter the session, or wait for the attempt that is due anyway.

        If all calls that wait are cancelled, a client that hasn't been in the session gives up. So
        does one that has created a session which the cancelled call can't return any more.

        Raises:
            SessionError: The attempt failed. If it is temporary, others follow.
        """
        if self._is_closed:
            raise SessionError("CLOSED", "The client is closed.")
        if self._connection:
            return
        call = self._calls.add()
        if self._attempts:
            self._hurry()
        else:
            self._begin(command)
        try:
            await call
        except asyncio.CancelledError:
            is_new = not self._connection_id or command["action"] == "createSession"
            if self._attempts and is_new and not self._calls.are_waiting:
                self._give_up()
            raise

    async def _send(self, action: str, **parameters: str) -> Message:
        if self._end_error:
            raise self._end_error.copy()
        if not self._attempts:
            raise no_session()
        return await self._queue.send(action, **parameters)

    async def _usable_connection(self) -> Connection:
        while not (self._usable.is_set() and self._connection):
            await self._usable.wait()
        return self._connection

    def _give_up(self) -> None:
        """Stop entering the session."""
        is_creating = self._first_command["action"] == "createSession"
        self._stop(CLOSE_NORMALLY if is_creating else self._leave_code)
        self._forget()
        self._be_idle()

    # The attempts to enter the session

    def _begin(self, command: Message) -> None:
        self._forget()
        self._end_error = None
        self._first_command = command
        self._buffer.begin()
        self._show(StateChanged("connecting"))
        self._attempts = self._tasks.start(self._make_attempts())

    async def _make_attempts(self) -> None:
        """Attempt to enter whenever there is a reason to, until the session is over."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self._attempt()
            except Exception as error:
                failure = error if isinstance(error, SessionError) else unexpected(error)
                if failure is not error:
                    LOGGER.error("An attempt to connect failed unexpectedly", exc_info=error)
                if not self._goes_on_after(failure):
                    return
                await self._wait(reason_of(failure), failure)
            else:
                entered_at = loop.time()
                await self._trouble.wait()
                if loop.time() - entered_at >= STABLE_SECONDS:
                    self._backoff.reset()
                if not self._connection and self._reason not in AT_ONCE:
                    await self._wait(self._reason)
            self._show_attempt()

    async def _attempt(self) -> None:
        connection = await self._open()
        self._next = connection
        command = self._refresh_command() if self._connection_id else self._first_command
        try:
            outcome = await connection.ask(command)
        except Exception as error:
            is_refresh = command["action"] == "refreshConnection"
            may_be_in = isinstance(error, NoAnswer) and is_refresh
            self._discard(connection, self._leave_code if may_be_in else CLOSE_NORMALLY)
            raise
        finally:
            self._next = None
        self._move_to(connection, outcome)

    async def _wait(self, reason: str, error: SessionError | None = None) -> None:
        """Wait until the next attempt is due.

        A call by the application ends the wait early, unless the service asked for the wait.
        """
        retry_after_seconds = error.retry_after_seconds if error else None
        seconds = self._backoff.next_seconds(retry_after_seconds)
        self._reason = reason
        self._due_at = asyncio.get_running_loop().time() + seconds
        if self._connection:
            self._use(self._connection)
        else:
            self._show(StateChanged("reconnecting", reason, seconds))
        if error:
            self._calls.settle(error.with_wait(seconds))
        self._hurried.clear()
        self._can_hurry = retry_after_seconds is None
        try:
            async with asyncio.timeout(seconds):
                await self._hurried.wait()
        except TimeoutError:
            pass
        self._can_hurry = False
        self._due_at = 0

    def _hurry(self) -> None:
        if self._can_hurry:
            self._due_at = 0
            self._hurried.set()

    def _show_attempt(self) -> None:
        """Show that an attempt is in progress, or when it is due."""
        self._usable.clear()
        if self._connection:
            self._show(StateChanged("refreshing", self._refresh_reason))
        else:
            wait = max(0, self._due_at - asyncio.get_running_loop().time())
            self._show(StateChanged("reconnecting", self._reason, wait))

    def _goes_on_after(self, error: SessionError) -> bool:
        """Return whether another attempt follows a failed one."""
        if error.temporary:
            return True
        if error.code == "SESSION_NOT_FOUND" and self._connection_id:
            self._finish(SessionEnded("ended", error.code), error, CLOSE_NORMALLY)
        else:
            self._finish(Failed("failed", error.code, None, error), error, self._leave_code)
        return False

    def _move_to(self, connection: Connection, outcome: Message) -> None:
        """Use a connection that has entered the session, and close the one before."""
        if self._connection:
            self._discard(self._connection, CLOSE_NORMALLY)
        self._trouble.clear()
        self._session = messages.text(outcome, "sessionId") or self._session
        self._connection_id = messages.text(outcome, "connectionId")
        self._take_outcome(outcome)
        connection.start_heartbeats()
        self._set_status(messages.text(outcome, "status"), outcome)
        self._use(connection)
        self._calls.settle()

    # What the connections report

    def _on_message(self, connection: Connection, message: Message) -> None:
        """Handle a message of a connection that is or may soon be in the session."""
        if connection not in (self._connection, self._next):
            return
        type_ = messages.text(message, "type")
        if type_ in STATUSES:
            self._set_status(STATUSES[type_], message)
        elif type_ == "sessionEnded":
            reason = messages.text(message, "reason") or None
            error = SessionError("SESSION_NOT_FOUND", "The session has ended.")
            self._finish(SessionEnded("ended", reason), error, CLOSE_NORMALLY)
        elif connection is self._connection and type_ == "connectionRefreshRequired":
            self._refresh("refreshRequired")
        elif connection is self._connection and type_ == "heartbeatAck":
            self._take_acknowledgement(connection, message)
        else:
            self._take_other(message)

    def _on_lost(self, connection: Connection, reason: str) -> None:
        """Come back after a loss. The loss of an attempt's connection fails the attempt."""
        if connection is not self._connection:
            return
        self._discard(connection, self._leave_code)
        self._connection = None
        self._usable.clear()
        self._reason = reason
        if not self._trouble.is_set():
            self._trouble.set()
            return
        # A refresh is in progress, or waits for its next attempt.
        if reason in AT_ONCE:
            self._hurry()
        self._show_attempt()

    def _refresh(self, reason: str) -> None:
        """Begin a refresh, unless an attempt has begun."""
        if not self._trouble.is_set():
            self._refresh_reason = reason
            self._trouble.set()

    def _take_acknowledgement(self, connection: Connection, message: Message) -> None:
        if "sessionId" in message:
            self._set_status(messages.text(message, "status"), message)
            self._take_other(message)
        else:
            self._on_membership_lost(connection)

    def _on_membership_lost(self, connection: Connection) -> None:
        """Come back, unless that hasn't helped the last times."""
        if connection is not self._connection or not self._usable.is_set():
            return  # A refresh in progress repairs it.
        losses = self._membership_losses
        losses.append(asyncio.get_running_loop().time())
        if len(losses) == REPLACED_LOSSES and losses[-1] - losses[0] < REPLACED_SECONDS:
            error = SessionError("REPLACED", "Another client has taken this one's place.")
            self._finish(Failed("failed", error.code, None, error), error, CLOSE_NORMALLY)
        else:
            self._on_lost(connection, "membershipLost")

    def _set_status(self, status: str, message: Message) -> None:
        """Keep the session's status, unless a later message has changed it."""
        timestamp = messages.number(message, "timestamp") or self._status_at
        if status in self._shown_statuses and timestamp >= self._status_at:
            self._status, self._status_at = status, timestamp
            self._watch_interruption(message)
        if self._usable.is_set():
            self._show(self._shown_statuses[self._status])

    def _watch_interruption(self, message: Message) -> None:
        """Refresh when an interruption should be over, because its notice can get lost."""
        self._stop_watching()
        if self._status == "interrupted":
            grace_seconds = messages.number(message, "graceSeconds") or GRACE_SECONDS
            self._interruption = asyncio.get_running_loop().call_later(
                grace_seconds + OVERDUE_SECONDS, self._refresh, "interruptedTooLong"
            )

    def _stop_watching(self) -> None:
        if self._interruption:
            self._interruption.cancel()
            self._interruption = None

    # Shared steps

    def _use(self, connection: Connection) -> None:
        self._connection = connection
        self._usable.set()
        self._show(self._shown_statuses[self._status])

    def _show(self, change: StateChanged) -> None:
        if change != self._shown:
            self._shown = change
            self._buffer.append(change)

    def _finish(self, last: StateChanged, error: SessionError, close_code: int) -> None:
        """Stop everything, after a last event."""
        self._end_error = error
        self._backoff.reset()
        self._show(last)
        self._buffer.end()
        self._calls.settle(error)
        self._queue.stop(error)
        self._stop(close_code)

    def _be_idle(self) -> None:
        """Wait for another first call."""
        self._show(StateChanged("idle"))
        self._queue.stop(no_session())

    def _stop(self, close_code: int) -> None:
        """Stop the attempts, and close the connections."""
        self._stop_watching()
        self._usable.clear()
        if self._attempts:
            self._attempts.cancel()
            self._attempts = None
        for connection in (self._connection, self._next):
            if connection:
                self._discard(connection, close_code)
        self._connection = self._next = None

    def _discard(self, connection: Connection, close_code: int) -> None:
        self._tasks.start(connection.close(close_code))

    async def _dial(self, query: Mapping[str, str], headers: Mapping[str, str]) -> Connection:
        separator = "&" if "?" in self._url else "?"
        url = f"{self._url}{separator}{urlencode(query)}" if query else self._url
        return await open_connection(url, headers, self._callbacks, self._environment)

    # What listeners and speakers differ in

    @abstractmethod
    async def _open(self) -> Connection:
        """Open a connection with the credentials."""

    @abstractmethod
    def _refresh_command(self) -> Message:
        """Return the command that comes back to the session."""

    @abstractmethod
    def _take_outcome(self, outcome: Message) -> None:
        """Keep what the outcome of entering says."""

    @abstractmethod
    def _take_other(self, message: Message) -> None:
        """Handle an acknowledgement, and other messages than those about the session's state."""
