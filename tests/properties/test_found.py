"""Regression tests for failures that test_properties.py found."""

from typing import Any

import pytest

from tests.properties.captions import text_of
from tests.properties.faults import NO_FAULT, Fault, Plan
from tests.properties.world import (
    HEARTBEAT_TIMEOUT_SECONDS,
    Closing,
    Link,
    Membership,
    World,
)
from tests.unit.fakes import Clock

CREATE = {"action": "createSession", "sourceLanguage": "en"}


@pytest.fixture
def world(dynamodb: Any, clock: Clock) -> World:
    return World(clock)


@pytest.fixture
def speaker(world: World) -> Link:
    link, _ = world.connect("marked-user", "marked-address", {})
    world.send(link, CREATE)
    return link


@pytest.fixture
def listener(world: World, speaker: Link) -> Link:
    link, _ = world.connect(None, "marked-address", {})
    world.send(link, {**_session(speaker), "action": "joinSession", "targetLanguage": "es"})
    return link


def _session(speaker: Link) -> dict[str, str]:
    assert isinstance(speaker.membership, Membership)
    return {"sessionId": speaker.membership.session_id}


def _request(speaker: Link, *caption_ids: str, language: str = "es") -> dict[str, Any]:
    """Return a pipeline's request."""
    captions = [{"captionId": it, "text": text_of(it), "startedAt": 1} for it in caption_ids]
    return {**_session(speaker), "language": language, "captions": captions}


def _types(link: Link) -> list[str]:
    return [message["type"] for message in link.inbox]


def _refresh(speaker: Link) -> dict[str, str]:
    return {**_session(speaker), "action": "refreshConnection", "role": "speaker"}


def test_a_speaker_receives_its_end_once_if_a_sweep_runs_during_it(
    world: World, speaker: Link
) -> None:
    """Statement 4. The sweep finds the item between the claim of the end and its removal."""
    end = world.send(speaker, {"action": "endSession"}, Plan(Fault.SLOW, at=2))
    world.sweep()
    world.resume(end, NO_FAULT)
    assert _types(speaker).count("sessionEnded") == 1


def test_a_clean_close_ends_the_session_even_if_a_sweep_runs_first(
    world: World, speaker: Link, listener: Link
) -> None:
    """A clean close ends the session, even if a sweep's post finds the closed connection first."""
    session_id = _session(speaker)["sessionId"]
    world.pass_time_open(60)
    world.close(speaker, 1000, 0)
    world.sweep()
    world.disconnect(Closing(speaker, 1000, world.clock()))
    assert world.sessions()[session_id]["status"] == "ended"


@pytest.mark.parametrize("plan", [NO_FAULT, Plan(Fault.UNANSWERED, at=2)])
def test_a_refresh_that_never_opens_does_not_end_a_live_speakers_session(
    world: World, speaker: Link, plan: Plan
) -> None:
    """Related to statement 3. A connection that never opened supersedes the speaker's.

    The handshake's response is lost, or the handshake fails because DynamoDB's answer is lost.
    """
    session_id = _session(speaker)["sessionId"]
    world.connect("marked-user", "marked-address", _refresh(speaker), plan, opens="never")
    for _ in range(6):
        for outcome in world.outcomes:
            world.deliver(outcome)
        world.outcomes = []
        world.pass_time_open(60)
        world.send(speaker, {"action": "heartbeat"})
        world.sweep()
    assert speaker.is_open
    assert session_id in world.sessions()


@pytest.mark.parametrize("fault", [Fault.REPEATED, Fault.CRASH_AFTER])
def test_listeners_are_notified_that_the_speaker_is_back(
    world: World, speaker: Link, listener: Link, fault: Fault
) -> None:
    """The write is repeated and finds no grace to end, or the function crashes after it."""
    refresh = _refresh(speaker)
    world.close(speaker, 1001, 0)
    world.disconnect(Closing(speaker, 1001, world.clock()))
    link, _ = world.connect("marked-user", "marked-address", {})
    world.send(link, refresh, Plan(fault, at=1))
    world.send(link, refresh)
    for _ in range(3):
        world.pass_time_open(60)
        world.sweep()
    assert _types(listener) == ["sessionJoined", "sessionInterrupted", "sessionResumed"]


