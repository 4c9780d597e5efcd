"""How the people of scripts.evening read their connections."""

import asyncio
import json

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from scripts.evening import ask


async def answer_after_a_notice(connection: ServerConnection) -> None:
    command = json.loads(await connection.recv())
    outcome = {"type": "sessionJoined", "requestId": command["requestId"]}
    for message in ({"type": "sessionPaused"}, outcome):
        await connection.send(json.dumps(message))


def test_a_notice_before_an_outcome_is_not_taken_for_it() -> None:
    async def run() -> str:
        async with serve(answer_after_a_notice, "127.0.0.1", 0) as server:
            host, port = next(iter(server.sockets)).getsockname()
            async with connect(f"ws://{host}:{port}", proxy=None) as client:
                return str((await ask(client, {"action": "joinSession"}))["type"])

    assert asyncio.run(run()) == "sessionJoined"
