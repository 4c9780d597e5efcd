"""The examples of events in the docs, compared with the events that the service sends."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from chalicelib.assembly import UseCases
from chalicelib.commands import (
    EndSession,
    JoinSession,
    PauseSession,
    RefreshSpeaker,
    ResumeSession,
    SendCaption,
)
from chalicelib.models import Caller
from chalicelib.pipeline import EventType
from chalicelib.sweep import Sweep
from tests.unit.fakes import Clock, FakeFunctions, listener

PAGE = Path("docs/reference/pipeline.md").read_text()


@pytest.fixture
def examples() -> dict[str, dict[str, Any]]:
    """Return the page's events by their types."""
    lines = re.findall(r"^\{\"version\".*\}$", PAGE, re.MULTILINE)
    events = [json.loads(line) for line in lines]
    assert len({event["type"] for event in events}) == len(events)
    return {event["type"]: event for event in events}


def test_the_page_has_an_example_of_each_type(examples: dict[str, dict[str, Any]]) -> None:
    assert examples.keys() == set(get_args(EventType))


def test_the_service_sends_events_with_the_fields_of_the_examples(
    examples: dict[str, dict[str, Any]],
    use_cases: UseCases,
    session_id: str,
    speaker: Caller,
    functions: FakeFunctions,
    sweep: Sweep,
    clock: Clock,
) -> None:
    use_cases.joining.join(listener(1), JoinSession(session_id, "es", None))
    use_cases.captions.send(speaker, SendCaption("Good morning.", "phrase-17", None))
    use_cases.sessions.pause(speaker, PauseSession(None))
    use_cases.sessions.resume(speaker, ResumeSession(None))
    use_cases.lifecycle.leave("listener-1=")
    use_cases.lifecycle.leave("speaker=", 1006)
    new = replace(speaker, connection_id="new=")
    use_cases.refresh.refresh_speaker(new, RefreshSpeaker(session_id))
    clock.now += 60
    sweep.run()
    use_cases.sessions.end(new, EndSession(None))
    sent = {event["type"]: event for event in functions.events}
    assert {name: event.keys() for name, event in sent.items()} == {
        name: event.keys() for name, event in examples.items()
    }
