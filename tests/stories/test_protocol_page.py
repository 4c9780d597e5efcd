"""The example exchanges in docs/reference/protocol.md, run against a server."""

import json
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from chalicelib.commands import ACTIONS
from tests.stories.recorded import Recorded
from tests.stories.target import Client, Target, client

PAGE = Path("docs/reference/protocol.md")
LINE = re.compile(r"^(\w+)([<>]) (\{.*\})$", re.MULTILINE)


def exchanges() -> list[tuple[str, str, dict[str, Any]]]:
    lines = LINE.findall(PAGE.read_text().partition("\n## Examples\n")[2])
    return [(name, direction, json.loads(text)) for name, direction, text in lines]


def test_the_examples_show_every_command() -> None:
    sent = {message["action"] for _, direction, message in exchanges() if direction == ">"}
    assert sent == ACTIONS


def test_the_examples_are_correct(served: Target) -> None:
    clients: dict[str, Client] = {}
    recorded = Recorded()
    with ExitStack() as stack:
        for name, direction, message in exchanges():
            if name not in clients:
                query = {"token": served.tokens()["IdToken"]} if "speaker" in name else {}
                clients[name] = stack.enter_context(client(served, **query))
            if direction == ">":
                clients[name].connection.send(json.dumps(recorded.translate(message)))
            else:
                recorded.check(clients[name].receive(), message)
