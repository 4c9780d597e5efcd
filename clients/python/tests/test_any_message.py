"""Messages with fields of any kind. They must not stop a client."""

from typing import Any

import pytest

from client_support.members import CREATED, JOINED, joined_listener, live_speaker
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer

ODD_VALUES: list[Any] = [None, True, -1, 1e999, 10**400, "x", "", [], [1], {}, {"es": "x"}]
MESSAGES: list[dict[str, Any]] = [
    JOINED,
    CREATED,
    {"type": "heartbeatAck", "connectedSeconds": 30, "heartbeatSeconds": 30, "listenerCount": 1},
    {"type": "heartbeatAck", "sessionId": "golden-eagle-427", "languages": {}, "status": "paused"},
    {"type": "error", "code": "FORBIDDEN", "message": "", "details": {}, "temporary": True},
    {"type": "error", "code": "RATE_LIMIT_EXCEEDED", "retryAfter": 1, "temporary": True},
    {"type": "sessionPaused", "sessionId": "golden-eagle-427", "timestamp": 1795708801001},
    {"type": "languageChanged", "targetLanguage": "fr"},
    {"type": "inviteCodeRotated", "inviteCode": "kD2mZ8rTq5wLx0Yc"},
    {"message": "Internal server error", "connectionId": "a", "requestId": "b"},
]
ODD_MESSAGES = [
    message | {field: value} for message in MESSAGES for field in message for value in ODD_VALUES
]


@pytest.mark.parametrize("member", [joined_listener, live_speaker])
def test_a_client_stays_in_its_session_whatever_arrives(member: Any) -> None:
    async def test() -> None:
        client, socket = await member(ScriptedServer())
        before = client.state
        for message in ODD_MESSAGES:
            socket.serve(message)
            socket.serve(message | {"requestId": "1"})
            socket.serve(message | {"requestId": ["1"]})
        await settle(len(ODD_MESSAGES))
        socket.serve(b"binary")
        socket.serve("[" * 100_000)
        await loop().elapse(30)
        assert client.state in (before, "paused")
        assert socket.done.pop() == {"action": "heartbeat"}
        await client.close()

    run(test())


def test_a_heartbeat_can_be_answered_with_anything() -> None:
    async def test() -> None:
        for message in ODD_MESSAGES:
            client, socket = await live_speaker(ScriptedServer())
            await loop().elapse(30)
            socket.serve(message)
            await settle()
            assert client.state in ("live", "paused", "reconnecting")
            await client.close()

    run(test())
