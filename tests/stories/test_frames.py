"""The check of the stories' frames."""

from typing import Any

import pytest

from operations.asyncapi.examples import read_examples
from tests.stories import frames

HEARTBEAT_ACK = {"type": "heartbeatAck", "connectedSeconds": 1, "heartbeatSeconds": 30}
ERROR = {"type": "error", "message": "No.", "timestamp": 1}


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("fly", {"action": "fly"}),
        ("endSession", {"action": "endSession", "now": "yes"}),
        ("joinSession", {"action": "joinSession", "sessionId": "golden-eagle-427"}),
        ("heartbeat", {"action": "heartbeat", "requestId": "x" * 65}),
        ("refreshConnection", {"action": "refreshConnection", "sessionId": "a-b-100", "role": "x"}),
        ("heartbeatAck", HEARTBEAT_ACK),
        ("heartbeatAck", {**HEARTBEAT_ACK, "timestamp": 1, "listenerCount": 1}),
        ("languageChanged", {"type": "languageChanged", "targetLanguage": None, "timestamp": 1}),
        (
            "connectionWarning",
            {"type": "connectionWarning", "remainingSeconds": -1, "timestamp": 1},
        ),
        ("error", {**ERROR, "code": "OTHER", "temporary": False}),
        ("error", {**ERROR, "code": "SESSION_FULL", "temporary": False}),
        ("error", {**ERROR, "code": "CONFLICT", "temporary": True}),
        ("error", {**ERROR, "code": "RATE_LIMIT_EXCEEDED", "temporary": True}),
    ],
)
def test_a_frame_that_does_not_match_the_description_fails(
    name: str, payload: dict[str, Any]
) -> None:
    with pytest.raises(AssertionError, match=r"docs/asyncapi\.yaml"):
        frames.check(name, payload)


def test_the_examples_match_the_description() -> None:
    for example in read_examples():
        frames.check(example.payload.get("action") or example.payload["type"], example.payload)
