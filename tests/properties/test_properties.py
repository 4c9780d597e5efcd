"""The invariants of docs/reference/protocol.md, under random events and faults.

A failure prints the minimal steps that lead to it, and `@reproduce_failure`, which repeats them.
"""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.caption_rules import CaptionedBroadcasts
from tests.properties.faults import Fault
from tests.properties.world import seen
from tests.unit.fakes import Clock

REQUIRED_EVENTS = (
    *(f"fault: {fault}" for fault in Fault if fault is not Fault.NONE),
    "a caption reached a listener",
    "a caption was missed",
    "a caption was recovered",
    "a client has each caption",
    "a client knows what it has missed",
    "a feed goes on after a refresh",
    "a post came too late",
    "a superseded connection closed",
    "an event came again",
    "closed by API Gateway",
    "closed by the service",
    "disconnects: 0",
    "disconnects: 2",
    "ended: expired",
    "ended: speakerEnded",
    "ended: speakerLost",
    "fault: timed out",
    "full",
    "published again",
    "published again after a crash",
    "received: caption",
    "received: captionAccepted",
    "received: languageChanged",
    "received: sessionEnded",
    "received: sessionInterrupted",
    "received: sessionPaused",
    "received: sessionResumed",
    "refused: CONFLICT",
    "refused: FORBIDDEN",
    "refused: RATE_LIMIT_EXCEEDED",
    "refused: SERVICE_UNAVAILABLE",
    "refused: SESSION_FULL",
    "refused: SESSION_NOT_FOUND",
    "refused: UNAUTHORIZED",
    "repeated",
    "settled",
    "status checked",
    "superseded: listener",
    "superseded: speaker",
    "swept: ended",
    "swept: repaired",
    "swept: removed",
)


@pytest.mark.timeout(3 * 3600)
def test_invariants(dynamodb: Any, clock: Clock) -> None:
    seen.clear()
    machine = type("ServedBroadcasts", (CaptionedBroadcasts,), {"clock": clock})
    name = "long" if settings.get_current_profile_name() == "long" else "short"
    profile = settings.get_profile(name)
    run_state_machine_as_test(machine, settings=profile)

    for event, times in sorted(seen.items()):
        print(f"{times:8} {event}")
    # A short run of new examples can miss a rare event.
    if profile.derandomize or name == "long":
        assert not [event for event in REQUIRED_EVENTS if not seen[event]], "events are missing"
