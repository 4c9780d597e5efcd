"""Flow control of a connection whose handlers are slow."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from local_gateway import server
from local_gateway.application import Application
from local_gateway.connection import MAX_PENDING_MESSAGES, Connection
from local_gateway.events import Client
from local_gateway.functions import Function
from local_gateway.gateway import Gateway


class FakeSocket:
    """The client's end, which records what happens to it."""

    unsent_bytes = 0

    def __init__(self) -> None:
        self.calls: asyncio.Queue[str] = asyncio.Queue()

    def send_text(self, text: bytes) -> None:
        self.calls.put_nowait("send")

    def close(self, code: int, reason: str) -> None:
        pass

    def pause_reading(self) -> None:
        self.calls.put_nowait("pause")

    def resume_reading(self) -> None:
        self.calls.put_nowait("resume")


@asynccontextmanager
async def serving(function: Function) -> AsyncIterator[Gateway]:
    """Serve an application whose only route is $default, with a route response."""
    application = Application({"$default": function}, {}, None, frozenset(["$default"]))
    options = server.Options(is_quiet=True)
    with server.bind("127.0.0.1", 0) as listener:
        async with server.serve(application, listener, options, {}, asyncio.Event()) as gateway:
            yield gateway


def test_reading_stops_at_too_many_unfinished_messages_and_resumes_at_half_of_them() -> None:
    permits = threading.Semaphore(0)

    def handle(_event: Any, _context: Any) -> dict[str, str]:
        permits.acquire()
        return {"body": "answer"}

    async def run() -> None:
        async with serving(Function("x-local-message", "$default", handle, 60, 128)) as gateway:
            socket = FakeSocket()
            connection = Connection(gateway, Client("x", 0, "localhost", "127.0.0.1"), 1)
            connection.open(socket)
            for _ in range(MAX_PENDING_MESSAGES - 1):
                connection.receive("hello")
            assert socket.calls.empty()
            connection.receive("hello")
            assert socket.calls.get_nowait() == "pause"

            answers = MAX_PENDING_MESSAGES // 2 + 1
            permits.release(answers)
            expected = ["send"] * answers + ["resume"]
            assert [await socket.calls.get() for _ in expected] == expected

            permits.release(MAX_PENDING_MESSAGES)
            connection.closed(1000, "")

    asyncio.run(asyncio.wait_for(run(), 10))
