"""The recovery of captions that a listener has missed."""

import asyncio
from typing import Any

import pytest

from broadcast_sessions_client import Caption, Event, Gap, Listener, SessionEnded, StateChanged
from client_support.captions import answer, caption, message
from client_support.members import JOINED, SESSION, answered, listener, waiting_events
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer, ScriptedSocket

REFRESHED = JOINED | {"type": "connectionRefreshComplete"}
FAILED = {"type": "error", "code": "INTERNAL_ERROR", "message": "", "temporary": True}


def requests(socket: ScriptedSocket) -> list[int]:
    """Return the `afterSeq` of the requests that a listener has sent since the last call."""
    frames = [it for it in socket.done if isinstance(it, dict)]
    socket.done.clear()
    return [it["afterSeq"] for it in frames if it["action"] == "getCaptions"]


async def joined(server: ScriptedServer, last_seq: Any = 4) -> tuple[Listener, ScriptedSocket]:
    client = listener(server)
    call = asyncio.create_task(client.join())
    socket = await answered(server, JOINED | {"lastSeq": last_seq})
    await call
    await captions_of(client)
    return client, socket


async def arrive(socket: ScriptedSocket, *messages: dict[str, Any]) -> None:
    for it in messages:
        socket.serve(it)
    await settle(len(messages))


async def captions_of(client: Listener) -> list[Event]:
    return [it for it in await waiting_events(client) if isinstance(it, Caption | Gap)]


async def returned(
    client: Listener, server: ScriptedServer, socket: ScriptedSocket, last_seq: int
) -> ScriptedSocket:
    """Drop the connection, and let the listener come back."""
    socket.drop()
    await loop().elapse(1)
    return await answered(server, REFRESHED | {"lastSeq": last_seq})


def test_captions_are_delivered_once_and_in_order_from_the_join_on() -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer())
        await arrive(socket, *(message(seq) for seq in (4, 6, 5, 6, 7, 5)))
        assert await captions_of(client) == [caption(5), caption(6), caption(7)]
        await loop().elapse(10)
        assert requests(socket) == []
        await client.close()

    run(test())


def test_a_missing_caption_is_requested_after_two_seconds() -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer())
        await arrive(socket, message(6))
        await loop().elapse(1)
        await arrive(socket, message(7))
        await loop().elapse(0.9)
        assert requests(socket) == []
        await loop().elapse(0.1)
        assert requests(socket) == [4]
        await arrive(socket, answer([5, 6, 7], 7), message(8))
        assert await captions_of(client) == [caption(seq) for seq in (5, 6, 7, 8)]
        await loop().elapse(10)
        assert requests(socket) == []
        await client.close()

    run(test())


def test_each_missing_caption_has_two_seconds_to_arrive() -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer())
        await arrive(socket, message(6), message(8))
        await loop().elapse(1.5)
        await arrive(socket, message(5))
        assert await captions_of(client) == [caption(5), caption(6)]
        await loop().elapse(1.9)
        assert requests(socket) == []
        await loop().elapse(0.1)
        assert requests(socket) == [6]
        await client.close()

    run(test())


def test_captions_that_are_no_longer_kept_are_a_gap_at_its_place() -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer())
        await arrive(socket, message(9))
        await loop().elapse(2)
        await arrive(socket, answer([7], 9, missed=4))
        expected = [Gap("es", 4, 2), caption(7), Gap("es", 7, 1), caption(9)]
        assert await captions_of(client) == expected
        await arrive(socket, message(8), message(10))
        assert await captions_of(client) == [caption(10)]
        await client.close()

    run(test())


def test_more_captions_are_requested_at_once() -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer())
        await arrive(socket, message(7))
        await loop().elapse(2)
        assert requests(socket) == [4]
        await arrive(socket, answer([5], 5, more=True))
        assert requests(socket) == [5]
        # The listener doesn't know yet that 9 exists.
        await arrive(socket, answer([6, 7, 8], 8, more=True))
        assert requests(socket) == [8]
        await arrive(socket, answer([9], 9))
        assert await captions_of(client) == [caption(seq) for seq in (5, 6, 7, 8, 9)]
        await loop().elapse(10)
        assert requests(socket) == []
        await client.close()

    run(test())


