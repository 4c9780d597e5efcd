import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from chalicelib import telemetry
from chalicelib.gateway import FanOut, Gateway, Gone, Outcomes


def aws_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "x"}}, "PostToConnection")


@dataclass
class FakeConnections:
    """The @connections client: takes posts, or raises what a connection's id stands for."""

    errors: dict[str, Exception] = field(default_factory=dict)
    before_post: Callable[[], object] = lambda: None
    posts: list[tuple[str, bytes]] = field(default_factory=list)

    def post_to_connection(self, *, ConnectionId: str, Data: bytes) -> None:  # noqa: N803
        self.before_post()
        if ConnectionId in self.errors:
            raise self.errors[ConnectionId]
        self.posts.append((ConnectionId, Data))


@pytest.mark.parametrize("code", ["GoneException", "BadRequestException"])
def test_a_closed_or_impossible_connection_is_gone(code: str) -> None:
    client: Any = FakeConnections({"a=": aws_error(code)})
    with pytest.raises(Gone):
        Gateway(client).post("a=", "{}")


def test_another_error_of_a_post_is_not_taken_for_gone() -> None:
    client: Any = FakeConnections({"a=": aws_error("ForbiddenException")})
    with pytest.raises(ClientError):
        Gateway(client).post("a=", "{}")


def test_a_fan_out_reaches_the_rest_and_counts_who_was_not() -> None:
    client: Any = FakeConnections(
        {
            "gone=": aws_error("GoneException"),
            "slow=": aws_error("LimitExceededException"),
            "lost=": EndpointConnectionError(endpoint_url="x"),
        }
    )
    ids = ["gone=", "a=", "slow=", "b=", "lost="]
    assert Gateway(client).fan_out(ids, "{}") == FanOut(reached=2, gone=1, failed=2)
    assert {to for to, _ in client.posts} == {"a=", "b="}


def test_a_fan_out_to_nobody_posts_nothing() -> None:
    client: Any = FakeConnections()
    assert Gateway(client).fan_out([], "{}") == FanOut(0, 0, 0)
    assert client.posts == []


def test_a_fan_out_posts_side_by_side() -> None:
    all_under_way = threading.Barrier(8, timeout=10)
    client: Any = FakeConnections(before_post=all_under_way.wait)
    assert Gateway(client).fan_out([f"{n}=" for n in range(8)], "{}").reached == 8


@dataclass
class FakeLambda:
    error: Exception | None = None
    invocations: list[dict[str, Any]] = field(default_factory=list)

    def invoke(self, **parameters: Any) -> None:
        if self.error:
            raise self.error
        self.invocations.append(parameters)


def test_an_outcome_is_handed_to_its_function_without_waiting_for_it() -> None:
    client: Any = FakeLambda()
    Outcomes(lambda: client, "outcome-function").send("a=", "https://api/stage", '{"type": "x"}')
    (invocation,) = client.invocations
    assert invocation["FunctionName"] == "outcome-function"
    assert invocation["InvocationType"] == "Event"
    assert json.loads(invocation["Payload"]) == {
        "connectionId": "a=",
        "endpointUrl": "https://api/stage",
        "message": '{"type": "x"}',
    }


def test_an_outcome_that_cannot_be_handed_over_is_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    telemetry.configure("INFO")
    client: Any = FakeLambda(aws_error("TooManyRequestsException"))
    Outcomes(lambda: client, "outcome-function").send("a=", "https://api/stage", "{}")
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["operation"]) == ("ERROR", "outcome.send")
