"""The Python client against the local server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from broadcast_sessions_client import (
    AudienceChanged,
    Caption,
    CaptionAccepted,
    Event,
    Listener,
    SessionEnded,
    SessionError,
    Speaker,
    StateChanged,
)
from tests.stories.gate import Gate
from tests.stories.target import Target


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
async def members(target: Target) -> AsyncIterator[tuple[Speaker, Listener, Gate]]:
    """Create a session, and join it with an invite code. At the end, check all messages."""
    async with Gate(target.url).serving() as gate:
        async with Speaker(gate.url, token=target.tokens()["IdToken"]) as speaker:
            session = await speaker.create("en-US")
            async with Listener(
                gate.url,
                session=session.id.replace("-", " ").title(),
                language="es-AR",
                invite=session.invite_code,
            ) as listener:
                yield speaker, listener, gate
        gate.check_messages()


def test_a_session_is_played_with_all_commands(served: Target) -> None:
    async def play() -> None:
        async with members(served) as (speaker, listener, _):
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


async def texts(listener: Listener, count: int) -> list[str]:
    """Iterate until so many captions have arrived, and return their texts."""
    seen: list[str] = []
    while len(seen) < count:
        event = await anext(listener)
        if isinstance(event, Caption):
            seen.append(event.text)
    return seen


def test_a_caption_whose_post_fails_is_recovered(served: Target) -> None:
    async def play() -> None:
        async with members(served) as (speaker, listener, _):
            assert await listener.change_language("en") == "en"
            assert await speaker.send_caption("One", "1") == CaptionAccepted("1", 1)
            await asyncio.to_thread(served.set_faults, post_throttled_share=1)
            try:
                assert await speaker.send_caption("Two", "2") == CaptionAccepted("2", 2)
            finally:
                await asyncio.to_thread(served.set_faults)
            assert await speaker.send_caption("Two", "2") == CaptionAccepted("2", 2)
            assert (await speaker.send_caption("Three")).seq == 3
            assert await texts(listener, 3) == ["One", "Two", "Three"]

    asyncio.run(play())


def test_captions_that_are_sent_in_a_drop_arrive_once_and_in_order(served: Target) -> None:
    async def play() -> None:
        async with members(served) as (speaker, listener, gate):
            assert await listener.change_language("en") == "en"
            gate.is_there.clear()
            gate.reset()
            await states(speaker, "reconnecting")
            phrases = [f"Phrase {number}" for number in range(10)]
            sending = [asyncio.create_task(speaker.send_caption(it)) for it in phrases]
            gate.is_there.set()
            assert [(await it).seq for it in sending] == list(range(1, 11))
            assert await texts(listener, 10) == phrases

    asyncio.run(play())


def test_a_speaker_hears_of_a_changed_audience(served: Target) -> None:
    async def play() -> None:
        async with members(served) as (speaker, listener, _):
            for language in ("es", "fr"):
                await listener.change_language(language)
                while await anext(speaker) != AudienceChanged(1, {language: 1}):
                    pass

    asyncio.run(play())


def test_a_command_that_is_cancelled_without_a_network_is_never_sent(served: Target) -> None:
    async def play() -> None:
        async with members(served) as (speaker, listener, gate):
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
        async with members(served) as (speaker, listener, gate):
            await speaker.close()
            await states(listener, "joined", "interrupted")
            token = served.tokens()["IdToken"]
            async with Speaker(gate.url, token=token) as successor:
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
