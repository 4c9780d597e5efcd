"""Requests to the function that makes deliveries."""

import json
from typing import Any

import pytest

from chalicelib import telemetry
from chalicelib.aws.functions import Functions
from chalicelib.aws.wire import Answer, Unreachable
from chalicelib.outcomes import Delivery, Outcomes
from tests.unit.fakes import PlayedTransport

URL = "https://api/stage"
ACCEPTED = Answer(202, b"", {})
LOST = Unreachable("late", was_sent=True)
NO_TRAIL = {"requestId": None, "sessionId": None, "correlation": None}


def outcomes(*results: Answer | Unreachable) -> tuple[Outcomes, list[tuple[str, Any]]]:
    """Return outcomes whose requests have these results, and a list of the requests."""
    transport = PlayedTransport(*(results or (ACCEPTED,)))
    return Outcomes(Functions(transport), "outcome"), transport.requests


@pytest.mark.parametrize("result", [*(Answer(status, b"", {}) for status in (429, 500, 403)), LOST])
def test_an_outcome_that_cannot_be_sent_is_only_logged(
    result: Answer | Unreachable, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("INFO")
    sender, requests = outcomes(result)
    sender.send(Delivery("marked=", URL, [{"marked": 1}]))
    out = capsys.readouterr().out
    assert json.loads(out)["message"] == "outcome not sent"
    assert "marked" not in out
    assert len(requests) == (1 if isinstance(result, Answer) and result.status == 403 else 2)


def test_an_outcome_is_sent_again_if_the_first_request_is_lost() -> None:
    sender, requests = outcomes(LOST, ACCEPTED)
    sender.send(Delivery("a=", URL, [{}]))
    (path, first), (_, again) = requests
    assert path == "/2015-03-31/functions/outcome/invocations"
    assert first == again


def test_messages_are_sent_in_order_in_one_asynchronous_request() -> None:
    sender, requests = outcomes()
    sender.send(Delivery("a=", URL, [{"type": "1"}, {"type": "2"}], delay_ms=50))
    ((_, payload),) = requests
    assert payload.pop("id")
    assert payload == {
        "connectionId": "a=",
        "endpointUrl": URL,
        "messages": [{"type": "1"}, {"type": "2"}],
        "delayMs": 50,
        "closes": False,
        "trail": NO_TRAIL,
    }


def test_each_event_has_a_unique_id() -> None:
    sender, requests = outcomes()
    for _ in range(2):
        sender.send(Delivery("a=", URL, [{}]))
    first, second = (event["id"] for _, event in requests)
    assert first != second


def test_an_outcome_contains_the_log_trail_of_the_event_that_caused_it() -> None:
    sender, requests = outcomes()
    telemetry.configure("INFO")
    with telemetry.handled("connect", connection_id="new=", request_id="request="):
        telemetry.follow("golden-eagle-427", "first=")
        sender.send(Delivery("new=", URL, [{}]))
    ((_, event),) = requests
    assert event["trail"] == {
        "requestId": "request=",
        "sessionId": "golden-eagle-427",
        "correlation": telemetry.hash_of("first="),
    }


def test_a_close_is_sent_without_messages() -> None:
    sender, requests = outcomes()
    sender.send(Delivery("a=", URL, delay_ms=50, closes=True))
    ((_, event),) = requests
    assert event.pop("id")
    assert event == {
        "connectionId": "a=",
        "endpointUrl": URL,
        "messages": [],
        "delayMs": 50,
        "closes": True,
        "trail": NO_TRAIL,
    }


def test_a_delivery_is_unchanged_after_encoding_and_decoding() -> None:
    trail = {"requestId": "request=", "sessionId": None, "correlation": None}
    delivery = Delivery("a=", URL, [{"type": "1"}], 50, closes=False, trail=trail)
    assert Delivery.from_event(json.loads(json.dumps(delivery.to_event()))) == delivery
