"""The Python client against the local server."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from broadcast_sessions_client import (
    Event,
    Listener,
    SessionEnded,
    SessionError,
    Speaker,
    StateChanged,
)
from broadcast_sessions_client.environment import DEFAULT, Environment, Socket
from tests.stories.target import HIGH_LIMITS, Target, local_server

REFRESHES = 3


class Network:
    """The network of a client, which a test can cut."""

    def __init__(self) -> None:
        self.environment: Environment = replace(DEFAULT, connect=self._connect)
        self._sockets: list[Socket] = []

    async def _connect(self, url: str, headers: Mapping[str, str]) -> Socket:
        self._sockets.append(await DEFAULT.connect(url, headers))
        return self._sockets[-1]

    def cut(self) -> None:
        """Drop all TCP connections."""
        for socket in self._sockets:
            socket.transport.abort()


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
    target: Target, network: Network | None = None
) -> AsyncIterator[tuple[Speaker, Listener]]:
    """Create a session, and join it with an invite code."""
    environment = network.environment if network else DEFAULT
    token = target.tokens()["IdToken"]
    async with Speaker(target.url, token=token, environment=environment) as speaker:
        session = await speaker.create("en-US")
        async with Listener(
            target.url,
            session=session.id.replace("-", " ").title(),
            language="es-AR",
            invite=session.invite_code,
            environment=environment,
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
            assert await speaker.rotate_invite_code() == speaker.invite_code
            await speaker.end()
            events = [event async for event in listener]
            assert events == [SessionEnded("ended", "speakerEnded")]

    asyncio.run(play())


def test_members_are_back_after_their_connections_are_cut(served: Target) -> None:
    async def play() -> None:
        network = Network()
        async with members(served, network) as (speaker, listener):
            network.cut()
            await states(speaker, "live", "reconnecting", "live")
            await states(listener, "joined", "reconnecting", "joined")
            status = await speaker.status()
            assert (status.listener_count, status.status) == (1, "active")

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
