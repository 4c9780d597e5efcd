"""Events compared with AWS's, field by field. events/ contains AWS's, with redacted values."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway_support.serving import Server, serving, unique

ROUTES = {
    "authorizer": "authorizer",
    "connect": "$connect",
    "message": "$default",
    "disconnect": "$disconnect",
}
ID = re.compile(r"[A-Za-z0-9_-]{15}=")


@pytest.fixture(scope="module")
def events(server: Server) -> dict[str, Any]:
    """Return the events of one connection."""
    principal = unique()
    with server.connect(principal) as client:
        client.send("record")
        client.recv()
    return {name: server.next_event(route, principal) for name, route in ROUTES.items()}


def shape(value: Any) -> Any:
    """Replace values with their types."""
    if isinstance(value, dict):
        return {key: shape(held) for key, held in value.items()}
    if isinstance(value, list):
        return [shape(held) for held in value]
    return type(value).__name__


@pytest.mark.parametrize("name", ROUTES)
def test_an_event_has_the_fields_of_the_recorded_one(events: dict[str, Any], name: str) -> None:
    recorded = json.loads((Path(__file__).parent / "events" / f"{name}.json").read_text())
    assert shape(events[name]) == shape(recorded)


@pytest.mark.parametrize("name", ROUTES)
def test_an_event_has_its_route_and_type(events: dict[str, Any], name: str) -> None:
    recorded = json.loads((Path(__file__).parent / "events" / f"{name}.json").read_text())
    for key in ("routeKey", "eventType", "messageDirection"):
        assert events[name]["requestContext"][key] == recorded["requestContext"][key]


def test_events_share_a_connection_id_but_not_a_request_id(events: dict[str, Any]) -> None:
    contexts = [event["requestContext"] for event in events.values()]
    for key in ("connectionId", "connectedAt", "domainName", "apiId", "stage"):
        assert len({context[key] for context in contexts}) == 1
    assert len({context["requestId"] for context in contexts}) == len(contexts)


def test_ids_have_the_format_of_aws(events: dict[str, Any]) -> None:
    context = events["message"]["requestContext"]
    for key in ("connectionId", "requestId", "extendedRequestId", "messageId"):
        assert ID.fullmatch(context[key])


def test_times_are_in_milliseconds_and_in_utc(events: dict[str, Any]) -> None:
    context = events["message"]["requestContext"]
    assert context["connectedAt"] <= context["requestTimeEpoch"] < context["connectedAt"] + 10_000
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", context["requestTime"])


@pytest.mark.parametrize("name", ["connect", "message", "disconnect"])
def test_every_later_event_contains_the_authorizers_context(
    events: dict[str, Any], name: str
) -> None:
    carried = events[name]["requestContext"]["authorizer"]
    assert (carried["isAdmin"], carried["count"], carried["name"]) == ("true", "1", "anna")
    assert carried == events["connect"]["requestContext"]["authorizer"]


def test_the_authorizers_arn_is_that_of_the_connect_route(events: dict[str, Any]) -> None:
    arn = "arn:aws:execute-api:us-east-1:000000000000:local_gateway0/local/$connect"
    assert events["authorizer"]["methodArn"] == arn


def test_headers_keep_their_casing_and_the_last_of_a_name_wins(server: Server) -> None:
    principal = unique()
    with server.raw() as client:
        client.sendall(
            f"GET /local?principal={principal}&a=1&a=2&b=&c=%20+ HTTP/1.1\r\nhOsT: here\r\n"
            "upgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\nX-A: 1\r\nX-A: 2\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            "X-Forwarded-For: 203.0.113.1\r\n\r\n".encode()
        )
        client.recv(65536)
    event = server.next_event("$connect", principal)

    assert event["headers"]["hOsT"] == event["requestContext"]["domainName"] == "here"
    assert event["headers"]["X-A"] == "2"
    assert event["multiValueHeaders"]["X-A"] == ["1", "2"]
    assert event["headers"]["X-Forwarded-For"] == "203.0.113.1, 127.0.0.1"
    assert event["queryStringParameters"]["a"] == "2"
    assert event["queryStringParameters"]["b"] == ""
    assert event["queryStringParameters"]["c"] == "  "
    assert event["multiValueQueryStringParameters"]["a"] == ["1", "2"]
    assert "userAgent" not in event["requestContext"]["identity"]


def test_an_event_has_no_query_or_authorizer_if_there_is_none() -> None:
    with serving("one_way", "--no-reload") as server:
        server.app_name = "one_way"
        with server.connect():
            connect = server.invoke("events")[0]
    assert "queryStringParameters" not in connect
    assert "multiValueQueryStringParameters" not in connect
    assert "authorizer" not in connect["requestContext"]
