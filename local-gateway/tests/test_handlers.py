"""Handlers that return no reply, write bytes to standard output, close it or never end."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway_support.serving import SECONDS, Server, serving, write_project

APP = """
import sys, threading
from chalice import Chalice
app = Chalice("x")
app.experimental_feature_flags.update(["WEBSOCKETS"])

RESULTS = {"nothing": None, "string": "a string", "list": ["a", "list"], "number": 7}

@app.on_ws_message()
def message(event):
    if event.body == "block":
        threading.Event().wait()
    elif event.body == "bytes":
        sys.stdout.buffer.write(b"\\x00\\xff bytes\\n")
        sys.stdout.buffer.flush()
    elif event.body == "close":
        sys.stdout.close()
        sys.stderr.close()
    elif event.body == "raise":
        raise RuntimeError("still logged")
    return RESULTS.get(event.body, {"body": event.body})
"""
CONFIG = {
    "app_name": "x",
    "websocket_api": {"route_responses": ["$default"]},
    "stages": {"local": {"lambda_functions": {"websocket_message": {"lambda_timeout": 1}}}},
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(write_project(tmp_path, APP, json.dumps(CONFIG)), "--no-reload") as running:
        yield running


@pytest.mark.parametrize("result", ["nothing", "string", "list", "number"])
def test_a_result_that_is_no_object_sends_nothing(server: Server, result: str) -> None:
    """Chalice replaces such a result with {"statusCode": 200} before Lambda returns it."""
    with server.connect() as client:
        client.send(result)
        server.out.wait_for("$default ok")
        client.send("hello")
        assert client.recv(SECONDS) == "hello"


def test_bytes_on_standard_output_pass_through_and_the_client_gets_its_reply(
    server: Server,
) -> None:
    with server.connect() as client:
        client.send("bytes")
        assert client.recv(SECONDS) == "bytes"
    assert server.out.wait_for(" bytes\n") == "\x00\ufffd bytes\n"


def test_a_handler_that_closes_its_output_does_not_end_the_log(server: Server) -> None:
    with server.connect() as client:
        for body in ("close", "bytes"):
            client.send(body)
            assert client.recv(SECONDS) == body
        client.send("raise")
        assert json.loads(client.recv(SECONDS))["message"] == "Internal server error"
        server.out.wait_for(" bytes\n")
        server.out.wait_for("$default Internal server error")
        server.err.wait_for("RuntimeError: still logged")


def test_a_handler_that_never_ends_is_reported_and_does_not_prevent_the_exit(
    server: Server,
) -> None:
    with server.connect() as client:
        client.send("block")
        assert json.loads(client.recv(SECONDS))["message"] == "Internal server error"
        client.send("hello")
        assert client.recv(SECONDS) == "hello"
        assert server.stop(signal.SIGINT) == 0
