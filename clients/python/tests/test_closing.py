"""Calls that are cancelled, contexts that fail, and the end of everything."""

import asyncio
from typing import Any

import pytest

from broadcast_sessions_client import Listener, OwnedSession, SessionEnded, SessionError, Speaker
from client_support.captions import message
from client_support.members import (
    CREATED,
    JOINED,
    SESSION,
    URL,
    answered,
    joined_listener,
    listener,
    live_speaker,
    speaker,
    waiting_events,
)
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer

HOUR = 3600
INVITE = str(CREATED["inviteCode"])
REFUSED: dict[str, Any] = {"type": "error", "code": "SESSION_NOT_FOUND", "temporary": False}
FULL: dict[str, Any] = {"type": "error", "code": "SESSION_FULL", "temporary": True}


def test_closing_twice_is_fine_and_nothing_runs_afterwards() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined_listener(server)
        await asyncio.gather(client.close(), client.close())
        await client.close()
        assert not socket.is_open
        assert (await waiting_events(client))[-1] == SessionEnded("ended", "closed")
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await loop().elapse(HOUR)
        assert (client.buffer.length, list(server.openings)) == (0, [])

    run(test())


def test_an_interruption_ends_with_the_client() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined_listener(server)
        socket.serve({"type": "sessionInterrupted", "graceSeconds": 60})
        await settle()
        assert client.state == "interrupted"
        await client.close()
        await loop().elapse(HOUR)
        assert list(server.openings) == []

    run(test())


def test_a_client_that_has_never_joined_can_be_closed() -> None:
    async def test() -> None:
        client = listener(ScriptedServer())
        await client.close()
        with pytest.raises(SessionError, match="CLOSED"):
            await client.join()
        with pytest.raises(SessionError, match="CLOSED"):
            await client.change_language("fr")

    run(test())


def test_no_event_follows_the_end() -> None:
    async def test() -> None:
        client, socket = await joined_listener(ScriptedServer())
        socket.serve(message(1))
        await client.close()
        assert (await waiting_events(client))[-1] == SessionEnded("ended", "closed")

    run(test())


def test_a_call_in_progress_is_rejected_when_the_client_closes() -> None:
    async def test() -> None:
        client, _ = await live_speaker(ScriptedServer())
        pausing = asyncio.create_task(client.pause())
        await settle()
        await client.close()
        with pytest.raises(SessionError, match="CLOSED"):
            await pausing

    run(test())


def test_a_cancelled_join_that_nobody_else_waits_for_is_given_up() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = listener(server)
        joining = [asyncio.create_task(client.join()) for _ in range(2)]
        await settle()
        socket = server.openings.popleft().answer()
        await settle()
        joining[0].cancel()
        await settle()
        assert (client.state, socket.is_open) == ("connecting", True)
        joining[1].cancel()
        await settle()
        assert (client.state, socket.done.pop()) == ("idle", 1000)
        assert asyncio.all_tasks() == {asyncio.current_task()}

        again = asyncio.create_task(client.join())
        await answered(server, JOINED)
        assert (await again).id == SESSION
        await client.close()

    run(test())


def test_a_cancelled_join_leaves_a_client_that_has_been_in_the_session() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined_listener(server)
        socket.drop()
        await settle()
        joining = asyncio.create_task(client.join())
        await settle()
        joining.cancel()
        await answered(server, JOINED | {"type": "connectionRefreshComplete"})
        assert client.state == "joined"
        await client.close()

    run(test())


def test_a_cancelled_join_leaves_the_attempts_in_the_background() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = listener(server)
        first = asyncio.create_task(client.join())
        await answered(server, FULL)
        with pytest.raises(SessionError):
            await first
        joining = asyncio.create_task(client.join())
        await settle()
        joining.cancel()
        await answered(server, JOINED)
        assert client.state == "joined"
        await client.close()

    run(test())


def test_a_cancelled_create_leaves_nothing_behind() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = speaker(server)
        creating = asyncio.create_task(client.create("en"))
        await settle()
        socket = server.openings.popleft().answer()
        await settle()
        pausing = asyncio.create_task(client.pause())
        await settle()
        creating.cancel()
        await settle()
        assert (client.state, socket.done.pop()) == ("idle", 1000)
        with pytest.raises(SessionError, match="NO_SESSION"):
            await pausing
        again = asyncio.create_task(client.create("en"))
        await answered(server, CREATED)
        assert (await again).id == SESSION
        await client.close()

    run(test())


def test_a_create_that_is_cancelled_with_its_outcome_leaves_no_session() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = speaker(server)
        creating = asyncio.create_task(client.create("en"))
        await settle()
        socket = server.openings.popleft().answer()
        await settle()
        socket.serve(CREATED)
        while client.state != "live":
            await asyncio.sleep(0)
        creating.cancel()
        await settle()
        assert creating.cancelled()
        assert (client.state, client.session, socket.done.pop()) == ("idle", None, 1000)
        await client.close()

    run(test())


def test_a_cancelled_take_over_does_not_end_the_session() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = speaker(server)
        taking_over = asyncio.create_task(client.take_over(SESSION))
        await settle()
        socket = server.openings.popleft().answer()
        await settle()
        taking_over.cancel()
        await settle()
        assert (client.state, socket.done.pop()) == ("idle", 4000)
        await client.close()

    run(test())


