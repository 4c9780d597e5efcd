"""The check of the messages that go through the gate."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from tests.stories.gate import Gate

HEARTBEAT = {"action": "heartbeat", "requestId": "1"}
ACKNOWLEDGEMENT = {
    "type": "heartbeatAck",
    "requestId": "1",
    "connectedSeconds": 1,
    "heartbeatSeconds": 30,
    "timestamp": 1,
}


@contextmanager
def service(answer: dict[str, Any]) -> Iterator[str]:
    """Serve a service that has one answer; return its URL."""

    def handle(connection: ServerConnection) -> None:
        connection.recv()
        connection.send(json.dumps(answer))

    with serve(handle, "127.0.0.1", 0) as server:
        Thread(target=server.serve_forever).start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()


def exchange(command: dict[str, Any], answer: dict[str, Any]) -> Gate:
    with service(answer) as url, Gate(url).serving_in_thread() as gate:
        with connect(gate.url, compression=None) as client:
            client.send(json.dumps(command))
            client.recv()
        return gate


def test_messages_that_match_the_description_pass() -> None:
    exchange(HEARTBEAT, ACKNOWLEDGEMENT).check_messages()


@pytest.mark.parametrize(
    ("command", "answer", "name"),
    [
        ({**HEARTBEAT, "loud": True}, ACKNOWLEDGEMENT, "heartbeat"),
        (HEARTBEAT, {**ACKNOWLEDGEMENT, "heartbeatSeconds": "30"}, "heartbeatAck"),
    ],
)
def test_a_message_that_does_not_match_the_description_fails(
    command: dict[str, Any], answer: dict[str, Any], name: str
) -> None:
    gate = exchange(command, answer)
    with pytest.raises(AssertionError, match=rf"match {name} in docs/asyncapi\.yaml"):
        gate.check_messages()


def test_a_gate_without_messages_fails() -> None:
    with pytest.raises(AssertionError):
        Gate("ws://127.0.0.1:1").check_messages()
