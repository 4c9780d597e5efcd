"""Small real stand-ins, and what the tests say often."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chalicelib.gateway import FanOut, Gone
from chalicelib.models import Caller

SCHEMA = json.loads(Path("chalicelib/tables.json").read_text())


class Clock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeGateway:
    """Keeps what is posted to whom; `closed` connections are gone."""

    closed: set[str] = field(default_factory=set)
    inbox: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def post(self, connection_id: str, text: str) -> None:
        if connection_id in self.closed:
            raise Gone
        self.inbox.setdefault(connection_id, []).append(json.loads(text))

    def fan_out(self, connection_ids: set[str], text: str) -> FanOut:
        open_ids = connection_ids - self.closed
        for connection_id in open_ids:
            self.post(connection_id, text)
        return FanOut(len(open_ids), len(connection_ids) - len(open_ids), 0)


def listener(number: int) -> Caller:
    return Caller(f"listener-{number}=", None, 1_800_000_000_000)


def scan(dynamodb: Any, table: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = dynamodb.scan(TableName=table)["Items"]
    return items
