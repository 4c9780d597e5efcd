"""The dispatch of events to use cases, and the answers to clients."""

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from chalicelib import telemetry
from chalicelib.assembly import UseCases, build_dispatcher
from chalicelib.dispatch import Dispatcher
from chalicelib.rate_limits import RateLimits
from tests.unit.fakes import (
    CREATE,
    Clock,
    FakeConnections,
    FakeOutcomes,
    closing,
    connecting,
    event,
    frame,
    reply,
    scan,
    types,
)


def test_a_connect_without_a_command_stores_and_sends_nothing(
    dispatcher: Dispatcher, outcomes: FakeOutcomes, dynamodb: Any
) -> None:
    assert dispatcher.connect(connecting("a=")) == {"statusCode": 200}
    assert outcomes.sent == []
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


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
def test_a_failed_connect_command_refuses_the_handshake_and_stores_nothing(
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
    create = connecting("a=", "user-1", **CREATE, requestId="r1")
    assert dispatcher.connect(create) == {"statusCode": 200}
    ((connection_id, endpoint_url, message),) = outcomes.sent
    assert (connection_id, endpoint_url) == ("a=", "https://api/stage")
    assert message == {
        "type": "sessionCreated",
        "requestId": "r1",
        "sessionId": "golden-eagle-100",
        "connectionId": "a=",
        "sourceLanguage": "en",
        "qualityTier": "standard",
        "admission": "open",
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
        "lastSeq": 0,
        "hasVoice": True,
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
    ("close_code", "notices"),
    [
        (1000, ["sessionInterrupted", "sessionEnded"]),
        (1005, ["sessionInterrupted", "sessionEnded"]),
        (1001, ["sessionInterrupted"]),
        (1006, ["sessionInterrupted"]),
        (None, ["sessionInterrupted"]),
    ],
)
def test_only_a_speakers_close_with_code_1000_or_1005_ends_the_session_after_a_short_grace(
    dispatcher: Dispatcher,
    phones: FakeConnections,
    close_code: int | None,
    notices: list[str],
) -> None:
    created = reply(dispatcher.message(frame("a=", "user-1", **CREATE)))
    dispatcher.message(
        frame("b=", action="joinSession", sessionId=created["sessionId"], targetLanguage="es")
    )
    assert dispatcher.disconnect(closing("a=", close_code)) == {"statusCode": 200}
    assert types(phones.inbox["b="]) == notices
    assert phones.inbox["b="][-1].get("reason", "speakerEnded") == "speakerEnded"


NULLS: dict[str, Any] = {
    "body": None,
    "headers": None,
    "multiValueHeaders": None,
    "queryStringParameters": None,
    "multiValueQueryStringParameters": None,
    "stageVariables": None,
}


@pytest.mark.parametrize("identity", [None, {}, {"sourceIp": None}, {"sourceIp": "203.0.113.7"}])
def test_optional_fields_of_an_event_can_be_null_on_every_route(
    dispatcher: Dispatcher, identity: dict[str, Any] | None
) -> None:
    nulls = event(
        "a=",
        context={"authorizer": None, "identity": identity, "disconnectStatusCode": None},
        **NULLS,
    )
    assert dispatcher.connect(nulls) == {"statusCode": 200}
    assert reply(dispatcher.message(nulls))["code"] == "INVALID_ACTION"
    heartbeat = {**nulls, "body": '{"action": "heartbeat"}'}
    assert reply(dispatcher.message(heartbeat))["type"] == "heartbeatAck"
    assert dispatcher.disconnect(nulls) == {"statusCode": 200}


def test_a_parameter_of_the_connect_url_with_a_null_value_is_ignored(
    dispatcher: Dispatcher,
) -> None:
    nulls = event("a=", multiValueQueryStringParameters={"action": None, "token": ["x"]})
    assert dispatcher.connect(nulls) == {"statusCode": 200}


@dataclass
class Broken:
    """A use case that raises an unexpected error."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("secret in the message")


def test_an_unexpected_error_is_an_internal_error_with_a_stack_trace_in_the_log(
    use_cases: UseCases,
    rate_limits: RateLimits,
    outcomes: FakeOutcomes,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    telemetry.configure("INFO")
    broken: Any = Broken()
    failing = replace(
        use_cases,
        sessions=broken,
        joining=broken,
        refresh=broken,
        presence=broken,
        lifecycle=broken,
    )
    dispatcher = build_dispatcher(failing, rate_limits, outcomes, "https://api/stage", clock)
    error = reply(dispatcher.message(frame("a=", action="heartbeat")))
    assert error["code"] == "INTERNAL_ERROR"
    assert error["temporary"] is True
    assert "secret" not in json.dumps(error)
    assert dispatcher.connect(connecting("a=", **CREATE)) == {"statusCode": 500}
    assert dispatcher.disconnect(event("a=")) == {"statusCode": 200}
    lines, out = read_log(capsys)
    assert [line["level"] for line in lines] == ["ERROR", "INFO"] * 3
    assert "RuntimeError" in lines[0]["error"]
    assert "secret" not in out


def read_log(capsys: pytest.CaptureFixture[str]) -> tuple[list[dict[str, Any]], str]:
    """Return the log's lines without the metrics, and the whole output."""
    out = capsys.readouterr().out
    lines = [json.loads(line) for line in out.splitlines()]
    return [line for line in lines if "_aws" not in line], out


def test_each_event_is_one_log_line_without_identifiers(
    dispatcher: Dispatcher, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("INFO")
    dispatcher.connect(connecting("marked-a=", "marked-user", **CREATE, token="marked-token"))
    dispatcher.message(frame("marked-b=", action="heartbeat", secret="marked-body"))
    dispatcher.message(frame("marked-b=", action="marked-action"))
    dispatcher.disconnect(event("marked-a=", "marked-user"))
    lines, out = read_log(capsys)
    assert "marked" not in out
    assert [
        (line["event"], line["operation"], line["code"])
        for line in lines
        if line["message"] == "event handled"
    ] == [
        ("connect", "createSession", "OK"),
        ("message", "heartbeat", "OK"),
        ("message", "message", "INVALID_ACTION"),
        ("disconnect", "disconnect", "OK"),
    ]
