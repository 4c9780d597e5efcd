"""The state machine that listeners and speakers share."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Final

from broadcast_sessions_client import errors, messages
from broadcast_sessions_client.command_queue import CommandQueue
from broadcast_sessions_client.connection import Callbacks, Connection, open_connection
from broadcast_sessions_client.environment import Environment
from broadcast_sessions_client.errors import NoAnswer, SessionError
from broadcast_sessions_client.event_source import EventSource
from broadcast_sessions_client.events import Failed, SessionEnded, StateChanged
from broadcast_sessions_client.messages import Message
from broadcast_sessions_client.pending_calls import PendingCalls
from broadcast_sessions_client.replacement import Replacement
from broadcast_sessions_client.schedule import Schedule
from broadcast_sessions_client.service_url import check_url, with_query
from broadcast_sessions_client.sessions import Counts
from broadcast_sessions_client.status import Status
from broadcast_sessions_client.task_set import TaskSet

CLOSE_NORMALLY: Final = 1000

AT_ONCE: Final = frozenset({"slept", "membershipLost"})
"""The reasons of losses after which there is no wait."""


class Client(EventSource, ABC):
    """Enters a session, and comes back to it until it is over.

    One task, `_make_attempts`, makes all attempts to enter the session. While a connection is in
    the session, the task waits for `_trouble`: a loss, or a request to refresh.
    """

    _shown_statuses: ClassVar[Mapping[str, StateChanged]]
    """The state to show for each status of the session."""

    _leave_code: ClassVar[int]
    """The code that closes a connection which may be in the session."""

    def __init__(self, url: str, environment: Environment) -> None:
        super().__init__()
        self._url = check_url(url)
        self._environment = environment
        self._callbacks = Callbacks(self._on_message, self._on_lost)
        self._schedule = Schedule(environment.random)
        self._status = Status(
            self._shown_statuses,
            lambda: self._refresh("interruptedTooLong"),
            environment.wall_clock,
        )
        self._replacement = Replacement()
        self._tasks = TaskSet()
        self._queue = CommandQueue(self._on_membership_lost, self._tasks, environment.random)
        self._end_error: SessionError | None = errors.no_session()
        self._is_closed = False
        self._attempts: asyncio.Task[None] | None = None
        self._calls = PendingCalls()
        self._first_command: Message = {}
        self._forget()

    def _forget(self) -> None:
        """Forget everything about the last session."""
        self._session: str | None = None
        self._has_entered = False
        self._connection: Connection | None = None
        self._next: Connection | None = None
        self._status.reset()
        self._replacement.reset()
        self._trouble = asyncio.Event()
        self._reason = self._refresh_reason = ""

    @property
    def session(self) -> str | None:
        """The session's ID."""
        return self._session

    @property
    def queue(self) -> Counts:
        """The commands that wait to be sent."""
        return Counts(self._queue.length, self._queue.dropped)

    async def __aexit__(self, *_: object) -> None:
        """Close the client."""
        await self.close()

    async def close(self) -> None:
        """Leave, and wait until nothing of the client runs. You can call it more than once.

        A token callback that ignores its cancellation has 5 seconds to end.
        """
        if self.state not in ("ended", "failed"):
            self._finish(SessionEnded("ended", "closed"), errors.closed(), self._leave_code)
        self._end_error = errors.closed()
        self._is_closed = True
        await self._tasks.wait()

    # The calls of the application

    async def _enter(self, command: Message) -> None:
        """Enter the session, or wait for the attempt that is due anyway.

        If all calls that wait for the first attempt are cancelled, the client gives up. So does one
        that has created a session which the cancelled call can't return any more.

        Raises:
            SessionError: The attempt failed. If it is temporary, others follow.
        """
        if self._is_closed:
            raise errors.closed()
        if self._connection:
            return
        call = self._calls.add()
        if self._attempts:
            self._schedule.hurry()
        else:
            self._begin(command)
        try:
            await call
        except asyncio.CancelledError:
            is_new = self.state == "connecting" or command["action"] == "createSession"
            if self._attempts and is_new and not self._calls.are_waiting:
                self._be_idle()
            raise

    async def _send(self, action: str, **parameters: str) -> Message:
        if self._end_error:
            raise self._end_error.copy()
        return await self._queue.send(action, **parameters)

    # The attempts to enter the session

    def _begin(self, command: Message) -> None:
        self._forget()
        self._end_error = None
        self._first_command = command
        self._buffer.begin()
        self._show(StateChanged("connecting"))
        self._attempts = self._tasks.start(self._enter_until_the_end())

    async def _enter_until_the_end(self) -> None:
        """Make attempts until the session is over. Any failure settles the calls."""
        try:
            await self._make_attempts()
        except Exception as error:
            self._fail(errors.session_error(error), self._leave_code)

    async def _make_attempts(self) -> None:
        """Attempt to enter whenever there is a reason to, until the session is over."""
        while True:
            try:
                await self._attempt()
            except Exception as error:
                failure = errors.session_error(error)
                if not self._goes_on_after(failure):
                    return
                await self._wait(errors.reason_of(failure), failure)
            else:
                self._schedule.enter()
                await self._trouble.wait()
                was_stable = self._schedule.leave()
                at_once = was_stable if self._connection else self._reason in AT_ONCE
                if not at_once:
                    await self._wait(self._reason)
            self._show_attempt()

    async def _attempt(self) -> None:
        connection = await self._open()
        self._next = connection
        if not self._connection:
            self._status.expect_any()
        command = self._return_command() if self._has_entered else self._first_command
        try:
            outcome = await connection.ask(command)
        except Exception as error:
            may_be_in = isinstance(error, NoAnswer) and command["action"] != "createSession"
            self._discard(connection, self._leave_code if may_be_in else CLOSE_NORMALLY)
            raise
        finally:
            self._next = None
        self._move_to(connection, outcome)

    async def _wait(self, reason: str, error: SessionError | None = None) -> None:
        """Wait until the next attempt is due."""
        seconds = self._schedule.back_off(error.retry_after_seconds if error else None)
        self._reason = reason
        if self._connection:
            self._use(self._connection)
        else:
            self._show(StateChanged("reconnecting", reason, seconds))
        if error:
            self._calls.settle(error.with_wait(seconds))
        await self._schedule.wait(seconds)

    def _show_attempt(self) -> None:
        """Show that an attempt is in progress, or when it is due."""
        self._queue.hold()
        if self._connection:
            self._show(StateChanged("refreshing", self._refresh_reason))
        else:
            self._show(StateChanged("reconnecting", self._reason, self._schedule.seconds_left))

    def _goes_on_after(self, error: SessionError) -> bool:
        """Return whether another attempt follows a failed one."""
        if error.temporary:
            return True
        if error.code == "SESSION_NOT_FOUND" and self._has_entered:
            self._finish(SessionEnded("ended", error.code), error, CLOSE_NORMALLY)
        else:
            self._fail(error, self._leave_code)
        return False

    def _move_to(self, connection: Connection, outcome: Message) -> None:
        """Use a connection that has entered the session, and close the one before."""
        self._discard(self._connection, CLOSE_NORMALLY)
        self._trouble.clear()
        self._session = messages.text(outcome, "sessionId") or self._session
        self._has_entered = True
        self._take_outcome(outcome)
        connection.start_heartbeats()
        self._status.apply(outcome)
        self._use(connection)
        self._calls.settle()

    # What the connections report

    def _on_message(self, connection: Connection, message: Message) -> None:
        """Handle a message of a connection that is or may soon be in the session."""
        if connection not in (self._connection, self._next):
            return
        type_ = messages.text(message, "type")
        if type_ == "sessionEnded":
            reason = messages.text(message, "reason") or None
            self._finish(SessionEnded("ended", reason), errors.session_is_over(), CLOSE_NORMALLY)
        elif connection is self._connection and type_ == "connectionRefreshRequired":
            self._refresh("refreshRequired")
        elif type_ == "heartbeatAck" and not messages.text(message, "sessionId"):
            self._on_membership_lost(connection)
        else:
            self._apply(message)

    def _on_lost(self, connection: Connection, reason: str) -> None:
        """Come back after a loss. The loss of an attempt's connection fails the attempt."""
        if connection is not self._connection:
            return
        self._discard(connection, self._leave_code)
        self._connection = None
        self._queue.hold()
        self._reason = reason
        if not self._trouble.is_set():
            self._trouble.set()
            return
        # A refresh is in progress, or waits for its next attempt.
        if reason in AT_ONCE:
            self._schedule.hurry()
        self._show_attempt()

    def _refresh(self, reason: str) -> None:
        """Begin a refresh, unless an attempt has begun."""
        if not self._trouble.is_set():
            self._refresh_reason = reason
            self._trouble.set()

    def _on_membership_lost(self, connection: Connection) -> None:
        """Come back, unless that hasn't helped the last times."""
        if connection is not self._connection or not self._queue.is_usable:
            return  # A refresh in progress repairs it.
        if self._replacement.count():
            self._fail(errors.replaced(), CLOSE_NORMALLY)
        else:
            self._on_lost(connection, "membershipLost")

    def _apply(self, message: Message) -> None:
        self._status.apply(message)
        if self._queue.is_usable:
            self._show(self._shown_statuses[self._status.value])
        self._take_other(message)

    # Shared steps

    def _use(self, connection: Connection) -> None:
        self._connection = connection
        self._queue.use(connection)
        self._show(self._shown_statuses[self._status.value])

    def _fail(self, error: SessionError, close_code: int) -> None:
        self._finish(Failed("failed", error.code, None, error), error, close_code)

    def _finish(self, last: StateChanged, error: SessionError, close_code: int) -> None:
        """Stop everything, after a last event."""
        self._end_error = error
        self._schedule.reset()
        self._show(last)
        self._buffer.end()
        self._calls.settle(error)
        self._queue.stop(error)
        self._stop(close_code)

    def _be_idle(self) -> None:
        """Give up entering, and wait for another first call."""
        is_creating = self._first_command["action"] == "createSession"
        self._stop(CLOSE_NORMALLY if is_creating else self._leave_code)
        self._forget()
        self._end_error = errors.no_session()
        self._show(StateChanged("idle"))
        self._queue.stop(self._end_error)

    def _stop(self, close_code: int) -> None:
        """Stop the attempts, and close the connections."""
        self._status.stop()
        self._queue.hold()
        if self._attempts:
            self._attempts.cancel()
            self._attempts = None
        self._discard(self._connection, close_code)
        self._discard(self._next, close_code)
        self._connection = self._next = None

    def _discard(self, connection: Connection | None, close_code: int) -> None:
        if connection:
            self._tasks.start(connection.close(close_code))

    async def _dial(self, query: Mapping[str, str], headers: Mapping[str, str]) -> Connection:
        url = with_query(self._url, query)
        return await open_connection(url, headers, self._callbacks, self._environment)

    # What listeners and speakers differ in

    @abstractmethod
    async def _open(self) -> Connection:
        """Open a connection with the credentials."""

    @abstractmethod
    def _return_command(self) -> Message:
        """Return the command that comes back to the session."""

    @abstractmethod
    def _take_outcome(self, outcome: Message) -> None:
        """Keep what the outcome of entering says."""

    @abstractmethod
    def _take_other(self, message: Message) -> None:
        """Handle an acknowledgement, and other messages than those about the session's state."""
