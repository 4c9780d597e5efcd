"""The yardstick server: `websockets` alone, in a process of its own.

`python -m bench.bare` prints `ready: ws://127.0.0.1:PORT/local`, like the local gateway, and then
echoes messages. On connections to POSTS_PATH, a message consists of a connection ID, a space and a
text. The server forwards the text to that connection and answers "ok".
"""

import asyncio
import signal

from websockets.asyncio.server import ServerConnection, serve

WHO_AM_I = "who am I?"
"""The message that the server answers with the client's connection ID."""

POSTS_PATH = "/posts"
BACKLOG = 4096
"""The same as the local gateway's: in both, a burst of connects waits in the backlog."""

_connections: dict[str, ServerConnection] = {}


async def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    is_interrupted = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, is_interrupted.set)
    async with serve(
        _serve_client, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=BACKLOG
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"ready: ws://127.0.0.1:{port}/local", flush=True)
        await is_interrupted.wait()


async def _serve_client(client: ServerConnection) -> None:
    connection_id = str(client.id)
    _connections[connection_id] = client
    try:
        if client.request and client.request.path == POSTS_PATH:
            await _forward(client)
        else:
            await _echo(client, connection_id)
    finally:
        del _connections[connection_id]


async def _echo(client: ServerConnection, connection_id: str) -> None:
    async for message in client:
        await client.send(connection_id if message == WHO_AM_I else message)


async def _forward(sender: ServerConnection) -> None:
    async for message in sender:
        assert isinstance(message, str)
        receiver_id, _, text = message.partition(" ")
        await _connections[receiver_id].send(text)
        await sender.send("ok")


if __name__ == "__main__":
    asyncio.run(main())
