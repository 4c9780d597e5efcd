"""Real WebSockets on 127.0.0.1."""

import asyncio
import logging

import pytest
from websockets.asyncio.server import ServerConnection, serve

from broadcast_sessions_client.environment import open_websocket


def test_neither_headers_nor_messages_reach_the_clients_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

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
