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
    }


def test_an_events_id_is_its_own_and_grows_with_time() -> None:
    client: Any = FakeLambda()
    times = iter([9, 10, 10, 1_800_000_000_000_000_000])
    outcomes = Outcomes(lambda: client, "outcome", lambda: next(times))
    for _ in range(4):
        outcomes.send("a=", URL, ["{}"])
    ids = [json.loads(request["Payload"])["id"] for request in client.invoked]
    assert len(set(ids)) == 4
    assert ids[0] < min(ids[1:3])
    assert max(ids[1:3]) < ids[3]


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
    }
