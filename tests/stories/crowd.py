"""A session with members of both clients, whose clocks run fast."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from shutil import which
from typing import Final

from broadcast_sessions_client import Listener, SessionError, Speaker
from broadcast_sessions_client.environment import DEFAULT
from tests.stories.fast_loop import FastLoop
from tests.stories.gate import Gate
from tests.stories.members import JavaScriptClient, Member, Node, PythonClient, started_node
from tests.stories.target import Target
from tests.terraform.requirements import lacks

RATE: Final = 10
"""Ten seconds, the time for an answer, are one: enough for a busy machine."""

LISTENERS_OF_EACH: Final = 7
LISTENERS: Final = 2 * LISTENERS_OF_EACH
LANGUAGES: Final = {"es": LISTENERS_OF_EACH, "fr": LISTENERS_OF_EACH}
"""Spanish is heard in Python, and French in JavaScript."""

WAIT_SECONDS: Final = 60 * RATE
"""How long a condition can take, by the fast clock."""


class Crowd:
    """A speaker and the listeners of its session.

    Attributes:
        speakers: The speaker's network.
        network: The network of the listeners.
        node: The process of the JavaScript clients, after `enter`.
    """

    node: Node

    def __init__(
        self, target: Target, speakers: Gate, network: Gate, listeners_of_each: int
    ) -> None:
        self.target = target
        self.speakers = speakers
        self.network = network
        self.listeners_of_each = listeners_of_each
        self.members: dict[str, Member] = {}
        self.changed = asyncio.Event()
        clock = asyncio.get_running_loop().time
        self._options = {"environment": replace(DEFAULT, wall_clock=clock)}
        self._reports: list[asyncio.Task[None]] = []

    @property
    def speaker(self) -> Member:
        return next(iter(self.members.values()))

    @property
    def listeners(self) -> list[Member]:
        return list(self.members.values())[1:]

    async def enter(self, node: Node, language: str) -> None:
        """Create a session, and let all listeners join.

        Args:
            node: The process for the JavaScript clients.
            language: The speaker's client: `python` or `javascript`.
        """
        self.node = node
        token = self.target.tokens()["IdToken"]
        if language == "python":
            self._add_python("speaker", Speaker(self.speakers.url, token=token, **self._options))
        else:
            await self._add_javascript(node, "speaker", "speaker", self.speakers.url, token=token)
        self.session, self.invite = await self._create()
        for number in range(self.listeners_of_each):
            await self.add_listener(f"python {number}", "es", self.network.url)
            await self.add_listener(f"javascript {number}", "fr", self.network.url)
        if self.listeners:
            await self.join(*self.listeners)

    async def add_listener(self, name: str, language: str, url: str) -> Member:
        """Add a listener, whose name begins with the language of its client."""
        invited = {"session": self.session, "invite": self.invite, "language": language}
        if name.startswith("python"):
            self._add_python(name, Listener(url, **invited, **self._options))
        else:
            await self._add_javascript(self.node, name, "listener", url, **invited)
        return self.members[name]

    async def join(self, *listeners: Member) -> None:
        """Let listeners join at once, and wait until they have."""
        await asyncio.gather(*map(self._join, listeners))
        await self.until(lambda it: it.state == "joined", *listeners)

    async def _create(self) -> tuple[str, str]:
        """Create a session, as an application does, which calls again if it fails for now."""
        while True:
            try:
                session, invite = await self.speaker.call("create", "en")
            except SessionError as error:
                if not error.temporary:
                    raise
                await asyncio.sleep(error.retry_after_seconds or 0)
            else:
                return session, invite

    async def _join(self, listener: Member) -> None:
        try:
            await listener.call("join")
        except SessionError as error:  # So many joins at once can be too many for a moment.
            if not error.temporary:
                raise

    async def leave(self) -> None:
        await asyncio.gather(*(it.call("close") for it in self.members.values()))
        await asyncio.gather(*self._reports)

    def _add_python(self, name: str, client: Listener | Speaker) -> None:
        adapted = PythonClient(client)
        self.members[name] = Member(name, adapted, self.changed)
        self._reports.append(asyncio.create_task(adapted.report_to(self.members[name])))

    async def _add_javascript(
        self, node: Node, name: str, role: str, url: str, **options: str
    ) -> None:
        client = JavaScriptClient(node, name)
        self.members[name] = Member(name, client, self.changed)
        await client.call(role, url, options)

    async def until(self, holds: Callable[[Member], bool], *members: Member) -> None:
        """Wait until a condition holds for members, by default for all of them."""
        chosen = members or tuple(self.members.values())
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not all(map(holds, chosen)):
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            missing = "\n".join(str(it) for it in chosen if not holds(it))
            raise AssertionError(f"these members haven't come so far:\n{missing}") from None

    async def until_shown(self, state: str) -> None:
        """Wait until all listeners show a state."""
        await self.until(lambda member: member.state == state, *self.listeners)


def run(
    story: Callable[[Crowd], Awaitable[None]],
    target: Target,
    language: str,
    *node_options: str,
    listeners_of_each: int = LISTENERS_OF_EACH,
    rate: float = RATE,
) -> None:
    """Run a story with a crowd.

    Args:
        story: The story, which starts when all listeners have joined.
        target: The service.
        language: The speaker's client: `python` or `javascript`.
        *node_options: Further options of the process of the JavaScript clients.
        listeners_of_each: The number of listeners with each client.
        rate: How fast the clocks of the clients are.
    """
    if which("node") is None:
        lacks("Node")

    async def play() -> None:
        async with Gate(target.url).serving() as speakers, Gate(target.url).serving() as network:
            crowd = Crowd(target, speakers, network, listeners_of_each)
            async with started_node(crowd.members, rate, *node_options) as node:
                await crowd.enter(node, language)
                await story(crowd)
                await crowd.leave()
        for gate in (speakers, network):
            gate.check_messages()

    with asyncio.Runner(loop_factory=lambda: FastLoop(rate)) as runner:
        runner.run(play())
