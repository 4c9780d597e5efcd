"""Frames, their sizes, and the lifetime of a connection."""

import time
from contextlib import suppress

from websockets.exceptions import ConnectionClosed

from conformance.facts import fact
from conformance.runner import Observe
from conformance.variant import Variant, describe

KB = 1024
SECONDS_BETWEEN_POSTS = 0.5
"""Less than the idle timeout of the variant `short_idle`, 1 second."""

POSTS = 4
"""The posts last for twice the idle timeout."""

LIMITS = "DG/apigateway-execution-service-websocket-limits-table"


@fact(
    "48",
    "A binary frame closes the connection with code 1003.",
    source="DG/websocket-api-develop-binary-media-types",
    confidence="documented",
)
def test_a_binary_frame(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        client.connection.send(b"x")
        assert observe(client.ending()) == "closes with code 1003"


@fact(
    "49",
    "A post arrives as a text frame, with invalid UTF-8 replaced.",
    source="a comment in ministack's source",
    confidence="inferred",
)
def test_a_post_is_a_text_frame(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        one_way.outcome("post_to_connection", client.connection_id, Data=b"a\xffb")
        assert observe(ascii(describe(client.receive()))) == ascii("a\ufffdb")


@fact(
    "50a",
    "A message of 128 KB in frames of 32 KB reaches the function as one event.",
    source=LIMITS,
    confidence="documented",
)
def test_a_message_of_128_kb(one_way: Variant, observe: Observe) -> None:
    frames = _frames(128 * KB)
    with one_way.connect() as client:
        client.connection.send(frames)
        events = one_way.records(client.connection_id, "$default")
    observe(f"{len(events)} event, {sum(len(it['body']) for it in events):,} characters")
    assert [it["body"] for it in events] == ["".join(frames)]


@fact(
    "50b",
    "A message over 128 KB closes the connection with code 1009.",
    source=LIMITS,
    confidence="documented",
)
def test_a_message_over_128_kb(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        with suppress(ConnectionClosed):  # The target can close before the last frame is sent.
            client.connection.send([*_frames(128 * KB), "x"])
        assert observe(client.ending()) == "closes with code 1009"


@fact(
    "51",
    "A frame over 32 KB closes the connection with code 1009.",
    source=f"{LIMITS}; react-use-websocket#134",
    confidence="documented",
)
def test_a_frame_over_32_kb(one_way: Variant, observe: Observe) -> None:
    with one_way.connect() as client:
        client.connection.send("x" * (32 * KB + 1))
        assert observe(client.ending()) == "closes with code 1009"


@fact(
    "52a",
    "A connection closes after 10 minutes without a message.",
    source=LIMITS,
    confidence="documented",
)
def test_an_idle_connection(short_idle: Variant, observe: Observe) -> None:
    with short_idle.connect() as client:
        ending = client.ending()
    observe(f"{ending}; AWS's code is unknown")
    assert ending.startswith("closes")


@fact(
    "52b",
    "A connection closes after 2 hours.",
    source=LIMITS,
    confidence="documented",
)
def test_an_old_connection(short_lifetime: Variant, observe: Observe) -> None:
    with short_lifetime.connect() as client:
        ending = client.ending()
    observe(f"{ending}; AWS's code is unknown")
    assert ending.startswith("closes")


@fact(
    "53",
    "A post to a connection counts as its activity, and the idle timeout starts again.",
    source="hotsock.io/docs/connections/keep-alive",
    confidence="reported",
)
def test_a_post_is_activity(short_idle: Variant, observe: Observe) -> None:
    frames = []
    with short_idle.connect() as client:
        for _ in range(POSTS):
            time.sleep(SECONDS_BETWEEN_POSTS)
            short_idle.outcome("post_to_connection", client.connection_id, Data=b"x")
            frames.append(client.receive())
    observe("stays open" if frames == ["x"] * POSTS else next(it for it in frames if it != "x"))
    assert frames == ["x"] * POSTS


@fact(
    "54a",
    "A client's ping invokes no function.",
    source="andyrichardson/subscriptionless#3",
    confidence="reported",
)
def test_a_ping(two_way: Variant, observe: Observe) -> None:
    with two_way.connect() as client:
        client.connection.ping()
        client.send("reply", body="after the ping")
        client.receive()
        # A handler of the ping could run later, so this waits for a second event.
        events = two_way.records(client.connection_id, "$default", count=2)
    assert observe(f"{len(events)} event for a ping and a message") == (
        "1 event for a ping and a message"
    )


def _frames(size: int) -> list[str]:
    """Return a probe message of a size in frames of 32 KB."""
    start = '{"do": "nothing", "padding": "'
    message = start + "x" * (size - len(start) - 2) + '"}'
    return [message[at : at + 32 * KB] for at in range(0, size, 32 * KB)]