@pytest.mark.parametrize(
    "useless",
    [
        answer([], 4),
        answer([], 4, more=True),
        answer([], 0, more=True),
        answer([5, 6], 6, language="fr"),
        answer([5, 6], 6) | {"lastSeq": 10**400},
        FAILED,
        FAILED | {"code": "INVALID_ACTION", "temporary": False},
    ],
)
def test_a_useless_answer_is_followed_by_another_request_after_two_seconds(
    useless: dict[str, Any],
) -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer())
        await arrive(socket, message(6))
        await loop().elapse(2)
        for _ in range(3):
            assert requests(socket) == [4]
            await arrive(socket, useless)
            await loop().elapse(1.9)
            assert requests(socket) == []
            await loop().elapse(0.1)
        assert await captions_of(client) == []
        assert requests(socket) == [4]
        await arrive(socket, answer([5, 6], 6))
        assert await captions_of(client) == [caption(5), caption(6)]
        await client.close()

    run(test())


def test_a_refused_request_is_repeated_when_the_service_allows_it() -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer())
        await arrive(socket, message(6))
        await loop().elapse(2)
        assert requests(socket) == [4]
        await arrive(socket, message(7))
        await loop().elapse(1)
        await arrive(socket, FAILED | {"retryAfter": 3})
        await loop().elapse(4.9)
        assert requests(socket) == []
        await loop().elapse(0.1)
        assert requests(socket) == [4]
        await client.close()

    run(test())


def test_a_request_without_an_answer_is_repeated_and_the_connection_stays() -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer())
        await arrive(socket, message(6))
        await loop().elapse(2)
        assert requests(socket) == [4]
        await arrive(socket, message(8))
        await loop().elapse(11.9)
        assert requests(socket) == []
        await loop().elapse(0.1)
        assert requests(socket) == [4]
        assert socket.is_open
        await client.close()

    run(test())


def test_an_answer_can_end_before_a_caption_that_is_on_its_way() -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer())
        await arrive(socket, message(7))
        await loop().elapse(2)
        assert requests(socket) == [4]
        await arrive(socket, answer([5], 5))
        assert await captions_of(client) == [caption(5)]
        await loop().elapse(1.9)
        await arrive(socket, message(9))
        assert requests(socket) == []
        await loop().elapse(0.1)
        assert requests(socket) == [5]
        await arrive(socket, message(6), message(8))
        assert await captions_of(client) == [caption(seq) for seq in (6, 7, 8, 9)]
        await arrive(socket, answer([6, 7], 7))
        await loop().elapse(10)
        assert (await captions_of(client), requests(socket)) == ([], [])
        await client.close()

    run(test())


def test_captions_that_a_listener_has_missed_while_away_are_requested_at_once() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined(server)
        await arrive(socket, message(5))
        socket = await returned(client, server, socket, last_seq=7)
        assert requests(socket) == [5]
        await arrive(socket, answer([6, 7], 7))
        events = await waiting_events(client)
        assert events[-3:] == [StateChanged("joined"), caption(6), caption(7)]
        socket = await returned(client, server, socket, last_seq=7)
        await loop().elapse(10)
        assert requests(socket) == []
        await client.close()

    run(test())


def test_nothing_is_requested_while_there_is_no_connection() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined(server)
        await arrive(socket, message(6))
        socket.drop()
        await loop().elapse(9)
        assert requests(socket) == []
        # An outcome without a number says nothing, but 5 is missing.
        socket = await answered(server, REFRESHED)
        assert requests(socket) == [4]
        await client.close()

    run(test())


