"""Fakes of collaborators, and functions that build events and read answers."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chalicelib.aws.connections import FanOut, Gone, PostFailed
from chalicelib.aws.wire import Answer, Unreachable
from chalicelib.dispatch import Dispatcher
from chalicelib.errors import ServiceError, ServiceUnavailable
from chalicelib.models import Caller
from chalicelib.outcomes import Delivery
from chalicelib.status_requests import StatusRequest
from chalicelib.store.stores import Stores
from chalicelib.table_names import TableNames

CREATE = {"action": "createSession", "sourceLanguage": "en"}

ADDRESS = "203.0.113.7"
"""The address of all clients. Source: RFC 5737, addresses for documentation."""

JOINS_A_MINUTE = 25
"""The limit of joins from one address without an invite code.

It is above the limit of refused attempts.
"""

STATUSES = {error.code: error.status for error in ServiceError.__subclasses__()}

SCHEMA = json.loads(Path("chalicelib/tables.json").read_text())

STAGE_OUTPUTS = {
    "alarm_topic_arn": "arn:aws:sns:eu-central-1:123456789012:broadcast-sessions-dev-alarms",
    "api_id": "abc123",
    "pipeline_function": "the-pipeline",
    "table_names": {
        name: f"the-{name}" for name in ("sessions", "connections", "captions", "rate_limits")
    },
    "url": "wss://live.example.com",
}
"""The outputs of a deployed stage."""


class Clock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class FakeConnections:
    """Connections that keep the posted messages in an inbox each.

    Connections in `closed` are gone. Connections in `throttled` answer 429.
    """

    closed: set[str] = field(default_factory=set)
    throttled: set[str] = field(default_factory=set)
    inbox: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def post(self, connection_id: str, text: str) -> None:
        if connection_id in self.closed:
            raise Gone
        if connection_id in self.throttled:
            raise PostFailed(429)
        self.inbox.setdefault(connection_id, []).append(json.loads(text))

    def fan_out(
        self, connection_ids: Collection[str], text: str, limit_seconds: float = 10
    ) -> FanOut:
        if limit_seconds <= 0:
            return FanOut(0, frozenset(), len(connection_ids), frozenset(connection_ids))
        reached, gone, unreached = 0, set(), set()
        for connection_id in set(connection_ids):
            try:
                self.post(connection_id, text)
                reached += 1
            except Gone:
                gone.add(connection_id)
            except PostFailed:
                unreached.add(connection_id)
        return FanOut(reached, frozenset(gone), len(unreached), frozenset(unreached))

    def close(self, connection_ids: Collection[str]) -> None:
        self.closed |= set(connection_ids)


def listener(number: int) -> Caller:
    return Caller(f"listener-{number}=", None, 1_800_000_000_000, ADDRESS)


def scan(dynamodb: Any, table: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = dynamodb.scan(TableName=table)["Items"]
    return items


def participants(dynamodb: Any) -> list[dict[str, Any]]:
    """Read the connections table without the items that only count refused commands."""
    return [item for item in scan(dynamodb, "connections") if "sessionId" in item]


TABLES = TableNames("sessions", "connections", "captions")


@dataclass
class FakeOutcomes:
    """Outcomes that keep the messages, closes, delays and notices of the status."""

    sent: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    delays_ms: list[int] = field(default_factory=list)
    closing: list[tuple[str, str, int]] = field(default_factory=list)
    statuses: list[StatusRequest] = field(default_factory=list)

    def send(self, delivery: Delivery | StatusRequest) -> None:
        if isinstance(delivery, StatusRequest):
            encoded = json.loads(json.dumps(delivery.to_event()))
            self.statuses.append(StatusRequest.from_event(encoded))
            return
        event = Delivery.from_event(json.loads(json.dumps(delivery.to_event())))
        if event.closes:
            self.closing.append((event.connection_id, event.endpoint_url, event.delay_ms))
            return
        self.sent += [(event.connection_id, event.endpoint_url, it) for it in event.messages]
        self.delays_ms.append(event.delay_ms)


@dataclass
class FakeFunctions:
    """Functions that keep the events with which they are invoked."""

    events: list[dict[str, Any]] = field(default_factory=list)

    def invoke_later(self, _function_name: str, event: Mapping[str, Any]) -> None:
        self.events.append(json.loads(json.dumps(event)))


def refused(code: str, **rest: Any) -> Answer:
    """Return an answer with which DynamoDB refuses a request."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "x", **rest}
    return Answer(400, json.dumps(body).encode(), {})


