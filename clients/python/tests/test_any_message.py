"""Messages with fields of any kind. They must not stop a client."""

import asyncio
import math
from typing import Any

import pytest

from broadcast_sessions_client import SessionError
from client_support.captions import answer
from client_support.captions import message as caption_message
from client_support.members import (
    CREATED,
    JOINED,
    SESSION,
    answered,
    joined_listener,
    listener,
    live_speaker,
    speaker,
)
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer

NOW = 1795708800000
"""The scripted wall clock's start, in milliseconds as in timestamps."""

HOUR = 3_600_000

ODD_VALUES: list[Any] = [
    None,
    True,
    -1,
    1e999,
    math.nan,
    10**400,
    "x",
    "",
    [],
    [1],
    {},
    {"es": "x"},
]
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
    {"type": "captionAccepted", "captionId": "c1", "seq": 1},
    caption_message(2) | {"audio": {"url": "https://m.example/a.mp3"}, "durationMs": 1},
    answer([1, 2], 3, missed=1),
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


@pytest.mark.parametrize(
    ("interval", "seconds"), [(1, 1), (3600, 3600), (0.999, 30), (3601, 30), (1e-9, 30), ("9", 30)]
)
def test_an_interval_of_heartbeats_counts_from_a_second_to_an_hour(
    interval: Any, seconds: float
) -> None:
    async def test() -> None:
        server = ScriptedServer()
        joining = listener(server)
        call = asyncio.create_task(joining.join())
        socket = await answered(server, JOINED | {"heartbeatSeconds": interval})
        await call
        socket.done.clear()
        await loop().elapse(seconds - 0.1)
        assert not socket.done
        await loop().elapse(0.1)
        assert socket.done.pop() == {"action": "heartbeat"}
        await joining.close()

    run(test())


def test_an_interval_of_heartbeats_counts_only_in_outcomes() -> None:
    async def test() -> None:
        client, socket = await joined_listener(ScriptedServer())
        socket.serve({"type": "sessionPaused", "heartbeatSeconds": 1})
        await loop().elapse(30)
        changing = asyncio.create_task(client.change_language("fr"))
        await settle()
        socket.serve({"type": "error", "code": "FORBIDDEN", "heartbeatSeconds": 1})
        with pytest.raises(SessionError, match="FORBIDDEN"):
            await changing
        socket.serve({"type": "heartbeatAck", "sessionId": SESSION})
        await loop().elapse(29)
        assert list(socket.done).count({"action": "heartbeat"}) == 1
        await client.close()

    run(test())


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(7, 7), (0, 0), (3600, 3600), (3e6, 3600), (-1, 0), ("7", 0), (True, 0)],
)
def test_a_demanded_wait_counts_up_to_an_hour(retry_after: Any, seconds: float) -> None:
    refused = {"type": "error", "code": "RATE_LIMIT_EXCEEDED", "temporary": True}

    async def test() -> None:
        server = ScriptedServer()
        client = speaker(server)
        creating = asyncio.create_task(client.create("en"))
        await answered(server, refused | {"retryAfter": retry_after})
        with pytest.raises(SessionError) as caught:
            await creating
        assert caught.value.retry_after_seconds == seconds + 0.25
        await client.close()

    run(test())


@pytest.mark.parametrize(
    ("grace", "seconds"), [(0, 10), (5, 15), (3600, 3610), (3601, 70), (-1, 70), ("5", 70)]
)
def test_a_grace_period_counts_up_to_an_hour(grace: Any, seconds: float) -> None:
    async def test() -> None:
        server = ScriptedServer()
        joining = listener(server)
        call = asyncio.create_task(joining.join())
        socket = await answered(server, JOINED | {"heartbeatSeconds": 3600})
        await call
        socket.serve({"type": "sessionInterrupted", "graceSeconds": grace})
        await loop().elapse(seconds - 0.1)
        assert joining.state == "interrupted"
        await loop().elapse(0.2)
        assert joining.state == "refreshing"
        await joining.close()

    run(test())


@pytest.mark.parametrize(
    ("timestamp", "state"), [(1795708801001, "paused"), (1795708800999, "joined"), ("1", "paused")]
)
def test_a_timestamp_that_is_no_number_is_missing(timestamp: Any, state: str) -> None:
    async def test() -> None:
        client, socket = await joined_listener(ScriptedServer())
        socket.serve({"type": "sessionPaused", "timestamp": timestamp})
        await settle()
        assert client.state == state
        await client.close()

    run(test())


def test_a_timestamp_that_is_more_than_an_hour_ahead_is_missing() -> None:
    async def test() -> None:
        client, socket = await joined_listener(ScriptedServer())
        socket.serve({"type": "sessionPaused", "timestamp": NOW + HOUR + 1})
        await settle()
        assert client.state == "paused"
        socket.serve({"type": "sessionResumed", "timestamp": NOW + HOUR})
        await settle()
        assert client.state == "joined"
        await client.close()

        creator, socket = await live_speaker(ScriptedServer())
        for code, timestamp in (("new", NOW + HOUR + 1), ("newer", NOW + HOUR)):
            rotating = asyncio.create_task(creator.rotate_invite_code())
            await settle()
            rotated = {"type": "inviteCodeRotated", "inviteCode": code, "timestamp": timestamp}
            socket.serve(rotated)
            assert await rotating == code
            assert creator.invite_code == code
        await creator.close()

    run(test())


def test_the_status_of_an_outcome_counts_when_the_listener_comes_back() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined_listener(server)
        socket.serve({"type": "sessionPaused", "sessionId": SESSION, "timestamp": NOW + HOUR})
        await settle()
        socket.drop()
        await loop().elapse(1)
        outcome = JOINED | {"type": "connectionRefreshComplete", "timestamp": NOW}
        socket = await answered(server, outcome)
        assert client.state == "joined"
        socket.serve({"type": "sessionPaused", "sessionId": SESSION, "timestamp": NOW - 1})
        await settle()
        assert client.state == "joined"
        await client.close()

    run(test())


def test_a_request_id_that_is_no_text_is_missing() -> None:
    async def test() -> None:
        client, socket = await joined_listener(ScriptedServer())
        socket.serve({"type": "sessionPaused", "requestId": ["1"]})
        await settle()
        assert client.state == "paused"
        socket.serve({"type": 7, "message": "ignored"})
        socket.serve({"type": "sessionResumed", "requestId": "99"})
        await settle()
        assert client.state == "paused"
        await client.close()

    run(test())


def test_an_acknowledgement_whose_session_is_no_text_is_a_lost_membership() -> None:
    async def test() -> None:
        client, socket = await joined_listener(ScriptedServer())
        await loop().elapse(30)
        socket.serve({"type": "heartbeatAck", "sessionId": {}})
        await settle()
        assert (client.state, client.reason) == ("reconnecting", "membershipLost")
        await client.close()

    run(test())


def test_an_outcome_of_another_type_is_no_answer() -> None:
    async def test() -> None:
        client, socket = await live_speaker(ScriptedServer())
        pausing = asyncio.create_task(client.pause())
        await settle()
        socket.serve({"type": "sessionResumed", "sessionId": SESSION, "requestId": "2"})
        await settle()
        assert not pausing.done()
        socket.serve({"type": "sessionPaused", "sessionId": SESSION})
        await pausing
        await client.close()

    run(test())
