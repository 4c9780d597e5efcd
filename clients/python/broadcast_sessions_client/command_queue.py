"""The application's commands, which are sent one at a time."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from broadcast_sessions_client.backoff import Backoff
from broadcast_sessions_client.connection import Connection
from broadcast_sessions_client.errors import NoAnswer, SessionError
from broadcast_sessions_client.messages import Message
from broadcast_sessions_client.task_set import TaskSet

CAPACITY: Final = 100
ATTEMPTS: Final = 3
"""How often a command is sent that the service refuses for now, or doesn't answer."""


class QueuedCommand:
    """A command with its future outcome."""

    def __init__(self, command: Message) -> None:
        self.command = command
        self.outcome: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    def resolve(self, outcome: Message) -> None:
        """Settle, unless the application has cancelled the call."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def reject(self, error: Exception) -> None:
        """Settle with an error, unless the application has cancelled the call."""
        if not self.outcome.done():
            self.outcome.set_exception(error)


class CommandQueue:
    """Sends commands in order, and waits while there is no usable connection.

    Attributes:
        dropped: The number of commands that were refused because the queue was full.
    """

    def __init__(
        self,
        lost_membership: Callable[[Connection], None],
        tasks: TaskSet,
        random: Callable[[], float],
    ) -> None:
        self.dropped = 0
        self._connection: Connection | None = None
        self._usable = asyncio.Event()
        self._lost_membership = lost_membership
        self._tasks = tasks
        self._random = random
        self._waiting: deque[QueuedCommand] = deque()
        self._current: QueuedCommand | None = None
        self._sender: asyncio.Task[None] | None = None

    @property
    def is_usable(self) -> bool:
        """Whether commands are sent now."""
        return self._usable.is_set()

    @property
    def length(self) -> int:
        """The number of commands that wait. One that is in flight, or about to be, doesn't."""
        is_about_to_be = self.is_usable and not self._current
        return max(0, len(self._waiting) - is_about_to_be)

    @property
    def is_empty(self) -> bool:
        """Whether no command waits or is in flight, apart from cancelled ones."""
        is_busy = self._current and not self._current.outcome.done()
        return not (is_busy or self._waiting)

    def use(self, connection: Connection) -> None:
        """Send on this connection from now on."""
        self._connection = connection
        self._usable.set()

    def hold(self) -> None:
        """Send nothing for now. A command that is in flight can still be answered."""
        self._usable.clear()

    async def send(self, action: str, **parameters: str) -> Message:
        """Send a command when its turn comes, and return its outcome.

        A cancelled call leaves the queue. Its command isn't sent, or isn't sent again.

        Raises:
            SessionError: The queue is full, the service refused the command for good or three
                times, or the client has ended.
        """
        if self.length >= CAPACITY:
            self.dropped += 1
            raise SessionError("QUEUE_FULL", "Too many commands wait.", temporary=True)
        queued = QueuedCommand({"action": action, **parameters})
        self._waiting.append(queued)
        if not self._sender or self._sender.done():
            self._sender = self._tasks.start(self._send_all())
        try:
            return await queued.outcome
        except asyncio.CancelledError:
            if queued in self._waiting:
                self._waiting.remove(queued)
            raise

    def stop(self, error: SessionError) -> None:
        """Reject all commands."""
        if self._current:
            self._waiting.appendleft(self._current)
            self._current = None
        for queued in self._waiting:
            queued.reject(error.copy())
        self._waiting.clear()
        if self._sender:
            self._sender.cancel()
            self._sender = None

    async def _usable_connection(self) -> Connection:
        while not (self._usable.is_set() and self._connection):
            await self._usable.wait()
        return self._connection

    async def _send_all(self) -> None:
        while self._waiting:
            await self._usable_connection()
            if self._waiting:  # The last call can have been cancelled in the meantime.
                self._current = self._waiting.popleft()
                await self._send(self._current)
                self._current = None

    async def _send(self, queued: QueuedCommand) -> None:
        backoff = Backoff(self._random)
        attempts = 0
        while not queued.outcome.done():
            connection = await self._usable_connection()
            if queued.outcome.done():
                break
            try:
                outcome = await connection.ask(queued.command)
            except SessionError as error:
                if isinstance(error, NoAnswer):
                    connection.give_up()
                elif connection.is_lost:
                    continue  # Commands are idempotent: the next connection sends it again.
                elif error.code == "SESSION_NOT_FOUND":
                    self._lost_membership(connection)
                    continue
                attempts += 1
                if not error.temporary or attempts == ATTEMPTS:
                    queued.reject(error)
                elif not connection.is_lost:
                    seconds = backoff.next_seconds(error.retry_after_seconds)
                    await asyncio.wait([queued.outcome], timeout=seconds)  # A cancel ends it.
            except Exception as error:  # For example, a parameter can't be encoded.
                queued.reject(error)
            else:
                queued.resolve(outcome)