class PlayedTransport:
    """A transport that returns or raises its results in order, and repeats the last.

    It keeps the operation or path, and the body, of each request.
    """

    def __init__(self, *results: Answer | Unreachable) -> None:
        self.results = list(results)
        self.requests: list[tuple[str, Any]] = []

    def request(
        self,
        _method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,
    ) -> Answer:
        self.requests.append(((headers or {}).get("x-amz-target", path), json.loads(body)))
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Unreachable):
            raise result
        return result


class Failing:
    """A store with one method that fails as if DynamoDB were unreachable."""

    def __init__(self, store: Any, method: str) -> None:
        assert hasattr(store, method)
        self._store = store
        self._method = method

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            raise ServiceUnavailable("busy", retry_after_seconds=2)
        return getattr(self._store, name)


def with_failing(stores: Stores, method: str) -> Stores:
    """Return stores with one method that fails, for example `seats.take`."""
    kind, _, name = method.partition(".")
    return replace(stores, **{kind: Failing(getattr(stores, kind), name)})


@dataclass
class Wire:
    """A client that sends commands by connect URL or by frame, and reads their outcomes."""

    dispatcher: Dispatcher
    outcomes: FakeOutcomes
    by_url: bool

    def send(self, connection_id: str, user_id: str | None = None, **fields: str) -> dict[str, Any]:
        """Send a command whose handshake succeeds. Return its outcome."""
        if not self.by_url:
            return reply(self.dispatcher.message(frame(connection_id, user_id, **fields)))
        assert self.dispatcher.connect(connecting(connection_id, user_id, **fields)) == {
            "statusCode": 200
        }
        receiver, _, message = self.outcomes.sent.pop()
        assert receiver == connection_id
        return message

    def refuses(
        self, code: str, connection_id: str, user_id: str | None = None, **fields: str
    ) -> bool:
        """Return whether a command is refused with this code, or with its HTTP status."""
        if not self.by_url:
            message = reply(self.dispatcher.message(frame(connection_id, user_id, **fields)))
            return (message["type"], message.get("code")) == ("error", code)
        answer = self.dispatcher.connect(connecting(connection_id, user_id, **fields))
        return answer == {"statusCode": STATUSES[code]} and self.outcomes.sent == []


def event(connection_id: str, user_id: str | None = None, **rest: Any) -> dict[str, Any]:
    context: dict[str, Any] = {
        "connectionId": connection_id,
        "connectedAt": 1_800_000_000_000,
        "requestId": "request=",
        "identity": {"sourceIp": ADDRESS},
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


def closing(connection_id: str, code: int | None = None) -> dict[str, Any]:
    return event(connection_id, context={"disconnectStatusCode": code})


def reply(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["statusCode"] == 200
    message: dict[str, Any] = json.loads(answer["body"])
    return message


def types(notices: list[dict[str, Any]]) -> list[str]:
    return [notice["type"] for notice in notices]


def join(dispatcher: Dispatcher, number: int, session_id: str, language: str) -> None:
    caller = listener(number)
    command = {"action": "joinSession", "sessionId": session_id, "targetLanguage": language}
    joined = reply(dispatcher.message(frame(caller.connection_id, **command)))
    assert joined["type"] == "sessionJoined"