def test_a_request_in_flight_is_repeated_on_the_next_connection_at_once() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, old = await joined(server)
        await loop().elapse(5)
        await arrive(old, {"type": "connectionRefreshRequired", "sessionId": SESSION}, message(6))
        new = server.openings.popleft().answer()
        await loop().elapse(2)
        assert requests(old) == [4]
        await arrive(new, message(7), REFRESHED | {"lastSeq": 7})
        assert requests(new) == [4]
        old.serve(answer([5, 6], 6))
        await arrive(new, message(8))
        await loop().elapse(5)
        assert requests(new) == []
        await arrive(new, answer([5, 6, 7], 7))
        assert await captions_of(client) == [caption(seq) for seq in (5, 6, 7, 8)]
        await loop().elapse(10)
        assert requests(new) == []
        await client.close()

    run(test())


def test_a_listener_whose_request_finds_no_membership_comes_back() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined(server)
        await arrive(socket, message(6))
        await loop().elapse(2)
        assert requests(socket) == [4]
        await arrive(socket, {"type": "error", "code": "SESSION_NOT_FOUND", "temporary": False})
        assert (client.state, client.reason) == ("reconnecting", "membershipLost")
        socket = await answered(server, REFRESHED | {"lastSeq": 6})
        assert requests(socket) == [4]
        await loop().elapse(9)
        assert requests(socket) == []
        await client.close()

    run(test())


def test_a_new_language_begins_after_its_last_caption() -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer())
        await arrive(socket, message(6))
        changing = asyncio.create_task(client.change_language("fr"))
        await settle()
        await arrive(socket, message(9, "fr"), message(10, "fr"))
        await arrive(socket, {"type": "languageChanged", "targetLanguage": "fr", "lastSeq": 9})
        await changing
        await arrive(socket, message(5), message(7), message(9, "fr"), message(10, "fr"))
        assert await captions_of(client) == [caption(10, "fr")]
        await loop().elapse(10)
        assert requests(socket) == []
        await client.close()

    run(test())


async def change_language(
    client: Listener, socket: ScriptedSocket, language: str, last_seq: int
) -> None:
    changing = asyncio.create_task(client.change_language(language))
    await settle()
    changed = {"type": "languageChanged", "targetLanguage": language, "lastSeq": last_seq}
    await arrive(socket, changed)
    await changing


def test_an_answer_about_the_language_before_is_ignored() -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer())
        await arrive(socket, message(6))
        await loop().elapse(2)
        assert requests(socket) == [4]
        await change_language(client, socket, "fr", 9)
        await arrive(socket, message(11, "fr"))
        await loop().elapse(2)
        assert requests(socket) == []  # The first request is still in flight.
        await arrive(socket, answer([5], 11, missed=6, more=True))
        assert await captions_of(client) == []
        await loop().elapse(2)
        assert requests(socket) == [9]
        await client.close()

    run(test())


def test_an_answer_counts_after_a_change_to_another_language_and_back() -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer())
        await arrive(socket, message(6))
        await loop().elapse(2)
        assert requests(socket) == [4]
        await change_language(client, socket, "fr", 9)
        await change_language(client, socket, "es", 6)
        await arrive(socket, message(8))
        await arrive(socket, answer([5, 6], 7, missed=1))
        assert await captions_of(client) == [Gap("es", 6, 1), caption(8)]
        await loop().elapse(10)
        assert requests(socket) == []
        await client.close()

    run(test())


def test_an_answer_that_comes_late_counts() -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer())
        await arrive(socket, message(6), message(8))
        await loop().elapse(2 + 10)
        assert requests(socket) == [4]
        await arrive(socket, answer([5], 5))
        assert await captions_of(client) == [caption(5), caption(6)]
        await loop().elapse(2)
        assert requests(socket) == [6]
        await client.close()

    run(test())


def test_a_choice_of_the_same_language_loses_no_caption() -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer())
        changing = asyncio.create_task(client.change_language("es-MX"))
        await settle()
        await arrive(socket, message(6))
        await loop().elapse(2)
        assert requests(socket) == [4]
        await arrive(socket, {"type": "languageChanged", "targetLanguage": "es", "lastSeq": 6})
        await changing
        assert requests(socket) == []  # The first request is still in flight.
        await arrive(socket, answer([5, 6], 6))
        assert await captions_of(client) == [caption(5), caption(6)]
        await client.close()

    run(test())


