"""Real WebSockets on 127.0.0.1."""

import asyncio
import logging
from http import HTTPStatus

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response

from broadcast_sessions_client.environment import open_websocket


@pytest.fixture(autouse=True)
def _without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def test_neither_headers_nor_messages_reach_the_clients_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        async with serve(echo, "127.0.0.1", 0) as server:
            [listening] = server.sockets
            url = f"ws://127.0.0.1:{listening.getsockname()[1]}"
            socket = await open_websocket(url, {"Authorization": "Bearer secret"})
            await socket.send("a secret message")
            assert await anext(aiter(socket)) == "a secret message"
            await socket.close()

    with caplog.at_level(logging.DEBUG):
        asyncio.run(test())
    of_server = [it.getMessage() for it in caplog.records if it.name == "websockets.server"]
    assert "secret" in "".join(of_server)
    of_client = [it for it in caplog.records if it.name.startswith("broadcast_sessions_client")]
    assert of_client == []


def test_a_connection_to_a_server_that_reads_nothing_can_be_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("broadcast_sessions_client.environment.CLOSE_SECONDS", 0.1)

    async def test() -> None:
        is_over = asyncio.Event()

        async def read_nothing(connection: ServerConnection) -> None:
            connection.transport.pause_reading()
            await connection.send("I read nothing")
            await is_over.wait()

        async with serve(read_nothing, "127.0.0.1", 0, close_timeout=0) as server:
            [listening] = server.sockets
            url = f"ws://127.0.0.1:{listening.getsockname()[1]}"
            socket = await open_websocket(url, {})
            await anext(aiter(socket))
            sending = asyncio.create_task(socket.send("x" * 20_000_000))
            await asyncio.sleep(0)
            sending.cancel()
            await socket.close()
            with pytest.raises(ConnectionClosed):
                await socket.send("")
            is_over.set()

    asyncio.run(test())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_redirect_is_not_followed_to_any_origin(host: str) -> None:
    paths: list[str] = []

    async def test() -> None:
        def redirect(connection: ServerConnection, request: Request) -> Response:
            paths.append(request.path)
            port = connection.local_address[1]
            response = connection.respond(HTTPStatus.FOUND, "")
            response.headers["Location"] = f"ws://{host}:{port}/elsewhere"
            return response

        async with serve(echo, "127.0.0.1", 0, process_request=redirect) as server:
            [listening] = server.sockets
            url = f"ws://127.0.0.1:{listening.getsockname()[1]}/here"
            with pytest.raises(InvalidStatus, match="302"):
                await open_websocket(url, {"Authorization": "Bearer secret"})

    asyncio.run(test())
    assert paths == ["/here"]
