"""The Python client against the local server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from broadcast_sessions_client import (
    Event,
    Listener,
    SessionEnded,
    SessionError,
    Speaker,
    StateChanged,
)
from tests.stories.gate import Gate
from tests.stories.target import HIGH_LIMITS, Target, local_server

REFRESHES = 3


async def states(client: Speaker | Listener, *wanted: str) -> list[str]:
    """Iterate until these states have followed one another, and return all states until then."""
    seen: list[str] = []
    rest = list(wanted)
    while rest:
        event: Event = await anext(client)
        if isinstance(event, StateChanged):
            seen.append(event.state)
            if event.state == rest[0]:
                del rest[0]
    return seen


@asynccontextmanager
async def members(
    target: Target, gate: Gate | None = None
) -> AsyncIterator[tuple[Speaker, Listener]]:
    """Create a session, and join it with an invite code."""
    url = gate.url if gate else target.url
    async with Speaker(url, token=target.tokens()["IdToken"]) as speaker:
        session = await speaker.create("en-US")
        async with Listener(
            url,
            session=session.id.replace("-", " ").title(),
            language="es-AR",
            invite=session.invite_code,
        ) as listener:
            yield speaker, listener


def test_a_session_is_played_with_all_commands(served: Target) -> None:
    async def play() -> None:
        async with members(served) as (speaker, listener):
            assert (listener.session, listener.language) == (speaker.session, "es")
            assert await listener.change_language("fr-FR") == "fr"
            await speaker.pause()
            await states(listener, "joined", "paused")
            await speaker.resume()
            await states(listener, "joined")
            status = await speaker.status()
            assert (status.listener_count, status.languages) == (1, {"fr": 1})
            assert (speaker.listener_count, speaker.languages) == (1, {"fr": 1})
            assert await speaker.rotate_invite_code() == speaker.invite_code
            await speaker.end()
            events = [event async for event in listener]
            assert events == [SessionEnded("ended", "speakerEnded")]

    asyncio.run(play())


def test_members_are_back_after_their_connections_are_cut(served: Target) -> None:
    async def play() -> None:
        async with (
            Gate(served.url).serving() as gate,
            members(served, gate) as (speaker, listener),
        ):
            gate.reset()
            await states(speaker, "live", "reconnecting", "live")
            await states(listener, "joined", "reconnecting", "joined")
            status = await speaker.status()
            assert (status.listener_count, status.status) == (1, "active")

    asyncio.run(play())


def test_a_command_that_is_cancelled_without_a_network_is_never_sent(served: Target) -> None:
    async def play() -> None:
        async with (
            Gate(served.url).serving() as gate,
            members(served, gate) as (speaker, listener),
        ):
            gate.is_there.clear()
            gate.reset()
            await states(speaker, "live", "reconnecting")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await speaker.end()
            gate.is_there.set()
            await states(speaker, "live")
            assert (await speaker.status()).status == "active"
            await states(listener, "joined", "reconnecting", "joined")

    asyncio.run(play())


def test_a_speaker_that_has_closed_can_be_taken_over(served: Target) -> None:
    async def play() -> None:
        async with members(served) as (speaker, listener):
            await speaker.close()
            await states(listener, "joined", "interrupted")
            token = served.tokens()["IdToken"]
            async with Speaker(served.url, token=token) as successor:
                assert listener.session
                owned = await successor.take_over(listener.session)
                assert (owned.id, owned.invite_code) == (listener.session, speaker.invite_code)
                await states(listener, "joined")

    asyncio.run(play())


def test_a_wrong_token_fails_at_once(served: Target) -> None:
    async def play() -> None:
        async with Speaker(served.url, token="wrong") as speaker:
            with pytest.raises(SessionError) as caught:
                await speaker.create("en")
            assert (caught.value.code, caught.value.temporary) == ("UNAUTHORIZED", False)
            assert speaker.state == "failed"

    asyncio.run(play())


@pytest.fixture(scope="module")
def refreshing() -> Iterator[Target]:
    """A server that asks for a refresh after each heartbeat."""
    settings = {
        "HEARTBEAT_INTERVAL_SECONDS": "1",
        "HEARTBEAT_SETTLED_SECONDS": "1",
        "CONNECTION_REFRESH_MINUTES": "0.0001",
    }
    with local_server(**HIGH_LIMITS, **settings) as target:
        yield target


def test_a_session_lasts_over_several_refreshes(refreshing: Target) -> None:
    async def play() -> None:
        async with members(refreshing) as (speaker, listener):
            seen = await states(listener, *["joined", "refreshing"] * REFRESHES, "joined")
            assert "reconnecting" not in seen
            seen = await states(speaker, *["live", "refreshing"] * REFRESHES, "live")
            assert "reconnecting" not in seen
            assert (await speaker.status()).listener_count == 1
            await speaker.end()

    asyncio.run(play())
