"""Hundreds of listeners that join, leave and are notified at once."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.stories import frames
from tests.stories.target import Target, client

REFUSED = 20
"""How many listeners too many join, at most."""


async def ask(connection: ClientConnection, **command: Any) -> dict[str, Any]:
    await connection.send(frames.encode(command))
    return frames.decode(await asyncio.wait_for(connection.recv(), 60))


async def counts_while(speaker: ClientConnection, crowd: "asyncio.Future[Any]") -> list[int]:
    """Request the count repeatedly until the crowd is done, and once more."""
    counts = []
    while not crowd.done():
        counts.append((await ask(speaker, action="getSessionStatus"))["listenerCount"])
    counts.append((await ask(speaker, action="getSessionStatus"))["listenerCount"])
    return counts


async def fill_and_empty(url: str, token: str, seats: int, refused: int) -> None:
    async with connect(f"{url}?token={token}", compression=None) as speaker:
        created = await ask(speaker, action="createSession", sourceLanguage="en")
        join = {
            "action": "joinSession",
            "sessionId": created["sessionId"],
            "targetLanguage": "es",
            "inviteCode": created["inviteCode"],
        }
        phones = await asyncio.gather(
            *(connect(url, compression=None, open_timeout=60) for _ in range(seats + refused))
        )
        joining = asyncio.gather(*(ask(phone, **join) for phone in phones))
        counts = await counts_while(speaker, joining)
        outcomes = Counter(answer.get("code", answer["type"]) for answer in joining.result())
        assert outcomes == {"sessionJoined": seats, "SESSION_FULL": refused}
        assert max(counts) == counts[-1] == seats
        assert counts == sorted(counts)

        status = await ask(speaker, action="getSessionStatus")
        assert status["languages"] == {"es": seats}

        leaving = asyncio.gather(*(phone.close() for phone in phones))
        await counts_while(speaker, leaving)
        async with asyncio.timeout(60):
            while (await ask(speaker, action="getSessionStatus"))["listenerCount"] > 0:
                pass
        status = await ask(speaker, action="getSessionStatus")
        assert (status["listenerCount"], status["languages"]) == (0, {})


@pytest.mark.alone
def test_a_session_fills_up_refuses_the_rest_and_empties(target: Target, token: str) -> None:
    refused = min(REFUSED, target.seats)
    asyncio.run(fill_and_empty(target.url, token, target.seats, refused))


async def end_for_all(url: str, token: str, listeners: int) -> list[dict[str, Any]]:
    async with connect(f"{url}?token={token}", compression=None) as speaker:
        created = await ask(speaker, action="createSession", sourceLanguage="en")
        query = f"action=joinSession&sessionId={created['sessionId']}&targetLanguage=fr"
        phones = await asyncio.gather(
            *(
                connect(f"{url}?{query}", compression=None, open_timeout=60)
                for _ in range(listeners)
            )
        )
        for phone in phones:
            assert frames.decode(await phone.recv())["type"] == "sessionJoined"
        await ask(speaker, action="endSession")
        notices = [frames.decode(await asyncio.wait_for(phone.recv(), 20)) for phone in phones]
        beats = [await ask(phone, action="heartbeat") for phone in phones]
        assert {beat["type"] for beat in beats} == {"heartbeatAck"}
        await asyncio.gather(*(phone.close() for phone in phones))
        return notices


def test_every_participant_receives_the_end_once(target: Target, token: str) -> None:
    notices = asyncio.run(end_for_all(target.url, token, min(60, target.seats)))
    assert {(notice["type"], notice["reason"]) for notice in notices} == {
        ("sessionEnded", "speakerEnded")
    }
    with client(target) as late:
        join = {"action": "joinSession", "sessionId": notices[0]["sessionId"]}
        assert late.ask(**join, targetLanguage="es")["code"] == "SESSION_NOT_FOUND"
