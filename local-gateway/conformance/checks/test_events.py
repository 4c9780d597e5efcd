"""The events that functions receive."""

import json
import re
from typing import Any

from conformance.facts import fact
from conformance.runner import Observe
from conformance.variant import Variant, is_ip_address, keys_of

EVENTS = "a user's events"
MAPPING = "DG/apigateway-websocket-api-mapping-template-reference"
MILLISECONDS = 10**12
"""A point in time in milliseconds has 13 digits, since 2001."""


def events_of_a_connection(variant: Variant) -> dict[str, dict[str, Any]]:
    """Return the events of a connection with one message, by route."""
    with variant.connect() as client:
        client.send("nothing")
        connection_id = client.connection_id
        message = variant.records(connection_id, "$default")[0]
    return {
        "$connect": variant.records(client.run, "$connect")[0],
        "$default": message,
        "$disconnect": variant.records(connection_id, "$disconnect")[0],
    }


@fact(
    "59",
    'A connection ID is base64url text that ends with "=".',
    source="DG/apigateway-how-to-call-websocket-api-connections",
    confidence="documented",
)
def test_the_connection_id(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        connection_id = client.connection_id
    alphabet = "hexadecimal" if re.fullmatch("[0-9a-f]+", connection_id) else "other"
    alphabet = "base64url with =" if re.fullmatch("[A-Za-z0-9_-]+=", connection_id) else alphabet
    alphabet = "a UUID" if re.fullmatch("[0-9a-f]{8}(-[0-9a-f]+){4}", connection_id) else alphabet
    assert observe(alphabet) == "base64url with ="


@fact(
    "60a",
    "The event of $connect has the headers and the query string.",
    source=f"{EVENTS}; serverless-offline, ws.e2e.js",
    confidence="reported",
)
def test_the_event_of_connect(one_way: Variant, observe: Observe) -> None:
    with one_way.connect(color="blue") as client:
        event = one_way.records(client.run, "$connect")[0]
    expected = {
        "headers",
        "multiValueHeaders",
        "queryStringParameters",
        "multiValueQueryStringParameters",
    }
    observe(f"keys {keys_of(expected & event.keys())}")
    assert expected <= event.keys()
    assert event["queryStringParameters"]["color"] == "blue"


@fact(
    "60b",
    "Without a query string, the event of $connect has no key queryStringParameters.",
    source=EVENTS,
    confidence="reported",
)
def test_no_query_string(two_way: Variant, observe: Observe) -> None:
    with two_way.connect(has_query=False) as client:
        client.send("id")
        connection_id = client.receive()
    event = two_way.records(connection_id, "$connect")[0]
    is_present = "queryStringParameters" in event
    value = json.dumps(event["queryStringParameters"]) if is_present else "absent"
    assert observe(f"the key is {value}") == "the key is absent"


@fact(
    "60c",
    "The event of a message has only requestContext, body and isBase64Encoded.",
    source=f"{EVENTS}; serverless-offline, ws.e2e.js",
    confidence="reported",
)
def test_the_event_of_a_message(one_way: Variant, observe: Observe) -> None:
    event = events_of_a_connection(one_way)["$default"]
    assert observe(keys_of(event)) == "body, isBase64Encoded, requestContext"


@fact(
    "61a",
    "connectedAt and requestTimeEpoch are in milliseconds.",
    source=MAPPING,
    confidence="documented",
)
def test_times_are_in_milliseconds(one_way: Variant, observe: Observe) -> None:
    context = events_of_a_connection(one_way)["$default"]["requestContext"]
    units = {
        name: "milliseconds" if int(context.get(name) or 0) > MILLISECONDS else "another unit"
        for name in ("connectedAt", "requestTimeEpoch")
    }
    observe(", ".join(f"{name}: {unit}" for name, unit in units.items()))
    assert set(units.values()) == {"milliseconds"}


@fact(
    "61b",
    "messageId is in the events of messages only.",
    source=MAPPING,
    confidence="documented",
)
def test_only_messages_have_a_message_id(one_way: Variant, observe: Observe) -> None:
    events = events_of_a_connection(one_way)
    having = [
        route for route, it in events.items() if it["requestContext"].get("messageId") is not None
    ]
    assert observe(f"in {', '.join(having) or 'none'}") == "in $default"


@fact(
    "62",
    "sourceIp is the address of the TCP connection, not the client's X-Forwarded-For.",
    source=MAPPING,
    confidence="documented",
)
def test_the_source_ip(one_way: Variant, observe: Observe) -> None:
    with one_way.connect(headers={"X-Forwarded-For": "203.0.113.7"}) as client:
        event = one_way.records(client.run, "$connect")[0]
    address = event["requestContext"].get("identity", {}).get("sourceIp")
    is_peer = is_ip_address(address) and address != "203.0.113.7"
    found = "the peer's address" if is_peer else "not the peer's address"
    assert observe(found) == "the peer's address"


@fact(
    "T10b",
    "connectedAt is the same in all events of a connection.",
    source=MAPPING,
    confidence="inferred",
)
def test_connected_at_is_constant(one_way: Variant, observe: Observe) -> None:
    events = events_of_a_connection(one_way).values()
    times = {it["requestContext"].get("connectedAt") for it in events}
    several = "missing" if None in times else f"{len(times)} different times"
    observe("constant" if len(times) == 1 and None not in times else several)
    assert len(times) == 1
    assert None not in times


@fact(
    "T15",
    "The event of $connect keeps the casing of the client's header names.",
    source=EVENTS,
    confidence="reported",
)
def test_the_casing_of_headers(one_way: Variant, observe: Observe) -> None:
    with one_way.connect(headers={"X-ProBe-Case": "1"}) as client:
        headers = one_way.records(client.run, "$connect")[0]["headers"]
    found = [name for name in headers if name.lower() == "x-probe-case"]
    assert observe(f"X-ProBe-Case: {', '.join(found) or 'none'}") == "X-ProBe-Case: X-ProBe-Case"
