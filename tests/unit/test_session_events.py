"""The events about sessions, of which the pipeline is notified."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.assembly import UseCases
from chalicelib.aws.functions import InvocationFailed
from chalicelib.commands import (
    CreateSession,
    EndSession,
    PauseSession,
    QualityTier,
    RefreshSpeaker,
    ResumeSession,
)
from chalicelib.errors import Conflict, NoSession
from chalicelib.models import Caller
from chalicelib.pipeline import Pipeline
from chalicelib.sweep import Sweep
from tests.unit.fakes import Clock, FakeFunctions

CREATE = CreateSession("en", QualityTier.STANDARD)

Events = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def events(functions: FakeFunctions, session_id: str) -> Events:
    """Return a function that takes the events since its last call, without their common fields."""
    functions.events.clear()

    def events() -> list[dict[str, Any]]:
        taken, functions.events = functions.events, []
        for event in taken:
            assert (event.pop("version"), event.pop("sessionId")) == (1, session_id)
        return taken

    return events


# Refused commands and failures


def test_a_command_succeeds_if_the_pipeline_is_unreachable(
    build: Callable[..., UseCases], speaker: Caller, clock: Clock
) -> None:
    class Unreachable:
        def invoke_later(self, _function_name: str, _event: object) -> None:
            raise InvocationFailed("no answer")

    functions: Any = Unreachable()
    use_cases = build(pipeline=Pipeline(functions, "interpreter", clock))
    created = use_cases.sessions.create(speaker, CREATE).message
    assert created["type"] == "sessionCreated"
    assert use_cases.sessions.end(speaker, EndSession(None)).message["type"] == "sessionEnded"


def test_a_refused_command_is_no_event(
    use_cases: UseCases, speaker: Caller, events: Events
) -> None:
    with pytest.raises(Conflict):
        use_cases.sessions.create(speaker, CREATE)
    use_cases.sessions.end(speaker, EndSession(None))
    events()
    with pytest.raises(NoSession):
        use_cases.sessions.pause(speaker, PauseSession(None))
    with pytest.raises(NoSession):
        use_cases.sessions.end(speaker, EndSession(None))
    assert events() == []


def test_a_repeated_pause_is_told_once(
    use_cases: UseCases, speaker: Caller, events: Events, clock: Clock
) -> None:
    for _ in range(2):
        use_cases.sessions.pause(speaker, PauseSession(None))
    for _ in range(2):
        use_cases.sessions.resume(speaker, ResumeSession(None))
    now_ms = int(clock() * 1000)
    assert events() == [
        {"type": "sessionPaused", "timestamp": now_ms},
        {"type": "sessionResumed", "timestamp": now_ms},
    ]


def test_a_speaker_that_is_lost_twice_is_told_once(
    use_cases: UseCases, events: Events, sweep: Sweep, clock: Clock
) -> None:
    now_ms = int(clock() * 1000)
    use_cases.lifecycle.leave("speaker=", 1006)
    use_cases.lifecycle.leave("speaker=", 1006)
    assert events() == [{"type": "sessionInterrupted", "timestamp": now_ms}]
    clock.now += 60
    for _ in range(2):
        sweep.run()
    assert events() == [
        {"type": "sessionEnded", "timestamp": now_ms + 60_000, "reason": "speakerLost"}
    ]


# Successful commands


def test_a_start_is_told_with_its_source_language(
    functions: FakeFunctions, session_id: str, clock: Clock
) -> None:
    assert functions.events == [
        {
            "version": 1,
            "type": "sessionStarted",
            "sessionId": session_id,
            "timestamp": int(clock() * 1000),
            "sourceLanguage": "en",
        }
    ]


@pytest.mark.parametrize("is_paused", [True, False])
def test_a_return_is_told_with_the_status_before_the_interruption(
    use_cases: UseCases,
    speaker: Caller,
    session_id: str,
    events: Events,
    is_paused: bool,
) -> None:
    if is_paused:
        use_cases.sessions.pause(speaker, PauseSession(None))
    use_cases.lifecycle.leave("speaker=", 1006)
    events()
    for _ in range(2):
        use_cases.refresh.refresh_speaker(
            replace(speaker, connection_id="new="), RefreshSpeaker(session_id)
        )
    assert [it["type"] for it in events()] == ["sessionPaused" if is_paused else "sessionResumed"]


@pytest.mark.usefixtures("session_id")
def test_an_end_is_told_with_its_reason(
    use_cases: UseCases, speaker: Caller, events: Events, sweep: Sweep, clock: Clock
) -> None:
    use_cases.sessions.end(speaker, EndSession(None))
    sweep.run()
    assert [it["reason"] for it in events()] == ["speakerEnded"]


def test_an_expiry_is_told_once_by_two_sweeps(events: Events, sweep: Sweep, clock: Clock) -> None:
    clock.now += 7200
    for _ in range(2):
        sweep.run()
    assert [(it["type"], it.get("reason")) for it in events()] == [("sessionEnded", "expired")]
