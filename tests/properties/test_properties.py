"""Properties that hold after any sequence of events and faults.

A failure prints the steps that led to it, shrunk, and `@reproduce_failure`, which repeats them.
"""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.faults import Fault
from tests.properties.machine import Broadcasts
from tests.properties.world import seen
from tests.unit.fakes import Clock

HAS_TO_HAPPEN = (
    *(f"fault: {fault}" for fault in Fault if fault is not Fault.NONE),
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
    "heard: languageChanged",
    "heard: sessionEnded",
    "heard: sessionInterrupted",
    "heard: sessionPaused",
    "heard: sessionResumed",
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
    "swept: mended",
    "swept: removed",
)


@pytest.mark.timeout(3 * 3600)
def test_what_stays_true(dynamodb: Any, clock: Clock) -> None:
    seen.clear()
    machine = type("ServedBroadcasts", (Broadcasts,), {"clock": clock})
    name = "long" if settings.get_current_profile_name() == "long" else "short"
    run_state_machine_as_test(machine, settings=settings.get_profile(name))

    for what, times in sorted(seen.items()):
        print(f"{times:8} {what}")
    assert not [what for what in HAS_TO_HAPPEN if not seen[what]], "this run proves little"