def test_a_listener_that_comes_back_in_another_language_begins_anew() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined(server)
        await arrive(socket, message(6))
        socket.drop()
        await loop().elapse(9)
        outcome = REFRESHED | {"targetLanguage": "fr", "lastSeq": 9}
        socket = await answered(server, outcome)
        await arrive(socket, message(5), message(10, "fr"))
        assert await captions_of(client) == [caption(10, "fr")]
        await loop().elapse(10)
        assert requests(socket) == []
        await client.close()

    run(test())


def test_no_caption_follows_the_end_of_the_session() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined(server)
        await arrive(socket, message(6))
        await loop().elapse(2)
        assert requests(socket) == [4]
        ended = {"type": "sessionEnded", "sessionId": SESSION, "reason": "speakerEnded"}
        await arrive(socket, ended, answer([5, 6], 6), message(7))
        assert await waiting_events(client) == [SessionEnded("ended", "speakerEnded")]
        await loop().elapse(10)
        assert requests(socket) == []

        call = asyncio.create_task(client.join())
        socket = await answered(server, JOINED | {"lastSeq": 20})
        await call
        await arrive(socket, message(21))
        assert await captions_of(client) == [caption(21)]
        assert requests(socket) == []
        await client.close()

    run(test())


def test_a_listener_that_joins_again_after_a_failure_recovers_what_it_missed() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined(server)
        socket.drop()
        await loop().elapse(1)
        await answered(server, {"type": "error", "code": "FORBIDDEN", "temporary": False})
        assert client.state == "failed"
        call = asyncio.create_task(client.join())
        socket = await answered(server, JOINED | {"lastSeq": 6})
        await call
        assert requests(socket) == [4]
        await arrive(socket, answer([5, 6], 6))
        assert await captions_of(client) == [caption(5), caption(6)]
        await client.close()

    run(test())


@pytest.mark.parametrize("last_seq", [None, -1, "4", 10**400, [4]])
def test_a_language_without_a_last_number_begins_at_its_first_caption(last_seq: Any) -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer(), last_seq)
        await arrive(socket, message(1), message(2))
        assert await captions_of(client) == [caption(1), caption(2)]
        await client.close()

    run(test())


def test_captions_before_the_join_are_ignored() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = listener(server)
        call = asyncio.create_task(client.join())
        await settle()
        socket = server.openings.popleft().answer()
        await settle()
        await arrive(socket, message(4), JOINED | {"lastSeq": 4})
        await call
        assert await captions_of(client) == []
        await client.close()

    run(test())


def test_a_full_answer_and_the_captions_after_it_find_room_for_the_application() -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer(), 0)
        await arrive(socket, *(message(seq) for seq in range(202, 402)))
        await loop().elapse(2)
        await arrive(socket, answer(range(2, 202), 201, missed=1))
        assert client.buffer.dropped == 0
        expected = [Gap("es", 0, 1), *(caption(seq) for seq in range(2, 402))]
        assert await captions_of(client) == expected
        await client.close()

    run(test())


def test_captions_take_a_timer_only_while_one_is_missing_and_a_task_only_for_a_request() -> None:
    async def test() -> None:
        client, socket = await joined(ScriptedServer())
        tasks, timers = len(asyncio.all_tasks()), loop().timers

        def added() -> tuple[int, int]:
            return len(asyncio.all_tasks()) - tasks, loop().timers - timers

        await arrive(socket, message(5))
        assert added() == (0, 0)
        await arrive(socket, message(7))
        assert added() == (0, 1)
        await loop().elapse(2)
        assert added() == (1, 1)  # The timer is that of the answer.
        await arrive(socket, answer([6, 7], 7))
        assert added() == (0, 0)
        await client.close()

    run(test())


@pytest.mark.parametrize("code", ["FORBIDDEN", "SESSION_NOT_FOUND"])
def test_a_listener_that_has_ended_leaves_no_timer(code: str) -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined(server)
        await arrive(socket, message(6))
        socket.drop()
        await loop().elapse(1)
        await answered(server, {"type": "error", "code": code, "temporary": False})
        assert client.state in ("failed", "ended")
        assert loop().timers == 0

    run(test())
