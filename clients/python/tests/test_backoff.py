"""The waits between attempts."""

import asyncio

import pytest

from broadcast_sessions_client import SessionError
from broadcast_sessions_client.backoff import Backoff
from client_support.members import answered, joined_listener, listener
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer


def test_waits_double_from_half_a_second_to_20_seconds_for_as_long_as_it_takes() -> None:
    backoff = Backoff(lambda: 1.0)
    waits = [backoff.next_seconds() for _ in range(2000)]
    assert waits[:7] == [0.5, 1, 2, 4, 8, 16, 20]
    assert set(waits[6:]) == {20}


def test_a_wait_is_random_and_comes_on_top_of_the_one_that_the_service_asks_for() -> None:
    backoff = Backoff(iter([0.0, 0.5, 0.25]).__next__)
    assert backoff.next_seconds() == 0
    assert backoff.next_seconds(7) == 7.5
    backoff.reset()
    assert backoff.next_seconds() == 0.125


def test_a_join_after_the_end_begins_with_short_waits() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined_listener(server)
        socket.drop()
        for _ in range(3):
            await loop().elapse(2)
            server.openings.popleft().answer("reset")
        await loop().elapse(9)
        await answered(server, {"type": "error", "code": "FORBIDDEN", "temporary": False})
        assert client.state == "failed"

        joining = asyncio.create_task(client.join())
        await settle()
        server.openings.popleft().answer("reset")
        with pytest.raises(SessionError) as caught:
            await joining
        assert caught.value.retry_after_seconds == 0.25
        await client.close()

    run(test())


@pytest.mark.parametrize(("seconds", "dials"), [(6.9, False), (7.1, True)])
def test_another_join_ends_only_the_wait_that_the_service_has_not_asked_for(
    seconds: float, dials: bool
) -> None:
    refused = {"type": "error", "code": "SESSION_FULL", "temporary": True, "retryAfter": 7}

    async def test() -> None:
        server = ScriptedServer()
        client = listener(server)
        first = asyncio.create_task(client.join())
        await answered(server, refused)
        await loop().elapse(seconds)
        second = asyncio.create_task(client.join())
        await settle()
        assert len(server.openings) == dials
        await client.close()
        await asyncio.gather(first, second, return_exceptions=True)

    run(test())
