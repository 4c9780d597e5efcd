"""The route $disconnect and the end of a connection."""

from typing import Any

import pytest

from conformance.facts import fact
from conformance.runner import Observe
from conformance.variant import Client, Variant, keys_of

EVENTS = "a user's events"
CLOSED_BY_API = "code 1000, the reason Connection Closed Normally"


def disconnect_event(variant: Variant, client: Client) -> dict[str, Any]:
    """Wait for the $disconnect event of a closed connection; empty if there is none."""
    found = variant.records(client.connection_id, "$disconnect")
    return found[0] if found else {}


def code_and_reason(event: dict[str, Any]) -> str:
    if not event:
        return "no $disconnect event"
    context = event["requestContext"]
    code, reason = context.get("disconnectStatusCode"), context.get("disconnectReason")
    shown = {None: "no reason", "": "an empty reason"}.get(reason, f"the reason {reason}")
    return f"{'no code' if code is None else f'code {code}'}, {shown}"


@fact(
    "40",
    "$disconnect runs after the close: its posts to the connection fail with 410.",
    source="DG/apigateway-websocket-api-route-keys-connect-disconnect",
    confidence="documented",
)
def test_disconnect_cannot_post(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        connection_id = client.connection_id
    outcomes = one_way.records(connection_id, "post in $disconnect")
    assert observe(", ".join(outcomes) or "no outcome") == "410 GoneException"


@fact(
    "42a",
    "The event of $disconnect has the type DISCONNECT, a code and a reason, and no query string.",
    source=f"{EVENTS}; aws-lambda-go#547",
    confidence="reported",
)
def test_the_event_of_disconnect(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        pass
    event = disconnect_event(one_way, client)
    context = event.get("requestContext", {})
    has = {
        "code": "disconnectStatusCode" in context,
        "reason": "disconnectReason" in context,
        "query string": event.get("queryStringParameters") is not None,
    }
    found = [f"{'a' if it else 'no'} {name}" for name, it in has.items()]
    assert observe(", ".join([f"type {context.get('eventType')}", *found])) == (
        "type DISCONNECT, a code, a reason, no query string"
    )


@fact(
    "42b",
    "The headers of $disconnect are Host, x-api-key, X-Forwarded-For and x-restapi.",
    source=EVENTS,
    confidence="reported",
)
def test_the_headers_of_disconnect(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        pass
    headers = disconnect_event(one_way, client).get("headers") or {}
    assert observe(f"headers: {keys_of(headers)}") == (
        "headers: Host, X-Forwarded-For, x-api-key, x-restapi"
    )


@fact(
    "43a",
    "$disconnect has the client's close code, such as 1001 with an empty reason.",
    source=EVENTS,
    confidence="reported",
)
def test_the_code_of_the_client(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        client.connection.close(1001, "")
    assert (
        observe(code_and_reason(disconnect_event(one_way, client))) == "code 1001, an empty reason"
    )


@fact(
    "43b",
    "After a DELETE, $disconnect has code 1000 and the reason Connection Closed Normally.",
    source="chalice#2060",
    confidence="reported",
)
def test_the_code_after_a_delete(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        one_way.outcome("delete_connection", client.connection_id)
        client.ending()
    assert observe(code_and_reason(disconnect_event(one_way, client))) == CLOSED_BY_API


@fact(
    "44",
    "After a DELETE, the client sees a normal close with code 1000.",
    source="aws-sdk-js#3636; chalice#2060",
    confidence="reported",
)
def test_a_delete_closes_normally(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        one_way.outcome("delete_connection", client.connection_id)
        assert observe(client.ending()) == "closes with code 1000"


@fact(
    "T10a",
    "Without $connect and $disconnect routes, their events are not delivered to $default.",
    source="DG/apigateway-websocket-api-route-keys-connect-disconnect",
    confidence="documented",
)
def test_default_gets_messages_only(default_only: Variant, observe: Observe) -> None:
    if default_only.handshake() != "connects":
        pytest.skip("no connection without $connect")
    with default_only.connect() as client:
        client.send("id")
        connection_id = client.receive()
    events = default_only.records(connection_id, "$default", count=3)
    types = [str(it["requestContext"].get("eventType")) for it in events]
    assert observe(f"$default gets {', '.join(types) or 'no event'}") == "$default gets MESSAGE"