def test_listeners_are_notified_of_a_pause_with_a_repeated_write(
    world: World, speaker: Link, listener: Link
) -> None:
    world.send(speaker, {"action": "pauseSession"}, Plan(Fault.REPEATED, at=1))
    assert _types(speaker)[-1] == "sessionPaused"
    assert _types(listener)[-1] == "sessionPaused"


def test_an_end_with_a_repeated_write_succeeds(world: World, speaker: Link, listener: Link) -> None:
    world.send(speaker, {"action": "endSession"}, Plan(Fault.REPEATED, at=1))
    assert _types(listener)[-1] == "sessionEnded"
    assert _types(speaker)[-1] == "sessionEnded"


def test_a_connect_time_outcome_has_the_sessions_current_status(
    world: World, speaker: Link
) -> None:
    """The connection isn't open yet when the notice of a pause is sent, which isn't repeated."""
    join = {**_session(speaker), "action": "joinSession", "targetLanguage": "es"}
    link, _ = world.connect(None, "marked-address", join, opens="late")
    world.send(speaker, {"action": "pauseSession"})
    world.open(link)
    for outcome in world.outcomes:
        world.deliver(outcome)
    assert link.last_status == "paused"


def test_an_item_of_a_failed_refresh_is_removed_with_the_session(
    world: World, speaker: Link
) -> None:
    """The item is in no list of the session, and the client received an error."""
    refresh, other = _refresh(speaker), world.connect("marked-user", "marked-address", {})[0]
    world.send(other, refresh, Plan(Fault.UNANSWERED, at=1))
    world.send(speaker, {"action": "endSession"})
    for _ in range(3):
        world.pass_time_open(60)
        world.sweep()
    world.send(other, CREATE)
    assert _types(other)[-1] == "sessionCreated"


def _refresh_by_frame(world: World, speaker: Link, fields: dict[str, str]) -> Link:
    """Refresh by a frame, which keeps both connections open and notified."""
    link, _ = world.connect(speaker.user_id, "marked-address", {})
    world.send(link, fields)
    return link


def test_a_superseded_speaker_does_not_return_when_its_successor_is_lost(
    world: World, speaker: Link, listener: Link
) -> None:
    """The speaker was notified that it is superseded. Its late close must have no effect."""
    session_id = _session(speaker)["sessionId"]
    successor = _refresh_by_frame(world, speaker, _refresh(speaker))
    world.close(successor, 1001, 0)
    world.pass_time_open(HEARTBEAT_TIMEOUT_SECONDS)
    world.send(listener, {"action": "heartbeat"})
    world.sweep()
    assert world.sessions()[session_id]["speakerConnectionId"] == successor.connection_id
    assert _types(listener)[-1] == "sessionInterrupted"


def test_a_reminder_to_a_lost_speaker_interrupts_the_session(
    world: World, speaker: Link, listener: Link
) -> None:
    refresh = _refresh(speaker)
    successor = _refresh_by_frame(world, speaker, refresh)
    world.close(speaker, 1000, 1)
    for _ in range(13):
        world.pass_time_open(500)
        world.send(successor, {"action": "heartbeat"})
    world.close(successor, 1001, 0)
    world.deliver(world.outcomes[-1])
    assert _types(listener)[-1] == "sessionInterrupted"


@pytest.mark.parametrize("at", range(15, 24))
@pytest.mark.parametrize("fault", [Fault.CRASH_AFTER, Fault.REPEATED])
def test_a_session_returned_to_its_speaker_survives_faults(
    world: World, speaker: Link, fault: Fault, at: int
) -> None:
    """Statement 3. The function crashes while it returns the session, or repeats a write.

    If it crashes earlier, the speaker's heartbeat names no session, and the speaker refreshes.
    """
    session_id, refresh = _session(speaker)["sessionId"], _refresh(speaker)
    world.connect("marked-user", "marked-address", refresh, opens="never")
    world.deliver(world.outcomes.pop(), Plan(fault, at))
    for _ in range(6):
        world.pass_time_open(60)
        if "sessionId" not in world.send(speaker, {"action": "heartbeat"}).answer:
            speaker = _refresh_by_frame(world, speaker, refresh)
        world.sweep()
    session = world.sessions()[session_id]
    assert session["speakerConnectionId"] == speaker.connection_id
    assert "graceEndsAt" not in session


