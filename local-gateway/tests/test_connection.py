"""Flow control of a connection whose handlers are slow, and the choice of silent connections."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from local_gateway import server
from local_gateway.application import Application
from local_gateway.connection import MAX_PENDING_MESSAGES, Connection
from local_gateway.events import Client
from local_gateway.faults import Faults
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

    def silence(self) -> None:
        self.calls.put_nowait("silence")

    def end_silence(self) -> None:
        self.calls.put_nowait("end silence")


@asynccontextmanager
async def serving(handler: Any = None) -> AsyncIterator[Gateway]:
    """Serve an application whose only route is $default, with a route response."""
    function = Function("x-local-message", "$default", handler, 60, 128)
    application = Application({"$default": function}, {}, None, frozenset(["$default"]))
    options = server.Options(is_quiet=True)
    with server.bind("127.0.0.1", 0) as listener:
        async with server.serve(application, listener, options, {}, asyncio.Event()) as gateway:
            yield gateway


def open_connection(gateway: Gateway, socket: FakeSocket) -> Connection:
    ordinal = gateway.next_ordinal()
    connection = Connection(gateway, Client(str(ordinal), 0, "localhost", "127.0.0.1"), ordinal)
    connection.open(socket)
    return connection


def test_reading_stops_at_too_many_unfinished_messages_and_resumes_at_half_of_them() -> None:
    permits = threading.Semaphore(0)

    def handle(_event: Any, _context: Any) -> dict[str, str]:
        permits.acquire()
        return {"body": "answer"}

    async def run() -> None:
        async with serving(handle) as gateway:
            socket = FakeSocket()
            connection = open_connection(gateway, socket)
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


def test_a_share_of_connections_is_silent_and_stays_silent_until_the_share_falls() -> None:
    def take_calls(sockets: list[FakeSocket]) -> list[str]:
        return [socket.calls.get_nowait() for socket in sockets if not socket.calls.empty()]

    async def run() -> None:
        async with serving() as gateway:
            gateway.set_faults(Faults(connection_silent_share=0.5))
            sockets = [FakeSocket() for _ in range(100)]
            connections = [open_connection(gateway, socket) for socket in sockets]
            half = take_calls(sockets)
            assert set(half) == {"silence"}
            assert 30 < len(half) < 70

            gateway.set_faults(Faults(connection_silent_share=0.5, post_slow_ms=1))
            assert take_calls(sockets) == []
            gateway.set_faults(Faults(connection_silent_share=1))
            assert take_calls(sockets) == ["silence"] * (100 - len(half))
            gateway.set_faults(Faults(connection_silent_share=0.5))
            assert take_calls(sockets) == ["end silence"] * (100 - len(half))
            gateway.set_faults(Faults())
            assert take_calls(sockets) == ["end silence"] * len(half)

            for connection in connections:
                connection.closed(1000, "")

    asyncio.run(asyncio.wait_for(run(), 10))


def test_a_handler_that_empties_its_event_gets_an_answer_for_each_message() -> None:
    def handle(event: Any, _context: Any) -> None:
        event.clear()
        raise RuntimeError

    async def run() -> None:
        async with serving(handle) as gateway:
            socket = FakeSocket()
            connection = open_connection(gateway, socket)
            for _ in range(3):
                connection.receive("hello")
            assert [await socket.calls.get() for _ in range(3)] == ["send"] * 3
            connection.closed(1000, "")

    asyncio.run(asyncio.wait_for(run(), 10))
