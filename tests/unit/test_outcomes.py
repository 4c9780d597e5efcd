"""What is asked of the function that sends messages later."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from chalicelib import telemetry
from chalicelib.outcomes import Outcomes

URL = "https://api/stage"


@dataclass
class FakeLambda:
    error: Exception | None = None
    invoked: list[dict[str, Any]] = field(default_factory=list)

    def invoke(self, **request: Any) -> None:
        if self.error:
            raise self.error
        self.invoked.append(request)


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "TooManyRequestsException", "Message": "x"}}, "Invoke"),
        EndpointConnectionError(endpoint_url="x"),
        ReadTimeoutError(endpoint_url="x"),
    ],
)
def test_an_outcome_that_cannot_be_handed_on_is_logged_and_nobody_else_need_know(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("INFO")
    client: Any = FakeLambda(error)
    Outcomes(lambda: client, "outcome").send("marked=", URL, ['{"marked": 1}'])
    out = capsys.readouterr().out
    assert json.loads(out)["message"] == "outcome not sent"
    assert "marked" not in out


def test_messages_are_handed_on_together_in_order_and_not_waited_for() -> None:
    client: Any = FakeLambda()
    Outcomes(lambda: client, "outcome").send("a=", URL, ["{}", "[]"], delay_ms=50)
    (request,) = client.invoked
    assert (request["FunctionName"], request["InvocationType"]) == ("outcome", "Event")
    payload = json.loads(request["Payload"])
    assert payload.pop("id")
    assert payload == {
        "connectionId": "a=",
        "endpointUrl": URL,
        "messages": ["{}", "[]"],
        "delayMs": 50,
        "requestId": None,
        "sessionId": None,
        "correlation": None,
    }


def test_each_event_has_an_id_of_its_own() -> None:
    client: Any = FakeLambda()
    for _ in range(2):
        Outcomes(lambda: client, "outcome").send("a=", URL, ["{}"])
    first, second = (json.loads(request["Payload"])["id"] for request in client.invoked)
    assert first != second


def test_the_log_follows_an_outcome_like_the_event_that_caused_it() -> None:
    client: Any = FakeLambda()
    telemetry.configure("INFO")
    with telemetry.handled("connect", connection_id="new=", request_id="request="):
        telemetry.follow("golden-eagle-427", "first=")
        Outcomes(lambda: client, "outcome").send("new=", URL, ["{}"])
    (request,) = client.invoked
    event = json.loads(request["Payload"])
    assert event["requestId"] == "request="
    assert event["sessionId"] == "golden-eagle-427"
    assert event["correlation"] == telemetry.hash_of("first=")


def test_a_connection_to_close_is_handed_on_without_messages() -> None:
    client: Any = FakeLambda()
    Outcomes(lambda: client, "outcome").close("a=", URL, delay_ms=50)
    (request,) = client.invoked
    event = json.loads(request["Payload"])
    assert event.pop("id")
    assert event == {
        "connectionId": "a=",
        "endpointUrl": URL,
        "messages": [],
        "delayMs": 50,
        "closes": True,
        "requestId": None,
        "sessionId": None,
        "correlation": None,
    }
