"""A listener and a speaker that are in a session."""

import asyncio
from typing import Any

from broadcast_sessions_client import Event, Listener, Speaker
from broadcast_sessions_client.client import Client
from client_support.scripted_loop import settle
from client_support.scripted_server import ScriptedServer, ScriptedSocket

URL = "ws://service.example/stage"
SESSION = "golden-eagle-427"
JOINED = {
    "type": "sessionJoined",
    "sessionId": SESSION,
    "connectionId": "XhS3QcXKIAMCFaw=",
    "sourceLanguage": "en",
    "targetLanguage": "es",
    "qualityTier": "standard",
    "status": "active",
    "heartbeatSeconds": 30,
    "timestamp": 1795708801000,
}
CREATED = {
    "type": "sessionCreated",
    "sessionId": SESSION,
    "connectionId": "XhS2ydpCoAMCJXw=",
    "sourceLanguage": "en",
    "qualityTier": "standard",
    "admission": "open",
    "maxListeners": 500,
    "inviteCode": "b3FQvY0mJ0h1VnKx",
    "expiresAt": 1795716000000,
    "heartbeatSeconds": 30,
    "timestamp": 1795708800000,
}


def listener(server: ScriptedServer) -> Listener:
    return Listener(URL, session=SESSION, language="es", environment=server.environment)


def speaker(server: ScriptedServer, token: Any = "t1") -> Speaker:
    return Speaker(URL, token=token, environment=server.environment)


async def answered(server: ScriptedServer, outcome: dict[str, Any]) -> ScriptedSocket:
    """Let the client open a connection, and answer its first command."""
    await settle()
    socket = server.openings.popleft().answer()
    await settle()
    socket.serve(outcome)
    await settle()
    return socket


async def joined_listener(server: ScriptedServer) -> tuple[Listener, ScriptedSocket]:
    joining = listener(server)
    call = asyncio.create_task(joining.join())
    socket = await answered(server, JOINED)
    await call
    return joining, socket


async def live_speaker(server: ScriptedServer) -> tuple[Speaker, ScriptedSocket]:
    creating = speaker(server)
    call = asyncio.create_task(creating.create("en"))
    socket = await answered(server, CREATED)
    await call
    return creating, socket


async def waiting_events(client: Client) -> list[Event]:
    """Return the events that the application hasn't taken."""
    return [await anext(client) for _ in range(client.buffer.length)]
