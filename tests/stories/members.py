"""The members of a crowd: clients in Python and in JavaScript, and all that they have said."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count, groupby
from typing import Any, Final, Protocol

from broadcast_sessions_client import (
    Caption,
    Gap,
    Listener,
    SessionError,
    Speaker,
    StateChanged,
)
from tests.make import ROOT

IN_SESSION: Final = {"joined", "live", "paused", "interrupted"}
ON_THE_WAY: Final = {"connecting", "reconnecting", "refreshing"}

SCRIPT: Final = ROOT / "clients" / "javascript" / "tests" / "service" / "crowd.js"

Event = tuple[str, str | None, float | None]
"""The state, its reason and its wait."""


@dataclass(frozen=True)
class Heard:
    """A caption that a listener has heard, or captions that it knows to have missed.

    Attributes:
        language: The language's code.
        seqs: Their numbers.
        text: The caption's text, or None if they are missed.
    """

    language: str
    seqs: range
    text: str | None = None


class Client(Protocol):
    """What the story asks of a client in either language."""

    async def call(self, method: str, *arguments: str) -> Any:
        """Call a method, and return its result.

        Raises:
            SessionError: The client refused.
        """


class Member:
    """A participant, and all that its client has said.

    Attributes:
        events: All changes of its state.
        heard: All captions and gaps.
    """

    def __init__(self, name: str, client: Client, changed: asyncio.Event) -> None:
        self.name = name
        self.call = client.call
        self.events: list[Event] = []
        self.heard: list[Heard] = []
        self._changed = changed

    def record(self, state: str, reason: str | None, wait: float | None) -> None:
        self.events.append((state, reason, wait))
        self._changed.set()

    def hear_caption(self, language: str, seq: int, text: str) -> None:
        self._hear(Heard(language, range(seq, seq + 1), text))

    def hear_gap(self, language: str, after_seq: int, missed: int) -> None:
        self._hear(Heard(language, range(after_seq + 1, after_seq + 1 + missed)))

    def _hear(self, heard: Heard) -> None:
        self.heard.append(heard)
        self._changed.set()

    @property
    def last_seq(self) -> int:
        """The number of the last caption that the member has heard or missed."""
        return self.heard[-1].seqs[-1] if self.heard else 0

    @property
    def state(self) -> str:
        return self.events[-1][0]

    def shown(self) -> list[str]:
        """Return the states of the session that the member has shown, without repetitions."""
        states = [state for state, _, _ in self.events if state not in ON_THE_WAY]
        return [state for state, _ in groupby(states)]

    def returns(self, since: int = 0) -> int:
        """Return how many times the member has lost its session's connection and come back."""
        is_away, returns = False, 0
        for state, _, _ in self.events[since:]:
            if state == "reconnecting":
                is_away = True
            elif state in IN_SESSION and is_away:
                is_away, returns = False, returns + 1
        return returns

    def has_returned(self, since: int) -> bool:
        return self.returns(since) > 0 and self.state in IN_SESSION

    def __str__(self) -> str:
        return f"{self.name}: {self.events[-10:]} {self.heard[-10:]}"


class PythonClient:
    def __init__(self, client: Listener | Speaker) -> None:
        self.client = client

    async def call(self, method: str, *arguments: str) -> Any:
        result = await getattr(self.client, method)(*arguments)
        if method == "status":
            return result.listener_count, dict(result.languages)
        if method == "create":
            return result.id, result.invite_code
        return result

    async def report_to(self, member: Member) -> None:
        async for event in self.client:
            match event:
                case StateChanged():
                    member.record(event.state, event.reason, event.retry_in_seconds)
                case Caption():
                    member.hear_caption(event.language, event.seq, event.text)
                case Gap():
                    member.hear_gap(event.language, event.after_seq, event.count)


class JavaScriptClient:
    def __init__(self, node: "Node", name: str) -> None:
        self.node = node
        self.name = name

    async def call(self, method: str, *arguments: Any) -> Any:
        result = await self.node.ask(self.name, method, *arguments)
        if method == "status":
            return result["listenerCount"], result["languages"]
        if method == "create":
            return result["id"], result["inviteCode"]
        return result


class Node:
    """The process of the JavaScript clients."""

    def __init__(self, process: asyncio.subprocess.Process, members: dict[str, Member]) -> None:
        self.process = process
        self.members = members
        self.ids = count()
        self.asked: dict[int, asyncio.Future[Any]] = {}

    async def ask(self, member: str, call: str, *arguments: Any) -> Any:
        assert self.process.stdin
        request_id = next(self.ids)
        answered = self.asked[request_id] = asyncio.get_running_loop().create_future()
        line = {"id": request_id, "member": member, "call": call, "with": arguments}
        self.process.stdin.write(f"{json.dumps(line)}\n".encode())
        return await answered

    async def read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            self._take(json.loads(line))
        for answered in self.asked.values():
            answered.set_exception(AssertionError("node has ended"))

    def _take(self, message: dict[str, Any]) -> None:
        if event := message.get("event"):
            member = self.members[message["member"]]
            member.record(event["state"], event["reason"], event["retryInSeconds"])
        elif caption := message.get("caption"):
            member = self.members[message["member"]]
            member.hear_caption(caption["language"], caption["seq"], caption["text"])
        elif gap := message.get("gap"):
            member = self.members[message["member"]]
            member.hear_gap(gap["language"], gap["afterSeq"], gap["count"])
        elif error := message.get("error"):
            raised = SessionError(
                error.get("code", ""), error["message"], temporary=error["temporary"]
            )
            self.asked.pop(message["id"]).set_exception(raised)
        else:
            self.asked.pop(message["id"]).set_result(message["result"])


@asynccontextmanager
async def started_node(
    members: dict[str, Member], rate: float, *options: str
) -> AsyncIterator[Node]:
    process = await asyncio.create_subprocess_exec(
        *("node", "--experimental-websocket", "--no-warnings", *options, str(SCRIPT)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "CLOCK_RATE": str(rate)},
    )
    node = Node(process, members)
    reading = asyncio.create_task(node.read())
    try:
        yield node
    finally:
        process.kill()
        await process.wait()
        await reading
