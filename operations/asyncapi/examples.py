"""The examples in docs/reference/protocol.md."""

import json
import re
from pathlib import Path
from typing import Any, Final, NamedTuple

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "protocol.md"

_LINE: Final = re.compile(r"^(\w+)([<>]) (\{.*\})$", re.MULTILINE)


class Example(NamedTuple):
    """A frame on the page.

    Attributes:
        client: The name of the client that sends or receives it.
        is_command: Whether the client sends it.
        payload: The frame's object.
    """

    client: str
    is_command: bool
    payload: dict[str, Any]


def read_examples() -> list[Example]:
    """Read the frames in the order of the page."""
    lines = _LINE.findall(PAGE.read_text(encoding="utf-8").partition("\n## Examples\n")[2])
    return [Example(client, way == ">", json.loads(text)) for client, way, text in lines]
