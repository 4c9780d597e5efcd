"""Frames of the stories. Each has to match docs/asyncapi.yaml, and has no further fields."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

DESCRIPTION: Final = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"


def encode(command: Mapping[str, Any]) -> str:
    """Encode a command that matches the description."""
    check(command["action"], command)
    return json.dumps(command)


def decode(frame: str | bytes) -> dict[str, Any]:
    """Decode a message that matches the description."""
    message: dict[str, Any] = json.loads(frame)
    check(message.get("type", "gatewayError"), message)
    return message


def check_connection(sent: bytes, received: bytes) -> int:
    """Check that the messages of a connection match the description.

    Args:
        sent: All bytes from the client.
        received: All bytes from the service.

    Returns:
        The number of messages. 0 if the connection isn't a WebSocket.
    """
    if not received.startswith(b"HTTP/1.1 101 "):
        return 0
    commands = _read_messages(sent, Side.SERVER)
    for text in commands:
        command = json.loads(text)
        check(command["action"], command)
    messages = _read_messages(received, Side.CLIENT)
    for text in messages:
        decode(text)
    return len(commands) + len(messages)


def _read_messages(stream: bytes, side: Side) -> list[bytes]:
    """Read as a side does. A message that isn't complete doesn't count."""
    _, _, rest = stream.partition(b"\r\n\r\n")
    protocol = Protocol(side, max_size=None)
    protocol.receive_data(rest)
    return [
        bytes(event.data)
        for event in protocol.events_received()
        if isinstance(event, Frame) and event.opcode is Opcode.TEXT
    ]


def check(name: str, payload: Mapping[str, Any]) -> None:
    """Check that a payload matches a message of the description."""
    components = _components()
    assert name in components["messages"], f"docs/asyncapi.yaml has no message {name!r}"
    error = best_match(_validator(name).iter_errors(payload))
    assert error is None, f"{payload} doesn't match {name} in docs/asyncapi.yaml: {error.message}"


@cache
def _validator(name: str) -> Draft7Validator:
    payload = f"#/components/messages/{name}/payload"
    return Draft7Validator({"components": _components(), "$ref": payload})


@cache
def _components() -> dict[str, Any]:
    """Read the components. Clients ignore unknown fields, but the stories don't."""
    components: dict[str, Any] = yaml.safe_load(DESCRIPTION.read_text("utf-8"))["components"]
    for schema in components["schemas"].values():
        schema["additionalProperties"] = False
    return components
