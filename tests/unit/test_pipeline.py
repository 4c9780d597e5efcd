"""Events for the pipeline's function."""

import json
from typing import Any

import pytest

from chalicelib import telemetry
from chalicelib.aws.functions import Functions
from chalicelib.aws.wire import Answer, Unreachable
from chalicelib.pipeline import Pipeline
from tests.unit.fakes import Clock, PlayedTransport

ACCEPTED = Answer(202, b"", {})
LOST = Unreachable("late", was_sent=True)


def pipeline(
    *results: Answer | Unreachable, function_name: str | None = "interpreter"
) -> tuple[Pipeline, list[tuple[str, Any]]]:
    """Return a pipeline whose requests have these results, and a list of the requests."""
    transport = PlayedTransport(*(results or (ACCEPTED,)))
    return Pipeline(Functions(transport), function_name, Clock()), transport.requests


@pytest.mark.parametrize("result", [*(Answer(status, b"", {}) for status in (403, 429, 500)), LOST])
def test_an_event_that_is_not_accepted_is_logged_without_its_text_and_counted(
    result: Answer | Unreachable, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("INFO", "dev")
    notifier, _ = pipeline(result)
    notifier.notify("captionSpoken", "golden-eagle-427", text="marked", captionId="marked")
    out = capsys.readouterr().out
    assert "marked" not in out
    metrics, line = map(json.loads, out.splitlines())
    assert metrics["PipelineFailures"] == 1
    assert line.pop("time")
    assert line == {
        "level": "WARNING",
        "message": "pipeline not notified",
        "sessionId": "golden-eagle-427",
        "type": "captionSpoken",
        "cause": f"status {result.status}" if isinstance(result, Answer) else "no answer",
    }


@pytest.mark.parametrize("function_name", [None, ""])
def test_without_a_function_nothing_is_sent(function_name: str | None) -> None:
    notifier, requests = pipeline(function_name=function_name)
    notifier.notify("sessionPaused", "golden-eagle-427")
    assert requests == []


def test_an_event_has_its_version_type_session_time_and_fields() -> None:
    notifier, requests = pipeline()
    notifier.notify("languageActive", "golden-eagle-427", language="es")
    assert requests == [
        (
            "/2015-03-31/functions/interpreter/invocations",
            {
                "version": 1,
                "type": "languageActive",
                "sessionId": "golden-eagle-427",
                "timestamp": 1_800_000_000_000,
                "language": "es",
            },
        )
    ]


def test_an_event_can_have_the_time_of_the_write_that_caused_it() -> None:
    notifier, requests = pipeline()
    notifier.notify(
        "sessionEnded", "golden-eagle-427", at_seconds=1_700_000_000.5, reason="expired"
    )
    ((_, event),) = requests
    assert event["timestamp"] == 1_700_000_000_500
