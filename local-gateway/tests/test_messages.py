"""Replies, failures and concurrency of messages."""

import json
import time
from contextlib import ExitStack

import pytest

from gateway_support.serving import Server, serving, unique


@pytest.mark.parametrize(
    "body",
    [
        "raise secret",
        "forget secret",
        'return {"body": 7}',
        'return {"body": {"a": 1}}',
        "unmarshallable",
    ],
)
def test_a_failed_handler_is_reported_and_the_connection_stays_open(
    server: Server, body: str
) -> None:
    with server.connect() as client:
        client.send("id")
        connection_id = client.recv()
        client.send(body)
        frame = json.loads(client.recv())

        assert frame["message"] == "Internal server error"
        assert frame["connectionId"] == connection_id
        assert frame.keys() == {"message", "connectionId", "requestId"}
        client.send("hello")
        assert client.recv() == "hello"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('return {"body": 7}', "$default: the body must be a string\n"),
        ("repeat 131073", "$default: the body must not exceed 131072 bytes\n"),
        ("sleep 1.5", "$default failed: no result within 1 s\n"),
    ],
)
def test_the_log_says_in_one_line_why_a_message_failed(body: str, reason: str) -> None:
    with (
        serving("recorder", "--no-reload", "--stage", "hasty") as server,
        server.connect() as client,
    ):
        client.send(body)
        client.recv(10)
        assert server.err.wait_for("$default").endswith(f"#1 {reason}")


def test_a_slow_handler_is_reported_and_the_connection_stays_open() -> None:
    with serving("recorder", "--stage", "hasty") as server, server.connect() as client:
        client.send("wait x")
        assert json.loads(client.recv(10))["message"] == "Internal server error"

        client.send("hello")
        assert client.recv(10) == "hello"
        server.invoke("release", name="x")


def test_a_reply_without_a_body_sends_nothing() -> None:
    replies = ("{}", '{"body": null}', '{"body": ""}', "null")
    with serving("recorder", "--no-reload") as server, server.connect() as client:
        for count, reply in enumerate(replies, start=1):
            client.send(f"return {reply}")
            server.out.wait_for("$default ok", count)
            client.send("hello")
            assert client.recv() == "hello"


def test_a_lone_surrogate_in_a_reply_is_replaced(server: Server) -> None:
    with server.connect() as client:
        client.send('return {"body": "x\\ud800"}')
        assert client.recv() == "x?"


def test_a_reply_over_128_kib_is_a_failure(server: Server) -> None:
    with server.connect() as client:
        client.send('return {"body": "' + r"\u00fc" * 5000 + '"}')
        assert client.recv() == "ü" * 5000
        client.send("repeat 131072")
        assert len(client.recv()) == 131072
        client.send("repeat 131073")
        assert json.loads(client.recv())["message"] == "Internal server error"


def test_the_status_of_a_reply_is_ignored(server: Server) -> None:
    with server.connect() as client:
        client.send('return {"statusCode": 500, "body": "so be it"}')
        assert client.recv() == "so be it"


def test_a_route_without_a_response_sends_only_failures() -> None:
    with serving("one_way") as server, server.connect() as client:
        client.send("hello")
        server.out.wait_for("$default ok")
        client.send("raise")
        assert json.loads(client.recv())["message"] == "Internal server error"


def test_an_empty_message_is_a_message(server: Server, principal: str) -> None:
    with server.connect(principal) as client:
        client.send("")
        client.send("hello")
        assert client.recv() == "hello"


def test_messages_of_one_connection_run_concurrently(server: Server) -> None:
    names = unique(), unique()
    with server.connect() as client:
        for name in names:
            client.send(f"wait {name}")
        for name in names:
            server.invoke("next_started", name=name)
        for name in reversed(names):
            server.invoke("release", name=name)
            assert client.recv() == f"wait {name}"


def test_a_blocked_message_does_not_delay_a_thousand_others(server: Server) -> None:
    name = unique()
    bodies = [str(number) for number in range(1000)]
    with server.connect() as client:
        for body in (f"wait {name}", *bodies):
            client.send(body)
        assert {client.recv() for _ in bodies} == set(bodies)
        server.invoke("release", name=name)
        assert client.recv() == f"wait {name}"


def test_handlers_of_different_connections_run_concurrently(server: Server) -> None:
    with server.connect() as one, server.connect() as other:
        names = unique(), unique()
        one.send(f"wait {names[0]}")
        other.send(f"wait {names[1]}")
        for name in names:
            server.invoke("next_started", name=name)
        for name in names:
            server.invoke("release", name=name)
        assert one.recv() == f"wait {names[0]}"
        assert other.recv() == f"wait {names[1]}"


def test_a_hundred_blocked_handlers_do_not_block_another(server: Server) -> None:
    name = unique()
    with ExitStack() as stack:
        blocked = [stack.enter_context(server.connect()) for _ in range(100)]
        for client in blocked:
            client.send(f"wait {name}")
        for _ in blocked:
            server.invoke("next_started", name=name)

        with server.connect() as another:
            started = time.monotonic()
            another.send("hello")
            assert another.recv() == "hello"
            assert time.monotonic() - started < 1

        server.invoke("release", name=name)
        assert {client.recv() for client in blocked} == {f"wait {name}"}
