"""Flow control of a connection whose handlers are slow, and the choice of silent connections."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from websockets.protocol import State
from websockets.server import ServerProtocol

from local_gateway import server
from local_gateway.application import Application
from local_gateway.connection import MAX_PENDING_MESSAGES, Connection
from local_gateway.events import Client
from local_gateway.faults import Faults
from local_gateway.functions import Function
from local_gateway.gateway import Gateway
from local_gateway.websocket_wire import WebSocketWire


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


class FakeTransport:
    """A TCP connection, which counts what is written to it."""

    def __init__(self) -> None:
        self.written: asyncio.Queue[bytes] = asyncio.Queue()
        self.is_closed = False

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes) -> None:
        self.written.put_nowait(data)

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        pass


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


def open_wire(gateway: Gateway, transport: FakeTransport) -> WebSocketWire:
    ordinal = gateway.next_ordinal()
    connection = Connection(gateway, Client(str(ordinal), 0, "localhost", "127.0.0.1"), ordinal)
    core = ServerProtocol(state=State.OPEN)
    wire = WebSocketWire(cast(asyncio.Transport, transport), core, connection)
    connection.open(wire)
    return wire


MESSAGE = b"\x81\x82\0\0\0\0hi"
CLOSE = b"\x88\x80\0\0\0\0"


def test_messages_that_arrive_together_wait_until_fewer_are_unfinished() -> None:
    permits = threading.Semaphore(0)
    handled: list[str] = []

    def handle(event: Any, _context: Any) -> dict[str, str]:
        permits.acquire()
        handled.append(event["body"])
        return {"body": "answer"}

    async def run() -> None:
        async with serving(handle) as gateway:
            transport = FakeTransport()
            wire = open_wire(gateway, transport)
            wire.data_received(MESSAGE * 250 + MESSAGE[:5])
            assert gateway.workers.running_count == MAX_PENDING_MESSAGES
            permits.release(250)
            for _ in range(250):
                assert await transport.written.get() == b"\x81\x06answer"

            wire.data_received(MESSAGE[5:] + MESSAGE * 149 + CLOSE + MESSAGE)
            assert gateway.workers.running_count == MAX_PENDING_MESSAGES
            permits.release(150)
            while await transport.written.get() != b"\x88\x00":
                pass
            assert transport.is_closed
            wire.connection_lost(None)

    asyncio.run(asyncio.wait_for(run(), 10))
    assert handled == ["hi"] * 400


def test_messages_that_wait_when_the_client_is_lost_are_handled() -> None:
    permits = threading.Semaphore(0)

    async def run() -> None:
        async with serving(lambda *_: permits.acquire()) as gateway:
            transport = FakeTransport()
            wire = open_wire(gateway, transport)
            wire.data_received(MESSAGE * 250)
            transport.close()
            wire.connection_lost(None)
            assert gateway.workers.running_count == 250
            assert gateway.open_connections == {}
            permits.release(250)

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
