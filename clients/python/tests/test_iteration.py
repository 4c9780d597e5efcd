"""The iteration over events."""

import asyncio

import pytest

from broadcast_sessions_client import (
    AudienceChanged,
    Counts,
    SessionEnded,
    StateChanged,
)
from client_support.captions import caption, message
from client_support.members import joined_listener, live_speaker, waiting_events
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer

CAPACITY = 500


def test_an_application_that_stops_iterating_loses_only_the_oldest_events() -> None:
    async def test() -> None:
        listener, socket = await joined_listener(ScriptedServer())
        for number in range(CAPACITY):
            socket.serve({"type": "sessionPaused", "timestamp": 1795708801000 + 2 * number})
            socket.serve({"type": "sessionResumed", "timestamp": 1795708801001 + 2 * number})
        socket.serve({"type": "sessionEnded", "reason": "speakerEnded"})
        await settle(2 * CAPACITY)
        assert listener.buffer == Counts(CAPACITY, 2 + 2 * CAPACITY + 1 - CAPACITY)
        events = [event async for event in listener]
        assert events[-1] == SessionEnded("ended", "speakerEnded")
        assert events[-2] == StateChanged("joined")

    run(test())


def test_the_iteration_waits_for_events_and_ends_with_the_session() -> None:
    async def test() -> None:
        listener, socket = await joined_listener(ScriptedServer())
        events = []

        async def iterate() -> None:
            events.extend([event async for event in listener])

        iteration = asyncio.create_task(iterate())
        await settle()
        socket.serve({"type": "sessionInterrupted", "timestamp": 1795708801001})
        await settle()
        socket.serve({"type": "sessionEnded", "reason": "speakerLost"})
        await iteration
        assert [(it.state, it.reason) for it in events] == [
            ("connecting", None),
            ("joined", None),
            ("interrupted", "speakerAway"),
            ("ended", "speakerLost"),
        ]
        assert [event async for event in listener] == []

    run(test())


def test_a_client_can_be_closed_inside_the_iteration() -> None:
    async def test() -> None:
        listener, _ = await joined_listener(ScriptedServer())
        events = []
        async for event in listener:
            events.append(event)
            await listener.close()
        assert events[-1] == SessionEnded("ended", "closed")

    run(test())


def test_an_iteration_before_the_join_waits_and_ends_when_the_client_closes() -> None:
    async def test() -> None:
        speaker, _ = await live_speaker(ScriptedServer())
        await waiting_events(speaker)
        iteration = asyncio.create_task(anext(speaker))
        await settle()
        assert not iteration.done()
        await speaker.close()
        assert await iteration == SessionEnded("ended", "closed")
        with pytest.raises(StopAsyncIteration):
            await anext(speaker)

    run(test())


def test_a_speaker_gets_audience_events_and_a_listener_gets_captions() -> None:
    async def test() -> None:
        speaker, socket = await live_speaker(ScriptedServer())
        listener, listeners_socket = await joined_listener(ScriptedServer())
        await loop().elapse(30)
        ack = {"type": "heartbeatAck", "sessionId": "golden-eagle-427", "status": "active"}
        socket.serve(ack | {"listenerCount": 2, "languages": {"es": 2}})
        listeners_socket.serve(message(1))
        await settle()
        assert (await waiting_events(speaker))[-1] == AudienceChanged(2, {"es": 2})
        assert (speaker.listener_count, speaker.languages) == (2, {"es": 2})
        assert (await waiting_events(listener))[-1] == caption(1)
        await speaker.close()
        await listener.close()

    run(test())
