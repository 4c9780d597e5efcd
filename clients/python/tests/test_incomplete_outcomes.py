"""Outcomes of entering without the IDs that the client comes back with."""

import asyncio
from typing import Any

import pytest

from client_support.members import (
    CREATED,
    JOINED,
    SESSION,
    answered,
    joined_listener,
    listener,
    speaker,
)
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer, ScriptedSocket

REFRESHED = {"type": "connectionRefreshComplete", "status": "active"}


def without(message: dict[str, Any], field: str) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != field}


async def come_back(
    server: ScriptedServer, socket: ScriptedSocket, outcome: dict[str, Any]
) -> ScriptedSocket:
    """Drop the connection, let the client come back, and return the new connection."""
    socket.drop()
    await loop().elapse(1)
    return await answered(server, outcome)


def test_a_speaker_with_a_session_never_creates_another() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = speaker(server)
        creating = asyncio.create_task(client.create("en"))
        socket = await answered(server, without(CREATED, "connectionId"))
        assert (await creating).id == SESSION
        for _ in range(2):
            socket = await come_back(server, socket, REFRESHED)
            assert socket.done.popleft() == {
                "action": "refreshConnection",
                "sessionId": SESSION,
                "role": "speaker",
            }
            assert (client.session, client.state) == (SESSION, "live")
        await client.close()

    run(test())


def test_a_listener_without_a_connection_id_joins_anew_with_its_language() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = listener(server)
        joining = asyncio.create_task(client.join())
        socket = await answered(server, without(JOINED, "connectionId"))
        await joining
        changing = asyncio.create_task(client.change_language("fr"))
        await settle()
        socket.serve({"type": "languageChanged", "targetLanguage": "fr"})
        await changing
        socket = await come_back(server, socket, JOINED | {"targetLanguage": "fr"})
        assert list(socket.done) == [
            {"action": "joinSession", "sessionId": SESSION, "targetLanguage": "fr"}
        ]
        assert (client.language, client.state) == ("fr", "joined")
        await client.close()

    run(test())


@pytest.mark.parametrize("refreshes", [1, 2])
def test_a_listener_keeps_the_last_ids_that_it_knows(refreshes: int) -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined_listener(server)
        for _ in range(refreshes):
            socket = await come_back(server, socket, REFRESHED)
        sent = socket.done.popleft()
        assert isinstance(sent, dict)
        assert (sent["action"], sent["connectionId"], sent["sessionId"]) == (
            "refreshConnection",
            JOINED["connectionId"],
            SESSION,
        )
        await client.close()

    run(test())
