"""Drops and refreshes of all members of a session, which has members of both clients."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import fields
from functools import partial
from itertools import groupby, pairwise
from typing import Any, Final

import pytest

from broadcast_sessions_client import SessionError
from local_gateway import aws
from local_gateway.faults import Faults
from tests.stories import crowd as crowds
from tests.stories.crowd import LANGUAGES, LISTENERS, Crowd
from tests.stories.members import IN_SESSION, ON_THE_WAY, Member
from tests.stories.target import HIGH_LIMITS, Target, local_server

GRACE_SECONDS = "300"
"""Long enough for a speaker that a fault keeps away, and short enough to wait for."""

SETTINGS = {
    "HEARTBEAT_INTERVAL_SECONDS": "10",
    "HEARTBEAT_SETTLED_SECONDS": "10",
    "SPEAKER_GRACE_SECONDS": GRACE_SECONDS,
    "SPEAKER_CLOSE_GRACE_SECONDS": GRACE_SECONDS,
    **HIGH_LIMITS,
}

REFUSED_HANDSHAKES: dict[str, dict[str, Any]] = {
    "authorizer_timeout": {"authorizer_timeout_share": 0.3, "authorizer_timeout_ms": 100},
    "connect_throttled": {"connect_throttled_share": 0.3},
    "handler_raises": {"handler_raises_share": 0.1},
    "lambda_concurrency": {"lambda_concurrency": 3},
}
"""Faults that refuse handshakes at random. The speakers are in Python. One in JavaScript can't see
why a handshake fails, and gives up if two fail in a row, but the same without a token succeed.
"""

OTHERS: dict[str, dict[str, Any]] = {
    "dynamodb_down": {"dynamodb_down_share": 0.02},
    "dynamodb_throttled": {"dynamodb_throttled_share": 0.1},
    "dynamodb_slow": {"dynamodb_slow_ms": 20},
    "handler_slow": {"handler_slow_ms": 200, "handler_slow_share": 0.5},
    "connection_silent": {"connection_silent_share": 0.2},
    "disconnect_late": {"disconnect_late_seconds": 10, "disconnect_late_share": 0.5},
    "disconnect_lost": {"disconnect_lost_share": 0.5},
    "disconnect_twice": {"disconnect_twice_share": 0.5},
    "invocation_twice": {"invocation_twice_share": 1},
    "message_outlived": {"message_outlived_share": 0.1},
    "message_throttled": {"message_throttled_share": 0.2},
    "post_gone": {"post_gone_share": 0.3},
    "post_slow": {"post_slow_ms": 50, "post_slow_share": 0.5},
    "post_throttled": {"post_throttled_share": 0.5},
}

STORIES = [
    *(("python", name) for name in REFUSED_HANDSHAKES),
    *(("javascript", name) for name in OTHERS),
]
FAULTS = {**REFUSED_HANDSHAKES, **OTHERS}

REFRESHES = 3


@pytest.fixture(scope="module")
def fast_server() -> Iterator[Target]:
    with local_server("--clock-rate", str(crowds.RATE), **SETTINGS) as target:
        yield target


@pytest.mark.parametrize(("language", "fault"), STORIES)
def test_all_members_are_right_after_drops_under_a_fault(
    fast_server: Target, language: str, fault: str
) -> None:
    crowds.run(partial(play_drops, fault), fast_server, language)


async def play_drops(fault: str, crowd: Crowd) -> None:
    await set_faults(crowd, **FAULTS[fault])
    try:
        for cut in WAVES:
            await drop(crowd, cut)
        with suppress(SessionError):  # A fault can refuse it three times.
            await crowd.speaker.call("pause")
    finally:
        await set_faults(crowd)
    await settle(crowd)
    await play_without_faults(crowd)
    await crowd.speaker.call("end")
    await crowd.until_shown("ended")
    for listener in crowd.listeners:
        check_notices(listener, crowd.speakers.opened)
    for member in crowd.members.values():
        check_events(member)


async def set_faults(crowd: Crowd, **faults: Any) -> None:
    await asyncio.to_thread(crowd.target.set_faults, **faults)


async def drop(crowd: Crowd, cut: Callable[[Crowd], Awaitable[None]]) -> None:
    """Drop all members when they are in the session, and wait until they are back."""
    await crowd.until(lambda member: member.state in IN_SESSION)
    marks = {member: len(member.events) for member in crowd.members.values()}
    await cut(crowd)
    await crowd.until(lambda member: member.has_returned(marks[member]))


async def reset(crowd: Crowd) -> None:
    crowd.network.reset()
    crowd.speakers.reset()


async def silence(crowd: Crowd) -> None:
    crowd.network.silence()
    crowd.speakers.silence()


async def disconnect(crowd: Crowd) -> None:
    """Let the service close the connections. A member that it no longer knows notices it itself."""
    await asyncio.to_thread(disconnect_all, crowd.target, crowd.session)


def disconnect_all(target: Target, session: str) -> None:
    connections = aws.client("apigatewaymanagementapi", target.url.replace("ws:", "http:"))
    for participant in target.participants():
        if participant["sessionId"]["S"] == session:
            with suppress(connections.exceptions.GoneException):
                connections.delete_connection(ConnectionId=participant["connectionId"]["S"])


async def settle(crowd: Crowd) -> None:
    """Wait until all are in the session, and the fault's pause is over.

    A listener that has missed the end of an interruption refreshes. One that has missed the pause
    can show `joined`, and one that has missed its end `paused`, until the next notice or refresh,
    because its acknowledgements carry no status. So the pause ends after the fault, for everyone.
    """
    await crowd.until(lambda it: it.state in ("live", "paused"), crowd.speaker)
    await crowd.until(lambda it: it.state in ("joined", "paused"), *crowd.listeners)
    # Listeners that a fault has removed notice it by their next heartbeat.
    while await count(crowd.speaker) != LISTENERS:
        for member in crowd.members.values():
            assert member.state in IN_SESSION | ON_THE_WAY, str(member)
    await crowd.speaker.call("resume")
    await crowd.until_shown("joined")


async def count(speaker: Member) -> int:
    """Return the speaker's count of listeners, or 0 if the speaker has lost its session.

    A silent connection that wakes up delivers an old refresh. It takes the session from the
    speaker's present connection, which notices it by its next heartbeat.
    """
    try:
        listener_count, _ = await speaker.call("status")
    except SessionError as error:
        if error.code != "SESSION_NOT_FOUND":
            raise
        return 0
    return int(listener_count)


async def play_without_faults(crowd: Crowd) -> None:
    """Pause, resume, and interrupt the session. Each listener shows each change."""
    await crowd.speaker.call("pause")
    await crowd.until_shown("paused")
    await crowd.speaker.call("resume")
    await crowd.until_shown("joined")
    crowd.speakers.is_there.clear()
    crowd.speakers.reset()
    await crowd.until_shown("interrupted")
    crowd.speakers.is_there.set()
    await crowd.until_shown("joined")
    await crowd.until(lambda it: it.state == "live", crowd.speaker)
    assert await crowd.speaker.call("status") == (LISTENERS, LANGUAGES)


def check_notices(listener: Member, speaker_connections: int) -> None:
    """Check that no notice was delivered twice. One of the first pause can be lost."""
    shown = listener.shown()
    assert shown.count("interrupted") <= speaker_connections, str(listener)
    others = [state for state, _ in groupby(it for it in shown if it != "interrupted")]
    assert others in (
        ["joined", "paused", "joined", "paused", "joined", "ended"],
        ["joined", "paused", "joined", "ended"],
    ), str(listener)


def check_events(member: Member) -> None:
    """Check that no event repeats the one before. Only `reconnecting` can change its reason."""
    for before, event in pairwise(member.events):
        assert event != before, str(member)
        assert event[0] != before[0] or event[0] == "reconnecting", str(member)


WAVES: Final = (reset, silence, disconnect, reset)
"""In each story, all connections drop in these ways."""


def test_every_fault_of_the_server_is_played() -> None:
    settings = {re.sub("_(share|ms|seconds)$", "", each.name) for each in fields(Faults)}
    assert {name for name in settings if "_only" not in name} == FAULTS.keys()


def test_there_are_at_least_1000_drops() -> None:
    """Each story waits until each member has returned from each drop."""
    assert len(WAVES) * (1 + LISTENERS) * len(FAULTS) >= 1000


@pytest.fixture(scope="module")
def refreshing_server() -> Iterator[Target]:
    """A server that asks for a refresh after each heartbeat."""
    settings = {**SETTINGS, "CONNECTION_REFRESH_MINUTES": "0.0001"}
    with local_server("--clock-rate", str(crowds.RATE), **settings) as target:
        yield target


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_a_session_lasts_over_three_refreshes_of_all_members(
    refreshing_server: Target, language: str
) -> None:
    crowds.run(play_refreshes, refreshing_server, language)


async def play_refreshes(crowd: Crowd) -> None:
    await crowd.until(
        lambda it: [state for state, *_ in it.events].count("refreshing") >= REFRESHES
    )
    await crowd.until(lambda it: it.state in IN_SESSION)
    for member in crowd.members.values():
        assert "reconnecting" not in {state for state, *_ in member.events}, str(member)
    assert await crowd.speaker.call("status") == (LISTENERS, LANGUAGES)
    await crowd.speaker.call("end")
    await crowd.until_shown("ended")
    for listener in crowd.listeners:
        assert listener.shown() == ["joined", "ended"], str(listener)
    for member in crowd.members.values():
        check_events(member)
