"""Small real stand-ins, and what the tests say often."""

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
from chalicelib.store.stores import Stores

CREATE = {"action": "createSession", "sourceLanguage": "en"}

ADDRESS = "203.0.113.7"
"""Of everybody: a hall has one. Source: RFC 5737, addresses for documentation."""

JOINS_A_MINUTE = 25
"""Without an invite code, from one address: more than the refused attempts that are allowed."""

STATUSES = {error.code: error.status for error in ServiceError.__subclasses__()}

SCHEMA = json.loads(Path("chalicelib/tables.json").read_text())


class Clock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class FakeConnections:
    """Keeps what is posted to whom; `closed` connections are gone, `throttled` ones answer 429."""

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
        self, connection_ids: Collection[str], text: str, _limit_seconds: float = 10
    ) -> FanOut:
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


@dataclass
class FakeOutcomes:
    """Keeps what is to be sent or closed after an answer, from where, and with which delay."""

    sent: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    delays_ms: list[int] = field(default_factory=list)
    closing: list[tuple[str, str, int]] = field(default_factory=list)

    def send(self, delivery: Delivery) -> None:
        event = Delivery.from_event(json.loads(json.dumps(delivery.to_event())))
        if event.closes:
            self.closing.append((event.connection_id, event.endpoint_url, event.delay_ms))
            return
        self.sent += [(event.connection_id, event.endpoint_url, it) for it in event.messages]
        self.delays_ms.append(event.delay_ms)


def refused(code: str, **rest: Any) -> Answer:
    """Return an answer by which DynamoDB refuses a request."""
    said = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "x", **rest}
    return Answer(400, json.dumps(said).encode(), {})


class PlayedTransport:
    """Answers with each of its ends in turn, and with the last for ever; keeps what it is asked."""

    def __init__(self, *ends: Answer | Unreachable) -> None:
        self.ends = list(ends)
        self.asked: list[tuple[str, Any]] = []

    def request(
        self,
        _method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,
    ) -> Answer:
        self.asked.append(((headers or {}).get("x-amz-target", path), json.loads(body)))
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, Unreachable):
            raise end
        return end


class Failing:
    """A store, one of whose methods fails as if DynamoDB were unreachable."""

    def __init__(self, store: Any, method: str) -> None:
        assert hasattr(store, method)
        self._store = store
        self._method = method

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            raise ServiceUnavailable("busy", retry_after_seconds=2)
        return getattr(self._store, name)


def with_failing(stores: Stores, method: str) -> Stores:
    """Return stores, one of whose methods fails, for example `seats.take`."""
    kind, _, name = method.partition(".")
    return replace(stores, **{kind: Failing(getattr(stores, kind), name)})


@dataclass
class Wire:
    """Gives commands by the connect URL or by a frame, and hears what the client is told."""

    dispatcher: Dispatcher
    outcomes: FakeOutcomes
    by_url: bool

    def give(self, connection_id: str, user_id: str | None = None, **fields: str) -> dict[str, Any]:
        """Return the outcome, of a command that is not refused by the handshake."""
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
        """Whether a command is refused with that code, or with its status."""
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
