"""A server that does only what a test says, and records everything that the client does."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response

from broadcast_sessions_client.environment import Environment
from broadcast_sessions_client.messages import OUTCOMES
from client_support.scripted_loop import loop

NORMAL_CODES = (1000, 1001)


class ScriptedSocket:
    """The client's side of a connection.

    Attributes:
        done: What the client did: frames, and the code of its close.
        unanswered: The request ID and action of the commands without an outcome.
    """

    def __init__(self) -> None:
        self.is_open = True
        self.done: deque[dict[str, Any] | int] = deque()
        self.unanswered: list[tuple[str, str]] = []
        self._received: asyncio.Queue[str | bytes | int] = asyncio.Queue()

    async def send(self, message: str) -> None:
        if not self.is_open:
            raise ConnectionClosedError(None, None)
        frame = json.loads(message)
        self.unanswered.append((frame.pop("requestId"), frame["action"]))
        self.done.append(frame)

    async def close(self, code: int = 1000) -> None:
        if self.is_open:
            self.is_open = False
            self.done.append(code)
            self._received.put_nowait(code)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while not isinstance(received := await self._received.get(), int):
            yield received
        if received not in NORMAL_CODES:
            raise ConnectionClosedError(Close(received, ""), None)

    def serve(self, message: dict[str, Any] | str | bytes) -> None:
        """Send a message, with the request ID of the command that it answers."""
        if isinstance(message, dict):
            message = json.dumps(message | self._answered_by(message))
        self._received.put_nowait(message)

    def drop(self, code: int = 1006) -> None:
        self.is_open = False
        self._received.put_nowait(code)

    def _answered_by(self, message: dict[str, Any]) -> dict[str, str]:
        """Return the request ID that belongs to a message. API Gateway's error has no type."""
        if "type" in message and "requestId" in message:
            return {}
        for request_id, action in sorted(self.unanswered, key=lambda it: it[1] == "heartbeat"):
            if message.get("type", "error") in ("error", OUTCOMES[action]):
                self.unanswered.remove((request_id, action))
                return {"requestId": request_id} if "type" in message else {}
        return {}


class Opening:
    """An attempt of the client to open a connection."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.url = url
        self.headers = headers
        self.socket = ScriptedSocket()
        self._answered: asyncio.Future[None] = loop().create_future()

    async def answer_of_server(self) -> ScriptedSocket:
        await self._answered
        return self.socket

    def answer(self, answer: int | str = 101) -> ScriptedSocket:
        """Answer with 101, another status, "reset" or "silence"."""
        if answer == 101:
            self._answered.set_result(None)
        elif answer == "reset":
            self._answered.set_exception(ConnectionResetError())
        elif answer != "silence":
            response = Response(int(answer), "", Headers())
            self._answered.set_exception(InvalidStatus(response))
        return self.socket

    def fail(self, error: Exception) -> None:
        """Fail in another way than the network does."""
        self._answered.set_exception(error)


class ScriptedServer:
    """The server.

    Attributes:
        openings: Attempts to open a connection that the test hasn't taken.
    """

    def __init__(self) -> None:
        self.openings: deque[Opening] = deque()
        self.environment = Environment(self.connect, lambda: 0.5, loop().wall_clock)

    async def connect(self, url: str, headers: Mapping[str, str]) -> ScriptedSocket:
        opening = Opening(url, headers)
        self.openings.append(opening)
        return await opening.answer_of_server()
