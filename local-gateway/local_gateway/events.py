"""The events that API Gateway and EventBridge pass to functions, complete to every field.

Source: dumps of real events. The authorizer's event is from the developer guide,
"apigateway-websocket-api-lambda-auth".
"""

import base64
import random
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Event = dict[str, Any]
Pairs = list[tuple[str, str]]

DEFAULT_REGION = "us-east-1"

ID_BYTES = 11
"""Size of an ID. Encoded it has 15 base64url characters and one "=", as in `L0SM9cOFvHcCIhw=`."""

_RANDOM = random.Random()  # noqa: S311
"""The source of IDs. Nothing depends on their secrecy, and a call of os.urandom costs more."""

_HOP_BY_HOP = frozenset({"connection", "upgrade"})


@dataclass(frozen=True, slots=True)
class Api:
    """The API that is the source of events."""

    stage: str
    api_id: str = "local_gateway0"
    region: str = DEFAULT_REGION
    account_id: str = "000000000000"

    @property
    def connect_arn(self) -> str:
        """The ARN of the $connect route in authorizer events. It has no HTTP verb."""
        return (
            f"arn:aws:execute-api:{self.region}:{self.account_id}"
            f":{self.api_id}/{self.stage}/$connect"
        )


@dataclass(slots=True)
class Client:
    """The client's attributes that API Gateway repeats in each of a connection's events.

    `authorizer` is None if the API has no authorizer.
    """

    connection_id: str
    connected_at_ms: int
    domain_name: str
    source_ip: str
    user_agent: str | None = None
    authorizer: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Handshake:
    """The upgrade request, with headers in the client's casing and the decoded query string."""

    headers: Pairs
    query: Pairs


def make_id() -> str:
    """Generate a random ID for a connection, request or message."""
    return base64.urlsafe_b64encode(_RANDOM.randbytes(ID_BYTES)).decode()


def make_uuid() -> str:
    """Generate a random ID for an invocation or a scheduled event."""
    return str(uuid.UUID(bytes=_RANDOM.randbytes(16), version=4))


def forwarded_headers(headers: Pairs, source_ip: str, port: int, now: float) -> Pairs:
    """Return the headers that API Gateway adds, appending to the client's own X-Forwarded-For."""
    chain = [value for name, value in headers if name.lower() == "x-forwarded-for"]
    return [
        ("X-Amzn-Trace-Id", f"Root=1-{int(now):08x}-{_RANDOM.randbytes(12).hex()}"),
        ("X-Forwarded-For", ", ".join([*chain, source_ip])),
        ("X-Forwarded-Port", str(port)),
        ("X-Forwarded-Proto", "http"),
    ]


def authorizer_event(api: Api, client: Client, handshake: Handshake, now: float) -> Event:
    """Build a REQUEST authorizer's event, which contains the query string even if it is empty."""
    return {
        "type": "REQUEST",
        "methodArn": api.connect_arn,
        **_single_and_multi("headers", "multiValueHeaders", handshake.headers),
        **_single_and_multi(
            "queryStringParameters", "multiValueQueryStringParameters", handshake.query
        ),
        "stageVariables": {},
        "requestContext": _request_context(api, client, "$connect", "CONNECT", now),
    }


def connect_event(api: Api, client: Client, handshake: Handshake, now: float) -> Event:
    """Build a $connect event.

    It contains no hop-by-hop headers, and no query string keys if the query string is empty.
    """
    headers = [pair for pair in handshake.headers if pair[0].lower() not in _HOP_BY_HOP]
    event: Event = _single_and_multi("headers", "multiValueHeaders", headers)
    if handshake.query:
        event |= _single_and_multi(
            "queryStringParameters", "multiValueQueryStringParameters", handshake.query
        )
    event["requestContext"] = _request_context(api, client, "$connect", "CONNECT", now)
    event["isBase64Encoded"] = False
    return event


def message_event(api: Api, client: Client, body: str, now: float) -> Event:
    """Build a message event, which contains no headers and no query string."""
    context = _request_context(api, client, "$default", "MESSAGE", now)
    context["messageId"] = make_id()
    return {"requestContext": context, "body": body, "isBase64Encoded": False}


def disconnect_event(api: Api, client: Client, code: int, reason: str, now: float) -> Event:
    """Build a $disconnect event, which contains four headers and no query string."""
    headers = [
        ("Host", client.domain_name),
        ("x-api-key", ""),
        ("X-Forwarded-For", ""),
        ("x-restapi", ""),
    ]
    context = _request_context(api, client, "$disconnect", "DISCONNECT", now)
    context["disconnectStatusCode"] = code
    context["disconnectReason"] = reason
    return {
        **_single_and_multi("headers", "multiValueHeaders", headers),
        "requestContext": context,
        "isBase64Encoded": False,
    }


def scheduled_event(api: Api, rule_name: str, due_at: float) -> Event:
    """Build EventBridge's event for a scheduled rule.

    Source: EventBridge user guide, "eb-run-lambda-schedule".
    """
    return {
        "version": "0",
        "id": make_uuid(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": api.account_id,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(due_at)),
        "region": api.region,
        "resources": [f"arn:aws:events:{api.region}:{api.account_id}:rule/{rule_name}"],
        "detail": {},
    }


def _request_context(api: Api, client: Client, route: str, event_type: str, now: float) -> Event:
    request_id = make_id()
    identity = {"sourceIp": client.source_ip}
    if client.user_agent is not None:
        identity["userAgent"] = client.user_agent
    context = {
        "routeKey": route,
        "eventType": event_type,
        "extendedRequestId": request_id,
        "requestTime": _format_time(int(now)),
        "messageDirection": "IN",
        "stage": api.stage,
        "connectedAt": client.connected_at_ms,
        "requestTimeEpoch": int(now * 1000),
        "identity": identity,
        "requestId": request_id,
        "domainName": client.domain_name,
        "connectionId": client.connection_id,
        "apiId": api.api_id,
    }
    if client.authorizer is not None:
        context["authorizer"] = dict(client.authorizer)
    return context


def _single_and_multi(single: str, multi: str, pairs: Iterable[tuple[str, str]]) -> Event:
    """Return pairs in AWS's two forms. The single-value form has the last value of each name."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {single: {name: every[-1] for name, every in values.items()}, multi: values}


@lru_cache(maxsize=2)
def _format_time(seconds: int) -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(seconds))