def test_a_repeated_refresh_keeps_the_connection_that_it_replaced(
    world: World, speaker: Link
) -> None:
    """Statement 5. The AWS client repeats the write on its own."""
    session_id = _session(speaker)["sessionId"]
    plan = Plan(Fault.REPEATED, at=2)
    world.connect("marked-user", "marked-address", _refresh(speaker), plan, opens="never")
    world.deliver(world.outcomes.pop())
    assert world.sessions()[session_id]["speakerConnectionId"] == speaker.connection_id


def test_a_failed_creation_does_not_affect_a_later_join(world: World, speaker: Link) -> None:
    """The sweep removes a session whose speaker never received its creation."""
    join = {**_session(speaker), "action": "joinSession", "targetLanguage": "es"}
    link, _ = world.connect("marked-user", "marked-address", {})
    world.send(link, CREATE, Plan(Fault.CRASH_BEFORE, at=1))
    world.send(link, join)
    for _ in range(3):
        world.pass_time_open(60)
        world.sweep()
    assert world.listeners_of(_session(speaker)["sessionId"]) == [link.connection_id]


def test_a_restored_participant_does_not_outlive_its_connection(
    world: World, speaker: Link
) -> None:
    """The previous speaker's item must not get two more hours for its old connection."""
    before = world.connections()[speaker.connection_id]["ttl"]
    for _ in range(6000 // 100):
        world.pass_time_open(100)
        world.send(speaker, {"action": "heartbeat"})
    world.outcomes = []
    world.connect("marked-user", "marked-address", _refresh(speaker), opens="never")
    world.deliver(world.outcomes.pop())
    assert world.connections()[speaker.connection_id]["ttl"] == before


def test_a_superseded_speaker_can_join_once_its_item_has_expired(
    world: World, speaker: Link
) -> None:
    """The model confused the new listener with the superseded speaker."""
    join = {**_session(speaker), "action": "joinSession", "targetLanguage": "es"}
    successor = _refresh_by_frame(world, speaker, _refresh(speaker))
    for _ in range(7):
        world.pass_time_open(100)
        world.send(successor, {"action": "heartbeat"})
    world.expire_items()
    world.send(speaker, join)
    assert speaker.is_participant("listener", join["sessionId"])


@pytest.mark.parametrize("at", range(6))
def test_a_sweep_notifies_of_the_end_after_the_last_caption(
    world: World, speaker: Link, listener: Link, at: int
) -> None:
    """The sweep finds an end whose event still waits for the posts of the last caption."""
    publication = world.publish(_request(speaker, "caption-1"), Plan(Fault.SLOW, at=3))
    world.send(speaker, {"action": "endSession"}, Plan(Fault.SLOW, at))
    world.sweep()
    world.resume(publication, NO_FAULT)
    for operation in [*world.operations]:
        world.resume(operation, NO_FAULT)
    assert world.violations == []
    assert _types(listener)[-1] == "sessionEnded"


def test_an_end_waits_for_a_caption_although_an_earlier_one_was_numbered_later(
    world: World, speaker: Link, listener: Link
) -> None:
    """The write of the first caption arrives after that of the second."""
    first = world.publish(_request(speaker, "caption-1"), Plan(Fault.SLOW, at=0))
    world.pass_time_open(0.2)
    second = world.publish(_request(speaker, "caption-2"), Plan(Fault.SLOW, at=3))
    world.resume(first, NO_FAULT)
    world.pass_time_open(0.2)
    world.send(speaker, {"action": "endSession"})
    world.resume(second, NO_FAULT)
    assert world.violations == []
    assert _types(listener)[-1] == "sessionEnded"
