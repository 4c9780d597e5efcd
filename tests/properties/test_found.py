"""What test_properties.py has found, each as one short story."""

from typing import Any

import pytest

from tests.properties.faults import SMOOTH, Fault, Plan
from tests.properties.world import (
    TIMEOUT_OF_HEARTBEATS_SECONDS,
    Closing,
    Link,
    Place,
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
    assert isinstance(speaker.place, Place)
    return {"sessionId": speaker.place.session_id}


def _types(link: Link) -> list[str]:
    return [message["type"] for message in link.inbox]


def _refresh(speaker: Link) -> dict[str, str]:
    return {**_session(speaker), "action": "refreshConnection", "role": "speaker"}


def test_a_speaker_whose_end_a_sweep_overtakes_hears_of_it_once(
    world: World, speaker: Link
) -> None:
    """Statement 4: the sweep finds his record between the claim of the end and its removal."""
    end = world.send(speaker, {"action": "endSession"}, Plan(Fault.SLOW, at=2))
    world.sweep()
    world.go_on(end, SMOOTH)
    assert _types(speaker).count("sessionEnded") == 1


def test_a_clean_close_ends_the_session_though_a_sweep_saw_it_first(
    world: World, speaker: Link, listener: Link
) -> None:
    """ "Closing with code 1000 ends the session at once": not if a probe or a post comes first."""
    session_id = _session(speaker)["sessionId"]
    world.pass_time_open(60)
    world.close(speaker, 1000, 0)
    world.sweep()
    world.disconnect(Closing(speaker, 1000, world.clock()))
    assert world.sessions()[session_id]["status"] == "ended"


@pytest.mark.parametrize("plan", [SMOOTH, Plan(Fault.UNANSWERED, at=2)])
def test_a_refresh_that_never_opens_does_not_cost_a_live_speaker_his_session(
    world: World, speaker: Link, plan: Plan
) -> None:
    """Statement 3, in its spirit: he is superseded by what he never heard of.

    The handshake fails on the way back, or is refused since DynamoDB's answer was lost.
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
def test_listeners_hear_that_the_speaker_is_back(
    world: World, speaker: Link, listener: Link, fault: Fault
) -> None:
    """Also if the write was sent again, and the second found nothing to end; or if the function
    died after it.
    """
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


def test_listeners_hear_of_a_pause_whose_write_was_repeated(
    world: World, speaker: Link, listener: Link
) -> None:
    world.send(speaker, {"action": "pauseSession"}, Plan(Fault.REPEATED, at=1))
    assert _types(speaker)[-1] == "sessionPaused"
    assert _types(listener)[-1] == "sessionPaused"


def test_an_end_whose_write_was_repeated_is_answered_as_an_end(
    world: World, speaker: Link, listener: Link
) -> None:
    world.send(speaker, {"action": "endSession"}, Plan(Fault.REPEATED, at=1))
    assert _types(listener)[-1] == "sessionEnded"
    assert _types(speaker)[-1] == "sessionEnded"


def test_who_comes_by_the_connect_url_hears_how_the_session_stands_when_he_is_in(
    world: World, speaker: Link
) -> None:
    """The notice of a pause finds his connection not open yet, and is never sent again."""
    join = {**_session(speaker), "action": "joinSession", "targetLanguage": "es"}
    link, _ = world.connect(None, "marked-address", join, opens="late")
    world.send(speaker, {"action": "pauseSession"})
    world.open(link)
    for outcome in world.outcomes:
        world.deliver(outcome)
    assert link.heard_status == "paused"


def test_a_speakers_record_that_a_failed_refresh_left_does_not_outlive_his_session(
    world: World, speaker: Link
) -> None:
    """It is in no list of the session's, and the connection was told of a failure."""
    refresh, other = _refresh(speaker), world.connect("marked-user", "marked-address", {})[0]
    world.send(other, refresh, Plan(Fault.UNANSWERED, at=1))
    world.send(speaker, {"action": "endSession"})
    for _ in range(3):
        world.pass_time_open(60)
        world.sweep()
    world.send(other, CREATE)
    assert _types(other)[-1] == "sessionCreated"


def _take_over(world: World, speaker: Link, fields: dict[str, str]) -> Link:
    """Refresh by a frame, so that both connections are open and know how they stand."""
    link, _ = world.connect(speaker.user_id, "marked-address", {})
    world.send(link, fields)
    return link


def test_a_speaker_who_was_replaced_is_not_called_back_when_his_successor_is_lost(
    world: World, speaker: Link, listener: Link
) -> None:
    """He heard that he was superseded, and may close late: that must change nothing."""
    session_id = _session(speaker)["sessionId"]
    successor = _take_over(world, speaker, _refresh(speaker))
    world.close(successor, 1001, 0)
    world.pass_time_open(TIMEOUT_OF_HEARTBEATS_SECONDS)
    world.send(listener, {"action": "heartbeat"})
    world.sweep()
    assert world.sessions()[session_id]["speakerConnectionId"] == successor.connection_id
    assert _types(listener)[-1] == "sessionInterrupted"


def test_a_speaker_whose_reminder_finds_him_gone_is_missed_at_once(
    world: World, speaker: Link, listener: Link
) -> None:
    refresh = _refresh(speaker)
    successor = _take_over(world, speaker, refresh)
    world.close(speaker, 1000, 1)
    for _ in range(13):
        world.pass_time_open(500)
        world.send(successor, {"action": "heartbeat"})
    world.close(successor, 1001, 0)
    world.deliver(world.outcomes[-1])
    assert _types(listener)[-1] == "sessionInterrupted"


@pytest.mark.parametrize("at", range(15, 24))
@pytest.mark.parametrize("fault", [Fault.CRASH_AFTER, Fault.REPEATED])
def test_a_session_that_is_given_back_stays_whole_whatever_breaks_off(
    world: World, speaker: Link, fault: Fault, at: int
) -> None:
    """Statement 3, where the function dies amid giving it back, or a write is sent twice.

    If it dies before, the speaker learns by a heartbeat that names no session, and comes back.
    """
    session_id, refresh = _session(speaker)["sessionId"], _refresh(speaker)
    world.connect("marked-user", "marked-address", refresh, opens="never")
    world.deliver(world.outcomes.pop(), Plan(fault, at))
    for _ in range(6):
        world.pass_time_open(60)
        if "sessionId" not in world.send(speaker, {"action": "heartbeat"}).answer:
            speaker = _take_over(world, speaker, refresh)
        world.sweep()
    session = world.sessions()[session_id]
    assert session["speakerConnectionId"] == speaker.connection_id
    assert "graceEndsAt" not in session


def test_a_refresh_that_is_given_twice_does_not_forget_whom_it_replaced(
    world: World, speaker: Link
) -> None:
    """Statement 5; the client does it by itself."""
    session_id = _session(speaker)["sessionId"]
    plan = Plan(Fault.REPEATED, at=2)
    world.connect("marked-user", "marked-address", _refresh(speaker), plan, opens="never")
    world.deliver(world.outcomes.pop())
    assert world.sessions()[session_id]["speakerConnectionId"] == speaker.connection_id


def test_a_creation_that_broke_off_does_not_cost_its_connection_another_place(
    world: World, speaker: Link
) -> None:
    """The sweep misses the speaker of a session of which he was never told."""
    join = {**_session(speaker), "action": "joinSession", "targetLanguage": "es"}
    link, _ = world.connect("marked-user", "marked-address", {})
    world.send(link, CREATE, Plan(Fault.CRASH_BEFORE, at=1))
    world.send(link, join)
    for _ in range(3):
        world.pass_time_open(60)
        world.sweep()
    assert world.listeners_of(_session(speaker)["sessionId"]) == [link.connection_id]


def test_a_record_that_is_given_back_does_not_outlive_its_connection(
    world: World, speaker: Link
) -> None:
    """A previous speaker's record got two more hours, though its connection was old already."""
    before = world.connections()[speaker.connection_id]["ttl"]
    for _ in range(6000 // 100):
        world.pass_time_open(100)
        world.send(speaker, {"action": "heartbeat"})
    world.outcomes = []
    world.connect("marked-user", "marked-address", _refresh(speaker), opens="never")
    world.deliver(world.outcomes.pop())
    assert world.connections()[speaker.connection_id]["ttl"] == before


def test_a_superseded_speaker_can_join_once_its_record_has_expired(
    world: World, speaker: Link
) -> None:
    """The model was wrong: it took the new listener for the superseded speaker."""
    join = {**_session(speaker), "action": "joinSession", "targetLanguage": "es"}
    successor = _take_over(world, speaker, _refresh(speaker))
    for _ in range(7):
        world.pass_time_open(100)
        world.send(successor, {"action": "heartbeat"})
    world.expire_items()
    world.send(speaker, join)
    assert speaker.has_place("listener", join["sessionId"])
