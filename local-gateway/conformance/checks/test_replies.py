"""What a client receives for its messages."""

from conformance.checks.conftest import SlowFrame
from conformance.facts import fact
from conformance.runner import Observe
from conformance.variant import Variant, describe

ERROR = '{"connectionId": "...", "message": "Internal server error", "requestId": "..."}'
FORBIDDEN = '{"connectionId": "...", "message": "Forbidden", "requestId": "..."}'
LIMITS = "DG/apigateway-execution-service-websocket-limits-table"
EARLIEST_TIMEOUT = 28
"""The integration timeout of 29 seconds, less a second for imprecise clocks."""

MEETINGS = ["one met two", "two met one"]

TRANSCRIPT = "a user's transcript; serverless-offline, ws.e2e.js"
NOTES = "notes of DPenniket on bedrock-chat, without an address"

NAMES = {
    ERROR: "the error frame",
    FORBIDDEN: "the Forbidden frame",
    "the probe raises": "the text of the function's error",
    "waited": "the function's reply",
}
"""The matrix's words for frames."""


def name_of(frame: str) -> str:
    """Describe a frame by its name if it has one."""
    description = describe(frame)
    return NAMES.get(description, description)


@fact(
    "30",
    "A reply's body does not reach the client if the route has no route response.",
    source="DG/apigateway-websocket-api-routes-integrations",
    confidence="documented",
)
def test_no_reply_without_a_route_response(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        client.send("reply", body="a reply")
        one_way.records(client.connection_id, "$default")
        client.send("post", body="no reply")
        assert observe(describe(client.receive())) == "no reply"


@fact(
    "31",
    "A reply's body reaches the client if the route has a route response.",
    source="DG/apigateway-websocket-api-route-response",
    confidence="documented",
)
def test_a_reply_by_the_route_response(two_way: Variant, observe: Observe) -> None:
    with two_way.connect() as client:
        client.send("reply", body="a reply")
        assert observe(describe(client.receive())) == "a reply"


@fact(
    "32",
    "A reply's frame is the body alone, without the status and the headers.",
    source="serverless-offline#1301; serverless-websockets-plugin#12",
    confidence="reported",
)
def test_a_reply_is_the_body_alone(two_way: Variant, observe: Observe) -> None:
    reply = {"statusCode": 200, "headers": {"X-Probe": "1"}, "body": "the body"}
    with two_way.connect() as client:
        client.send("return", value=reply)
        assert observe(describe(client.receive())) == "the body"


@fact(
    "33",
    "If $connect accepts a client, the body that it returns is not sent as a frame.",
    source="serverless-offline#1301",
    confidence="reported",
)
def test_connect_sends_no_frame(two_way: Variant, observe: Observe) -> None:
    with two_way.connect(body="from $connect") as client:
        client.send("reply", body="a reply")
        assert observe(describe(client.receive())) == "a reply"


@fact(
    "34",
    "The status that a message's function returns has no effect: 200, 400 and 501 are silent.",
    source="a user's transcript",
    confidence="reported",
)
def test_the_status_of_a_message_has_no_effect(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        for status in (200, 400, 501):
            client.send("return", value={"statusCode": status})
        one_way.records(client.connection_id, "$default", count=3)
        client.send("post", body="still open")
        assert observe(describe(client.receive())) == "still open"


@fact(
    "35a",
    "If a message's function raises, the client gets API Gateway's error frame, with no details.",
    source=TRANSCRIPT,
    confidence="reported",
)
def test_a_message_raises(two_way: Variant, observe: Observe) -> None:
    with two_way.connect() as client:
        client.send("raise")
        assert observe(name_of(client.receive())) == NAMES[ERROR]


@fact(
    "35b",
    "The connection stays open after the error frame, also without a route response.",
    source=TRANSCRIPT,
    confidence="reported",
)
def test_the_connection_survives_an_error(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        client.send("raise")
        error = name_of(client.receive())
        client.send("post", body="the next frame")
        after = describe(client.receive())
    assert observe(f"{error}, then {after}") == "the error frame, then the next frame"


@fact(
    "37",
    "After 29 seconds, the client of a message gets the error frame.",
    source=f"{LIMITS} (29 s, fact 58); the frame: {NOTES}",
    confidence="inferred",
)
def test_the_integration_timeout(slow: SlowFrame, observe: Observe) -> None:
    frame, seconds = slow.result()
    name = name_of(frame)
    when = "after" if seconds >= EARLIEST_TIMEOUT else "before"
    observe(name if frame == "no frame" else f"{name}, {when} 29 seconds")
    assert name == NAMES[ERROR]
    assert seconds >= EARLIEST_TIMEOUT


@fact(
    "39",
    "Messages of a connection run concurrently.",
    source=NOTES,
    confidence="reported",
)
def test_messages_run_concurrently(two_way: Variant, observe: Observe) -> None:
    with two_way.connect() as client:
        client.send("meet", name="one", other="two")
        client.send("meet", name="two", other="one")
        frames = sorted(describe(client.receive()) for _ in range(2))
    one_by_one = "one after the other" if "one waited in vain" in frames else ", ".join(frames)
    observe("concurrently" if frames == MEETINGS else one_by_one)
    assert frames == MEETINGS


@fact(
    "46a",
    "A message that is not JSON goes to $default.",
    source="DG/websocket-api-develop-routes",
    confidence="documented",
)
def test_a_message_that_is_not_json(two_way: Variant, observe: Observe) -> None:
    with two_way.connect() as client:
        client.connection.send("not JSON {")
        assert observe(describe(client.receive())) == "not JSON"


@fact(
    "46b",
    "A message whose action has no route goes to $default.",
    source="DG/websocket-api-develop-routes",
    confidence="documented",
)
def test_an_action_without_a_route(two_way: Variant, observe: Observe) -> None:
    with two_way.connect() as client:
        client.send("reply", body="from $default", action="unknown")
        assert observe(describe(client.receive())) == "from $default"


@fact(
    "47",
    "Without $default, a message gets a Forbidden frame and the connection stays open.",
    source="transcripts of several users",
    confidence="reported",
)
def test_no_route_for_a_message(connect_only: Variant, observe: Observe) -> None:
    frames = []
    with connect_only.connect() as client:
        for _ in range(2):
            client.send("reply", body="x")
            frames.append(name_of(client.receive()))
    observe(frames[0] if frames[0] == frames[1] else ", then ".join(frames))
    assert frames == [NAMES[FORBIDDEN]] * 2
