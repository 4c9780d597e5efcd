"""Plays a session against the running local server, at a pace that you can follow.

A speaker and five listeners show joins, heartbeats, a change of language, counts, captions, a
pause, a refresh, an interruption and the end. Each line is a shortened message of the protocol.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from local_gateway import arguments
from local_gateway.command import run_command
from local_gateway.output_pipes import is_reader_gone
from local_gateway.user_token import NoToken, served, token

CAPTION_SECONDS: Final = 2
"""How long a listener waits for a caption before it requests it. Source: docs/clients.md."""

WAIT_SECONDS: Final = 10
PAUSE_SECONDS: Final = 0.6

MAX_CLOCK_RATE: Final = 60
"""At this rate, a client counts as gone after 1.5 s without a heartbeat, and a speaker can return
within 1 s. Shorter times fail on a busy machine.
"""

LANGUAGES: Final = ("es", "es", "fr", "fr", "de")
BEAT: Final = "beat"
"""The request ID of the regular heartbeats, which aren't printed."""

Message = dict[str, Any]


class DemoError(Exception):
    """The demo can't continue."""


class Pace:
    """The pace of the demo, for a server whose clock may be faster than the real one."""

    def __init__(self, clock_rate: float, *, is_fast: bool) -> None:
        """Play without pauses if `is_fast`."""
        self.clock_rate = clock_rate
        self._seconds = 0 if is_fast else PAUSE_SECONDS

    async def pause(self) -> None:
        """Give the reader time to follow."""
        await asyncio.sleep(self._seconds)


class Actor:
    """A client on one connection. It prints all messages except its regular heartbeats."""

    def __init__(self, name: str, connection: ClientConnection, pace: Pace) -> None:
        """Start with an open connection."""
        self.name = name
        self.connection = connection
        self.connection_id = ""
        self._pace = pace
        self._heartbeat_seconds = 30
        self._inbox: list[Message] = []
        self._changed = asyncio.Condition()
        self._is_acknowledged = asyncio.Event()
        self._closed: str | None = None
        self._asked = 0

    async def ask(self, **command: str | int) -> Message:
        """Send a command, and wait for its outcome.

        Raises:
            DemoError: The outcome is an error, or it doesn't arrive.
        """
        self._asked += 1
        request_id = str(self._asked)
        self._print("→", command)
        await self.connection.send(json.dumps({**command, "requestId": request_id}))
        outcome = await self._take(lambda message: message.get("requestId") == request_id)
        if outcome["type"] == "error":
            raise DemoError(outcome["code"])
        return outcome

    async def hear(self, *types: str) -> Message:
        """Wait for a message of one of these types.

        Raises:
            DemoError: It doesn't arrive.
        """
        return await self._take(lambda message: message["type"] in types)

    async def hear_caption(self) -> None:
        """Wait for the first caption, and request it if its post is late.

        The service stops the posts of a caption a second or two after it, by its own clock.

        Raises:
            DemoError: There is no caption.
        """
        try:
            async with asyncio.timeout(CAPTION_SECONDS):
                await self.hear("caption")
        except TimeoutError:
            answer = await self.ask(action="getCaptions", afterSeq=0)
            if not answer["items"]:
                raise DemoError(f"{self.name} got no caption") from None

    async def read(self) -> None:
        """Read messages until the connection closes."""
        try:
            async for text in self.connection:
                await self._receive(json.loads(text))
        except ConnectionClosed:
            pass
        async with self._changed:
            self._closed = f"the connection of {self.name} has closed"
            self._changed.notify_all()

    async def beat(self) -> None:
        """Send heartbeats as often as the service asks for them, until the connection closes."""
        loop = asyncio.get_running_loop()
        due_at = loop.time()
        try:
            while True:
                due_at = max(due_at + self._interval(), loop.time())
                await asyncio.sleep(due_at - loop.time())
                self._is_acknowledged.clear()
                await self.connection.send(json.dumps({"action": "heartbeat", "requestId": BEAT}))
                await self._is_acknowledged.wait()
        except ConnectionClosed:
            pass

    def _interval(self) -> float:
        return self._heartbeat_seconds / self._pace.clock_rate

    async def _receive(self, message: Message) -> None:
        self._heartbeat_seconds = message.get("heartbeatSeconds", self._heartbeat_seconds)
        if message.get("requestId") == BEAT:
            self._is_acknowledged.set()
            return
        self._print("←", message)
        self.connection_id = message.get("connectionId", self.connection_id)
        async with self._changed:
            self._inbox.append(message)
            self._changed.notify_all()

    async def _take(self, is_wanted: Callable[[Message], bool]) -> Message:
        def find() -> Message | None:
            return next(filter(is_wanted, self._inbox), None)

        try:
            async with asyncio.timeout(WAIT_SECONDS), self._changed:
                await self._changed.wait_for(lambda: find() or self._closed)
        except TimeoutError:
            raise DemoError(f"{self.name} got no answer within {WAIT_SECONDS} s") from None
        found = find()
        if found is None:
            raise DemoError(str(self._closed))
        self._inbox.remove(found)
        return found

    def _print(self, arrow: str, message: Message) -> None:
        hidden = ("action", "type", "timestamp", "connectionId", "inviteCode", "requestId")
        name = message.get("action") or message["type"]
        rest = "  ".join(f"{k}={v}" for k, v in message.items() if k not in hidden)
        print(f"{self.name:>11} {arrow} {name:25} {rest}", flush=True)