def test_a_context_raises_a_final_refusal_and_closes() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = listener(server)

        async def enter() -> None:
            async with client:
                raise AssertionError("the join was refused")

        entering = asyncio.create_task(enter())
        socket = await answered(server, REFUSED)
        with pytest.raises(SessionError, match="SESSION_NOT_FOUND"):
            await entering
        assert not socket.is_open
        with pytest.raises(SessionError, match="CLOSED"):
            await client.join()

    run(test())


def test_a_context_with_a_temporary_refusal_begins_and_goes_on_trying() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = listener(server)

        async def enter() -> None:
            async with client:
                assert client.state == "reconnecting"
                await loop().elapse(1)
                await answered(server, JOINED)
                assert client.state == "joined"

        entering = asyncio.create_task(enter())
        await answered(server, FULL)
        await entering
        assert client.state == "ended"

    run(test())


def test_a_cancelled_context_closes() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = listener(server)
        entering = asyncio.create_task(client.__aenter__())
        await settle()
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert client.state == "ended"

    run(test())


def test_an_error_in_the_body_of_a_context_closes_and_is_raised() -> None:
    async def test() -> None:
        client, socket = await live_speaker(ScriptedServer())
        with pytest.raises(LookupError):
            async with client:
                raise LookupError
        assert not socket.is_open

    run(test())


def test_a_client_can_join_anew_after_the_end() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined_listener(server)
        socket.serve({"type": "sessionEnded", "reason": "expired"})
        await settle()
        assert [it async for it in client][-1] == SessionEnded("ended", "expired")
        joining = asyncio.create_task(client.join())
        await answered(server, JOINED)
        await joining
        assert client.state == "joined"
        await client.close()

    run(test())


def test_a_second_create_is_refused() -> None:
    async def test() -> None:
        client, _ = await live_speaker(ScriptedServer())
        with pytest.raises(SessionError, match="CONFLICT"):
            await client.create("en")
        with pytest.raises(SessionError, match="CONFLICT"):
            await client.take_over("bright-otter-102")
        await client.close()

    run(test())


@pytest.mark.parametrize("session_id", [SESSION, " Golden  Eagle_427"])
def test_a_speaker_can_wait_for_the_session_that_it_is_entering(session_id: str) -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = speaker(server)
        taking_over = [asyncio.create_task(client.take_over(it)) for it in (SESSION, session_id)]
        await answered(server, CREATED | {"type": "connectionRefreshComplete", "status": "paused"})
        assert [await it for it in taking_over] == [OwnedSession(SESSION, INVITE, "paused")] * 2
        with pytest.raises(SessionError, match="CONFLICT"):
            await client.create("en")
        await client.close()

    run(test())


@pytest.mark.parametrize("session_id", [SESSION, "GOLDEN EAGLE 427"])
def test_a_speaker_can_wait_for_its_session_while_it_comes_back(session_id: str) -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await live_speaker(server)
        socket.drop()
        await settle()
        taking_over = asyncio.create_task(client.take_over(session_id))
        await answered(server, CREATED | {"type": "connectionRefreshComplete", "status": "active"})
        assert await taking_over == OwnedSession(SESSION, INVITE, "active")
        await client.close()

    run(test())


def test_a_session_that_is_being_created_has_no_id_to_take_over() -> None:
    async def test() -> None:
        client = speaker(ScriptedServer())
        creating = asyncio.create_task(client.create("en"))
        await settle()
        with pytest.raises(SessionError, match="CONFLICT"):
            await client.take_over(SESSION)
        await client.close()
        assert isinstance(creating.exception(), SessionError)

    run(test())


def test_a_client_that_is_closed_before_it_begins_asks_for_no_token() -> None:
    asked = []

    def ask() -> str:
        asked.append(True)
        return "t1"

    async def test() -> None:
        client = speaker(ScriptedServer(), ask)
        creating = asyncio.create_task(client.create("en"))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(SessionError, match="CLOSED"):
            await creating
        assert asked == []
        await client.close()

    run(test())


@pytest.mark.parametrize(
    ("url", "session", "language"),
    [
        ("http://a.example", SESSION, "es"),
        ("ws:", SESSION, "es"),
        ("ws://a.example:port", SESSION, "es"),
        (URL, " ", "es"),
        (URL, SESSION, ""),
    ],
)
def test_impossible_arguments_are_refused(url: str, session: str, language: str) -> None:
    with pytest.raises(ValueError, match=r"URL must be that of a WebSocket|needs a session"):
        Listener(url, session=session, language=language)


@pytest.mark.parametrize(("session", "language"), [(None, "es"), (SESSION, None), (1, "es")])
def test_arguments_that_are_no_text_are_refused(session: Any, language: Any) -> None:
    with pytest.raises(ValueError, match="needs a session and a language"):
        Listener(URL, session=session, language=language)


@pytest.mark.parametrize("token", ["", " ", "two words", "two\nlines", None])
def test_a_speaker_without_a_token_is_refused(token: Any) -> None:
    with pytest.raises(ValueError, match="needs a token"):
        Speaker(URL, token=token)
