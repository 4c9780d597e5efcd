"""The server's constant timeouts, shortened for tests."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from gateway_support.plain_http import upgrade_request
from local_gateway import http_wire, server, websocket_wire
from local_gateway.application import Application
from local_gateway.gateway import Gateway

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def talk_to_server(talk: Talk) -> Gateway:
    """Serve an application without routes while a client talks."""

    async def run() -> Gateway:
        application = Application({}, {}, None, frozenset())
        with server.bind("127.0.0.1", 0) as listener:
            options = server.Options(is_quiet=True)
            async with server.serve(application, listener, options, {}, asyncio.Event()) as gateway:
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                await asyncio.wait_for(talk(reader, writer), 10)
                writer.close()
                return gateway

    return asyncio.run(run())


async def send_until_closed(writer: asyncio.StreamWriter, data: bytes) -> None:
    with suppress(ConnectionError):
        while True:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0.01)


def test_an_incomplete_request_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_wire, "REQUEST_TIMEOUT_SECONDS", 0.05)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /local HTTP/1.1\r\n\r\nGET /lo")
        answers = await reader.read()
        assert answers.startswith(b"HTTP/1.1 426 ")
        assert b"HTTP/1.1 408 " in answers

    talk_to_server(talk)


def test_a_client_between_requests_does_not_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_wire, "REQUEST_TIMEOUT_SECONDS", 0.05)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            writer.write(b"GET /loc")
            await asyncio.sleep(0)
            writer.write(b"al HTTP/1.1\r\n\r\n")
            assert b" 426 " in await reader.readuntil(b"}")
            await asyncio.sleep(0.1)

    talk_to_server(talk)


def test_a_refused_client_that_keeps_sending_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_wire, "LINGER_SECONDS", 0.05)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"nonsense\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        await send_until_closed(writer, b"more")

    talk_to_server(talk)


def test_a_client_that_does_not_answer_a_close_frame_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket_wire, "CLOSE_TIMEOUT_SECONDS", 0.05)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(upgrade_request("/local") + b"\x82\x80\x00\x00\x00\x00")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"\x03\xebBinary" in answer
        await send_until_closed(writer, b"\x81\x80\x00\x00\x00\x00")

    assert not talk_to_server(talk).unfinished
