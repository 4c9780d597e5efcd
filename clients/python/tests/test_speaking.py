"""The captions and the audience of a speaker."""

import asyncio
from typing import Any

import pytest

from broadcast_sessions_client import AudienceChanged, CaptionAccepted, SessionError
from client_support.members import CREATED, SESSION, answered, live_speaker, waiting_events
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer

REFRESHED = CREATED | {"type": "connectionRefreshComplete"}


def accepted(caption_id: Any, seq: Any) -> dict[str, Any]:
    return {"type": "captionAccepted", "sessionId": SESSION, "captionId": caption_id, "seq": seq}


def test_a_caption_is_sent_with_its_id() -> None:
    async def test() -> None:
        client, socket = await live_speaker(ScriptedServer())
        sending = asyncio.create_task(client.send_caption("Good morning", "m1"))
        await settle()
        expected = {"action": "sendCaption", "text": "Good morning", "captionId": "m1"}
        assert socket.done.pop() == expected
        socket.serve(accepted("m1", 7))
        assert await sending == CaptionAccepted("m1", 7)
        await client.close()

    run(test())


def test_a_caption_without_an_id_keeps_its_own_over_a_lost_connection() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await live_speaker(server)
        sending = asyncio.create_task(client.send_caption("Good morning"))
        await settle()
        sent = socket.done.pop()
        assert isinstance(sent, dict)
        socket.drop()
        await loop().elapse(1)
        socket = await answered(server, REFRESHED)
        assert socket.done.pop() == sent
        socket.serve(accepted(sent["captionId"], 1))
        assert await sending == CaptionAccepted(sent["captionId"], 1)
        await client.close()

    run(test())


def test_each_caption_without_an_id_has_another_one() -> None:
    async def test() -> None:
        client, socket = await live_speaker(ScriptedServer())
        caption_ids = set()
        for seq in (1, 2):
            sending = asyncio.create_task(client.send_caption("Amen"))
            await settle()
            sent = socket.done.pop()
            assert isinstance(sent, dict)
            caption_ids.add(sent["captionId"])
            socket.serve(accepted(sent["captionId"], seq))
            assert (await sending).seq == seq
        assert len(caption_ids) == 2
        await client.close()

    run(test())


def test_a_refused_caption_raises() -> None:
    async def test() -> None:
        client, socket = await live_speaker(ScriptedServer())
        sending = asyncio.create_task(client.send_caption(""))
        await settle()
        socket.serve({"type": "error", "code": "INVALID_PARAMETERS", "temporary": False})
        with pytest.raises(SessionError, match="INVALID_PARAMETERS"):
            await sending
        await client.close()
        with pytest.raises(SessionError, match="CLOSED"):
            await client.send_caption("Good morning")

    run(test())


def test_a_notice_changes_the_status_and_the_audience() -> None:
    async def test() -> None:
        client, socket = await live_speaker(ScriptedServer())
        await waiting_events(client)
        notice = {
            "type": "sessionStatus",
            "sessionId": SESSION,
            "status": "paused",
            "listenerCount": 3,
            "languages": {"es": 2, "fr": 1},
        }
        socket.serve(notice)
        socket.serve(notice)
        await settle(2)
        assert client.state == "paused"
        assert (client.listener_count, client.languages) == (3, {"es": 2, "fr": 1})
        audiences = [it for it in await waiting_events(client) if isinstance(it, AudienceChanged)]
        assert audiences == [AudienceChanged(3, {"es": 2, "fr": 1})]
        await client.close()

    run(test())


def test_a_notice_does_not_answer_a_question_about_the_status() -> None:
    async def test() -> None:
        client, socket = await live_speaker(ScriptedServer())
        asking = asyncio.create_task(client.status())
        await settle()
        status = {"type": "sessionStatus", "sessionId": SESSION, "languages": {"es": 2}}
        socket.serve(status | {"listenerCount": 2, "requestId": ""})
        await settle()
        assert not asking.done()
        assert client.listener_count == 2
        socket.serve(status | {"listenerCount": 3})
        assert (await asking).listener_count == 3
        await client.close()

    run(test())


def test_a_notice_that_is_older_than_the_last_one_changes_nothing_until_the_speaker_returns() -> (
    None
):
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await live_speaker(server)

        async def hear(count: int, timestamp: int) -> int:
            notice = {"type": "sessionStatus", "sessionId": SESSION, "listenerCount": count}
            socket.serve(notice | {"timestamp": timestamp})
            await settle()
            return client.listener_count

        assert await hear(2, 1795708800020) == 2
        assert await hear(1, 1795708800019) == 2
        assert await hear(3, 1795708800020) == 3
        socket.drop()
        await loop().elapse(1)
        socket = await answered(server, REFRESHED)
        assert await hear(4, 1795708800001) == 4
        await client.close()

    run(test())
