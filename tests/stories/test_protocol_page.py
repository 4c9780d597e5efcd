"""The example exchanges in docs/reference/protocol.md, run against a server."""

from contextlib import ExitStack

from chalicelib.commands import ACTIONS
from operations.asyncapi.examples import read_examples
from tests.stories.recorded import Recorded
from tests.stories.target import Client, Target, client


def test_the_examples_show_every_command() -> None:
    sent = {it.payload["action"] for it in read_examples() if it.is_command}
    assert sent == ACTIONS


def test_the_examples_are_correct(served: Target) -> None:
    clients: dict[str, Client] = {}
    recorded = Recorded()
    with ExitStack() as stack:
        for name, is_command, message in read_examples():
            if name not in clients:
                query = {"token": served.tokens()["IdToken"]} if "speaker" in name else {}
                clients[name] = stack.enter_context(client(served, **query))
            if is_command:
                clients[name].tell(**recorded.translate(message))
            else:
                recorded.check(clients[name].receive(), message)
