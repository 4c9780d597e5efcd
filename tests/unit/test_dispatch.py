"""Events in, answers out: both ways of a command, and errors mapped to what a client sees."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib import telemetry
from chalicelib.dispatch import Dispatcher
from chalicelib.sessions import Sessions
from tests.unit.fakes import Clock, FakeGateway, scan

CREATE = {"action": "createSession", "sourceLanguage": "en"}


@dataclass
class FakeOutcomes:
    sent: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def send(self, connection_id: str, endpoint_url: str, text: str) -> None:
        self.sent.append((connection_id, endpoint_url, json.loads(text)))


@pytest.fixture
def outcomes() -> FakeOutcomes:
    return FakeOutcomes()


@pytest.fixture
def dispatcher(sessions: Sessions, outcomes: FakeOutcomes, clock: Clock) -> Dispatcher:
    return Dispatcher(sessions, outcomes, "https://api/stage", clock)  # type: ignore[arg-type]


def event(connection_id: str, user_id: str | None = None, **rest: Any) -> dict[str, Any]:
    context: dict[str, Any] = {
        "connectionId": connection_id,
        "connectedAt": 1_800_000_000_000,
        "requestId": "request=",
        **rest.pop("context", {}),
    }
    if user_id:
        context["authorizer"] = {"principalId": user_id, "userId": user_id}
    return {"requestContext": context, **rest}


def connecting(connection_id: str, user_id: str | None = None, **query: str) -> dict[str, Any]:
    multi = {name: [value] for name, value in query.items()}
    rest = {"multiValueQueryStringParameters": multi} if multi else {}
    return event(connection_id, user_id, **rest)


def frame(connection_id: str, user_id: str | None = None, **fields: Any) -> dict[str, Any]:
    return event(connection_id, user_id, body=json.dumps(fields), isBase64Encoded=False)


def reply(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["statusCode"] == 200
    message: dict[str, Any] = json.loads(answer["body"])
    return message


def test_a_bare_connection_costs_nothing(dispatcher: Dispatcher, outcomes: FakeOutcomes) -> None:
    assert dispatcher.connect(connecting("a=")) == {"statusCode": 200}
    assert outcomes.sent == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"action": "fly"}, 400),
        ({"action": "joinSession", "sessionId": "golden-eagle-427"}, 400),
        ({"action": "joinSession", "sessionId": "x", "targetLanguage": "es"}, 400),
        ({"action": "joinSession", "sessionId": "golden-eagle-427", "targetLanguage": "xx"}, 400),
        ({"action": "joinSession", "sessionId": "golden-eagle-427", "targetLanguage": "es"}, 404),
        (CREATE, 401),
    ],
)
def test_a_failed_connect_command_refuses_the_handshake_and_leaves_nothing(
    dispatcher: Dispatcher,
    outcomes: FakeOutcomes,
    dynamodb: Any,
    query: dict[str, str],
    status: int,
) -> None:
    assert dispatcher.connect(connecting("a=", **query)) == {"statusCode": status}
    assert outcomes.sent == []
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_a_connect_command_opens_the_connection_and_its_outcome_follows(
    dispatcher: Dispatcher, outcomes: FakeOutcomes
) -> None:
    assert dispatcher.connect(connecting("a=", "user-1", **CREATE)) == {"statusCode": 200}
    ((connection_id, endpoint_url, message),) = outcomes.sent
    assert (connection_id, endpoint_url) == ("a=", "https://api/stage")
    assert message == {
        "type": "sessionCreated",
        "timestamp": 1_800_000_000_000,
        "sessionId": "golden-eagle-100",
        "connectionId": "a=",
        "sourceLanguage": "en",
        "qualityTier": "standard",
        "maxListeners": 3,
        "inviteCode": "code-of-the-hall",
        "expiresAt": 1_800_007_200_000,
        "heartbeatSeconds": 30,
    }


def test_a_frame_command_is_answered_with_the_same_outcome(dispatcher: Dispatcher) -> None:
    created = reply(dispatcher.message(frame("a=", "user-1", **CREATE, requestId="r1")))
    assert created["type"] == "sessionCreated"
    assert created["requestId"] == "r1"
    joined = reply(
        dispatcher.message(
            frame(
                "b=",
                action="joinSession",
                sessionId=created["sessionId"].upper().replace("-", " "),
                targetLanguage="fr-CA",
            )
        )
    )
    assert joined == {
        "type": "sessionJoined",
        "timestamp": 1_800_000_000_000,
        "sessionId": created["sessionId"],
        "connectionId": "b=",
        "sourceLanguage": "en",
        "targetLanguage": "fr-CA",
        "qualityTier": "standard",
        "status": "active",
        "heartbeatSeconds": 30,
    }


def test_a_failed_frame_command_is_answered_by_an_error_with_its_request_id(
    dispatcher: Dispatcher,
) -> None:
    error = reply(dispatcher.message(frame("a=", action="fly", requestId="r1")))
    assert error == {
        "type": "error",
        "code": "INVALID_ACTION",
        "message": "The action is missing or unknown.",
        "temporary": False,
        "details": {"field": "action"},
        "timestamp": 1_800_000_000_000,
        "requestId": "r1",
    }


def test_an_event_without_a_body_is_answered_by_an_error(dispatcher: Dispatcher) -> None:
    assert reply(dispatcher.message(event("a=")))["code"] == "INVALID_ACTION"


@pytest.mark.parametrize(
    ("close_code", "reason"), [(1000, "speakerEnded"), (1001, "speakerLost"), (None, "speakerLost")]
)
def test_only_a_close_with_1000_is_the_speakers_own_end(
    dispatcher: Dispatcher, gateway: FakeGateway, close_code: int | None, reason: str
) -> None:
    created = reply(dispatcher.message(frame("a=", "user-1", **CREATE)))
    dispatcher.message(
        frame("b=", action="joinSession", sessionId=created["sessionId"], targetLanguage="es")
    )
    closing = event("a=", "user-1", context={"disconnectStatusCode": close_code})
    assert dispatcher.disconnect(closing) == {"statusCode": 200}
    assert [notice["reason"] for notice in gateway.inbox["b="]] == [reason]


@dataclass
class Broken:
    """Use cases that fail in a way that nobody foresaw."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("secret-of-the-house")


