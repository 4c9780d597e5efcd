"""One connection to the service: commands with their outcomes, notices and heartbeats."""

import asyncio
import itertools
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from websockets.exceptions import InvalidStatus, WebSocketException

from broadcast_sessions_client import messages
from broadcast_sessions_client.environment import Environment, Socket
from broadcast_sessions_client.errors import NoAnswer, SessionError, connection_failed, refusal
from broadcast_sessions_client.messages import Message

OPEN_SECONDS: Final = 10
ANSWER_SECONDS: Final = 10
HEARTBEAT_SECONDS: Final = 30
"""The interval until the service names another one, from a second to an hour."""

LONGEST_HEARTBEAT_SECONDS: Final = 3600

LATE_SECONDS: Final = 75
"""A heartbeat that is later than this shows that the process stood still."""

JUMP_SECONDS: Final = 10
"""The loop's clock stops while the device sleeps. So it falls behind the wall clock."""


@dataclass(frozen=True)
class Callbacks:
    """What a connection reports.

    Attributes:
        on_message: Handles a notice or an outcome, before the command's sender gets it.
        on_lost: Handles a connection that is closed or dead, unless `close` was called. Gets the
            reason.
    """

    on_message: Callable[["Connection", Message], None]
    on_lost: Callable[["Connection", str], None]


@dataclass(frozen=True)
class Unanswered:
    """A command in flight."""

    action: str
    outcome: asyncio.Future[Message]

    def settle(self, message: Message) -> None:
        """Settle with an outcome or an error."""
        if message["type"] == "error":
            self.fail(refusal(message))
        elif not self.outcome.done():
            self.outcome.set_result(message)

    def fail(self, error: SessionError) -> None:
        """Settle with an error."""
        if not self.outcome.done():
            self.outcome.set_exception(error)
            self.outcome.exception()  # asyncio would log an error that a timeout has overtaken


class Connection:
    """An open connection.

    Attributes:
        is_lost: Whether the connection is closed, or counts as dead.
    """

    def __init__(self, socket: Socket, callbacks: Callbacks, environment: Environment) -> None:
        self.is_lost = False
        self._socket = socket
        self._callbacks = callbacks
        self._environment = environment
        self._loop = asyncio.get_running_loop()
        self._request_ids = itertools.count(1)
        self._unanswered: dict[str, Unanswered] = {}
        self._heartbeat_seconds: float = HEARTBEAT_SECONDS
        self._tasks = [asyncio.create_task(self._receive())]

    async def ask(self, command: Message) -> Message:
        """Send a command, and return its outcome.

        Raises:
            SessionError: The service refused, didn't answer in time, or the connection was lost.
        """
        if self.is_lost:
            raise connection_failed()
        request_id = str(next(self._request_ids))
        unanswered = Unanswered(command["action"], self._loop.create_future())
        self._unanswered[request_id] = unanswered
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._socket.send(json.dumps({**command, "requestId": request_id}))
                return await unanswered.outcome
        except TimeoutError:
            raise NoAnswer("NO_ANSWER", "The service didn't answer.", temporary=True) from None
        except (OSError, WebSocketException) as error:
            raise connection_failed() from error
        finally:
            del self._unanswered[request_id]

    def start_heartbeats(self) -> None:
        """Send heartbeats from now on."""
        self._tasks.append(asyncio.create_task(self._beat()))

    def give_up(self) -> None:
        """Count the connection as dead, because an answer is missing."""
        self._lose("noAnswer")

    async def close(self, code: int) -> None:
        """Close the connection, and wait until it is closed."""
        self._end()
        await self._socket.close(code)
        await asyncio.wait(self._tasks)

    async def _receive(self) -> None:
        try:
            async for frame in self._socket:
                if self._settles(frame):
                    # The task that waits for this outcome runs before the next message.
                    await asyncio.sleep(0)
        except (OSError, WebSocketException):
            pass
        self._lose("connectionLost")

    def _settles(self, frame: str | bytes) -> bool:
        """Handle a message, and return whether it settles a command of the application."""
        message = messages.parse(frame)
        if message is None:
            return False
        type_ = messages.text(message, "type")
        if not type_:
            self._take_typeless(message)
            return True
        request_id = messages.text(message, "requestId")
        unanswered = self._unanswered.get(request_id)
        # Missed captions are welcome at any time, also after `ask` has given up.
        if not unanswered and type_ != "captions" and (request_id or type_ == "heartbeatAck"):
            return False
        if unanswered and type_ not in ("error", messages.OUTCOMES[unanswered.action]):
            return False
        if unanswered and type_ != "error":
            self._heartbeat_seconds = (
                messages.number(message, "heartbeatSeconds", 1, LONGEST_HEARTBEAT_SECONDS)
                or self._heartbeat_seconds
            )
        self._callbacks.on_message(self, message)
        if not unanswered:
            return False
        unanswered.settle(message)
        return type_ != "heartbeatAck"

    def _take_typeless(self, message: Message) -> None:
        """Handle API Gateway's own error, which a failed function causes."""
        text = messages.text(message, "message")
        in_flight = sorted(self._unanswered.values(), key=lambda it: it.action == "heartbeat")
        if in_flight and text:
            error = {"type": "error", "code": "INTERNAL_ERROR", "temporary": True}
            in_flight[0].settle(error | {"message": text})

    async def _beat(self) -> None:
        """Send heartbeats until the connection is dead. The loss cancels this task."""
        sent_at = self._loop.time()
        while not self.is_lost:
            # Whole seconds let the process wake up once for the heartbeats of many clients.
            if await self._has_slept_until(math.floor(sent_at + self._heartbeat_seconds)):
                self._lose("slept")
                return
            sent_at = self._loop.time()
            if await self._is_acknowledged():
                continue
            sent_at = self._loop.time()
            if not await self._is_acknowledged():
                self.give_up()

    async def _has_slept_until(self, due_at: float) -> bool:
        """Wait. Return whether the device slept, or the process stood still, during the wait."""
        seconds = due_at - self._loop.time()
        offset = self._environment.wall_clock() - self._loop.time()
        await asyncio.sleep(seconds)
        jump_seconds = self._environment.wall_clock() - self._loop.time() - offset
        late_seconds = self._loop.time() - due_at + jump_seconds
        return jump_seconds > JUMP_SECONDS or late_seconds > LATE_SECONDS

    async def _is_acknowledged(self) -> bool:
        """Send a heartbeat, and return whether an acknowledgement or an error arrives in time."""
        try:
            await self.ask({"action": "heartbeat"})
        except SessionError as error:
            return not isinstance(error, NoAnswer)
        return True

    def _lose(self, reason: str) -> None:
        if not self.is_lost:
            self._end()
            self._callbacks.on_lost(self, reason)

    def _end(self) -> None:
        self.is_lost = True
        for task in self._tasks:
            task.cancel()
        for unanswered in self._unanswered.values():
            unanswered.fail(connection_failed())


async def open_connection(
    url: str, headers: Mapping[str, str], callbacks: Callbacks, environment: Environment
) -> Connection:
    """Open a connection.

    Raises:
        SessionError: The service can't be reached, or refuses. Then `details` has its `status`.
    """
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            socket = await environment.connect(url, headers)
    except InvalidStatus as error:
        raise connection_failed(status=error.response.status_code) from error
    except (OSError, EOFError, WebSocketException) as error:
        raise connection_failed() from error
    return Connection(socket, callbacks, environment)