@asynccontextmanager
async def on_stage(name: str, url: str, pace: Pace, **query: str) -> AsyncIterator[Actor]:
    """Connect a client that reads and sends heartbeats until the context ends."""
    async with connect(f"{url}?{urlencode(query)}" if query else url, proxy=None) as connection:
        actor = Actor(name, connection, pace)
        tasks = [asyncio.create_task(run) for run in (actor.read(), actor.beat())]
        try:
            yield actor
        finally:
            for task in tasks:
                task.cancel()


async def play(url: str, speakers_token: str, pace: Pace) -> None:
    """Play the whole session.

    Raises:
        DemoError: A command failed, or a message didn't arrive.
        OSError: The server can't be reached.
        WebSocketException: A connection failed.
    """
    async with AsyncExitStack() as stage:

        async def enter(name: str, **query: str) -> Actor:
            return await stage.enter_async_context(on_stage(name, url, pace, **query))

        speaker = await enter("speaker", token=speakers_token)
        created = await speaker.ask(action="createSession", sourceLanguage="en")
        session_id = created["sessionId"]
        invited = {"sessionId": session_id, "inviteCode": created["inviteCode"]}

        await scene(pace, "Five listeners join: one types the ID, four follow the speaker's link.")
        spoken = session_id.replace("-", " ").title()
        listeners = []
        for number, language in enumerate(LANGUAGES, start=1):
            listeners.append(await enter(f"listener {number}"))
            link = {"sessionId": spoken} if number == 1 else invited
            await listeners[-1].ask(action="joinSession", targetLanguage=language, **link)
            await pace.pause()

        await scene(pace, "All of them send a heartbeat.")
        for actor in (speaker, *listeners):
            await actor.ask(action="heartbeat")

        await scene(pace, "One changes language, and the speaker asks for the counts.")
        await listeners[0].ask(action="changeLanguage", targetLanguage="it")
        await speaker.ask(action="getSessionStatus")

        await scene(pace, "The speaker says a phrase, and each listener reads it in its language.")
        await speaker.ask(action="sendCaption", text="Good morning, and welcome.")
        await asyncio.gather(*(listener.hear_caption() for listener in listeners))
        await pace.pause()

        await scene(pace, "A break.")
        for action, notice in (
            ("pauseSession", "sessionPaused"),
            ("resumeSession", "sessionResumed"),
        ):
            await speaker.ask(action=action)
            await hear_all(listeners, notice)
            await pace.pause()

        await scene(pace, "One listener moves to a new connection, which replaces the old one.")
        old = listeners[0]
        listeners[0] = await enter("listener 1")
        refresh = {"action": "refreshConnection", "sessionId": session_id}
        listener = {"role": "listener", "targetLanguage": "it", "connectionId": old.connection_id}
        await listeners[0].ask(**refresh, **listener)
        await old.connection.close()

        lost, speaker = speaker, await enter("speaker", token=speakers_token)
        await scene(pace, "The speaker's network fails, and the speaker comes back.")
        lost.connection.transport.abort()
        await hear_all(listeners, "sessionInterrupted")
        await speaker.ask(**refresh, role="speaker")
        await hear_all(listeners, "sessionResumed")
        await pace.pause()
        await speaker.ask(action="getSessionStatus")

        await scene(pace, "The speaker ends the session for everyone.")
        await speaker.ask(action="endSession")
        await hear_all(listeners, "sessionEnded")


async def scene(pace: Pace, title: str) -> None:
    """Print the title of the next scene."""
    await pace.pause()
    print(f"\n    {title}\n", flush=True)
    await pace.pause()


async def hear_all(listeners: Iterable[Actor], type_: str) -> None:
    """Wait until every listener has received a message of a type."""
    for listener in listeners:
        await listener.hear(type_)


def main() -> int:
    """Play the demo; return the exit code."""
    parser = arguments.Parser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--port", type=arguments.port, default=8000)
    parser.add_argument("--fast", action="store_true", help="play without pauses")
    options = parser.parse_args()
    try:
        speakers_token = token(options.port, "speaker@example.com")
        clock_rate = served(options.port)["clockRate"]
        if clock_rate > MAX_CLOCK_RATE:
            raise DemoError(
                f"the server's clock runs {clock_rate:g} times faster; "
                f"start it with a --clock-rate of at most {MAX_CLOCK_RATE}"
            )
        pace = Pace(clock_rate, is_fast=options.fast)
        asyncio.run(play(f"ws://127.0.0.1:{options.port}/local", speakers_token, pace))
    except NoToken as error:
        print(error, file=sys.stderr)
        return 1
    except (DemoError, OSError, WebSocketException) as error:
        if not is_reader_gone():
            print(f"the demo can't continue: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    run_command(main)