def test_what_nobody_foresaw_is_an_internal_error_with_a_stack_trace_in_the_log(
    outcomes: FakeOutcomes, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("INFO")
    dispatcher = Dispatcher(Broken(), outcomes, "https://api/stage", clock)  # type: ignore[arg-type]
    error = reply(dispatcher.message(frame("a=", action="heartbeat")))
    assert error["code"] == "INTERNAL_ERROR"
    assert error["temporary"] is True
    assert "secret" not in json.dumps(error)
    assert dispatcher.connect(connecting("a=", **CREATE)) == {"statusCode": 500}
    assert dispatcher.disconnect(event("a=")) == {"statusCode": 200}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["level"] for line in lines] == ["ERROR", "WARNING"] * 3
    assert "RuntimeError" in lines[0]["error"]


def test_each_event_is_one_line_that_names_nobody(
    dispatcher: Dispatcher, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("INFO")
    dispatcher.connect(connecting("marked-a=", "marked-user", **CREATE, token="marked-token"))
    dispatcher.message(frame("marked-b=", action="heartbeat", secret="marked-body"))
    dispatcher.message(frame("marked-b=", action="marked-action"))
    dispatcher.disconnect(event("marked-a=", "marked-user"))
    out = capsys.readouterr().out
    assert "marked" not in out
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["operation"], line["code"]) for line in lines] == [
        ("connect", "OK"),
        ("message", "OK"),
        ("message", "INVALID_ACTION"),
        ("disconnect", "OK"),
    ]
