"""The example exchanges in docs/reference/protocol.md, run against a server."""

from contextlib import ExitStack
from typing import Any

from chalicelib import session_ids
from chalicelib.commands import ACTIONS
from operations.asyncapi.examples import read_examples
from tests.stories.target import Client, Target, client

VARIABLE = {
    "connectedSeconds",
    "connectionId",
    "createdAt",
    "expiresAt",
    "inviteCode",
    "sessionId",
    "timestamp",
}
"""Fields whose values differ in each run. A value on the page stands for one value of the run."""


def test_the_examples_show_every_command() -> None:
    sent = {it.payload["action"] for it in read_examples() if it.is_command}
    assert sent == ACTIONS


def test_the_examples_are_correct(served: Target) -> None:
    clients: dict[str, Client] = {}
    actual: dict[Any, Any] = {}
    with ExitStack() as stack:
        for name, is_command, message in read_examples():
            if name not in clients:
                query = {"token": served.tokens()["IdToken"]} if "speaker" in name else {}
                clients[name] = stack.enter_context(client(served, **query))
            if is_command:
                clients[name].tell(**with_actual_values(message, actual))
                continue
            heard = clients[name].receive()
            assert heard.keys() == message.keys()
            for field, value in message.items():
                if field in VARIABLE:
                    assert type(heard[field]) is type(value)
                    actual.setdefault(value, heard[field])
                else:
                    assert heard[field] == value, field


def with_actual_values(message: dict[str, Any], actual: dict[Any, Any]) -> dict[str, Any]:
    if "sessionId" in message:
        message = {**message, "sessionId": session_ids.parse(message["sessionId"])}
    return {
        field: actual[value] if field in VARIABLE else value for field, value in message.items()
    }
