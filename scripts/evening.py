"""Plays an evening of broadcasts on the local server, and writes down what was measured.

Two hours go by in two minutes. Every five minutes of the server's clock its metrics are read, as
CloudWatch sums them up, and printed as one JSON object: the moment, and each sample.
"""

import argparse
import asyncio
import json
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from random import Random
from typing import Any, Final
from urllib.parse import urlencode

from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from bench.servers import ROOT, local_server
from devserver.command import run_command
from devserver.user_token import token as sign_in

RATE: Final = 60
"""Times as fast as time. Pauses below are in minutes of that clock."""

EVENING_MINUTES: Final = 120
PERIOD_MINUTES: Final = 5
"""CloudWatch's, of the dashboard's widgets."""

LANGUAGES: Final = ("es", "fr", "de")
HEARTBEAT_MINUTES: Final = 4
"""Fewer than clients send, for here a minute is a second."""

SETTINGS: Final = {
    "RATE_LIMIT_LISTENER_JOINS_PER_MIN": "40",
    "RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN": "5",
    "RATE_LIMIT_HEARTBEATS_PER_MIN": "20",
    "HEARTBEAT_INTERVAL_SECONDS": f"{60 * HEARTBEAT_MINUTES}",
    "HEARTBEAT_SETTLED_SECONDS": f"{60 * HEARTBEAT_MINUTES}",
    "HEARTBEAT_TIMEOUT_SECONDS": f"{180 * HEARTBEAT_MINUTES}",
    "LOG_LEVEL": "ERROR",
}
FAULTS: Final[dict[int, dict[str, float]]] = {
    50: {"disconnect_lost_share": 0.3},
    85: {"dynamodb_down_share": 1},
    86: {"dynamodb_down_share": 0},
}
"""What goes wrong from which minute on."""

REQUEST_ID: Final = "1"
"""Of the only command of a connection whose outcome is read."""

chance: Final = Random(0)  # noqa: S311


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.evening", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance.seed(options.seed)
    with local_server(ROOT, "--clock-rate", str(RATE), **SETTINGS) as server:
        asyncio.run(
            play(
                Hall(
                    f"http://{server.host}:{server.port}",
                    sign_in(server.port, "speaker@example.com"),
                )
            )
        )
    return 0


class Hall:
    """The local server, and who may speak there."""

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self.url = f"{address.replace('http', 'ws', 1)}/local"
        self.token = token

    @asynccontextmanager
    async def client(self, **query: str) -> AsyncIterator[ClientConnection]:
        """Raises: InvalidStatus if the handshake is refused."""
        url = f"{self.url}?{urlencode(query)}" if query else self.url
        async with connect(url, compression=None, ping_interval=None) as opened:
            yield opened

    def read_metrics(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.address}/local/metrics", timeout=10) as response:  # noqa: S310
            text = response.read().decode()
        return [
            {"name": sample.name, "labels": sample.labels, "value": sample.value}
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]

    def put_faults(self, faults: dict[str, float]) -> None:
        body = json.dumps(faults).encode()
        url = f"{self.address}/_devserver/faults"
        request = urllib.request.Request(url, body, method="PATCH")  # noqa: S310
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


async def play(hall: Hall) -> None:
    started = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        broadcasts = [
            tasks.create_task(broadcast(hall, starts, lasts, listeners, ending))
            for starts, lasts, listeners, ending in (
                (1, 115, 60, "end"),
                (15, 45, 25, "close"),
                (40, 60, 35, "vanish"),
                (75, 30, 15, "end"),
            )
        ]
        others = [tasks.create_task(guess(hall)), tasks.create_task(go_wrong(hall))]
        for period in range(EVENING_MINUTES // PERIOD_MINUTES):
            due = started + (period + 1) * PERIOD_MINUTES * 60 / RATE
            await asyncio.sleep(due - time.monotonic())
            samples = await asyncio.to_thread(hall.read_metrics)
            print(json.dumps({"minute": (period + 1) * PERIOD_MINUTES, "samples": samples}))
        for task in (*broadcasts, *others):
            task.cancel()


async def broadcast(hall: Hall, starts: float, lasts: float, listeners: int, ending: str) -> None:
    """Speak for a while; pause once, drop out once, and go in one of three ways."""
    await minutes(starts)
    async with AsyncExitStack() as audience:
        people = await audience.enter_async_context(asyncio.TaskGroup())
        speaker = await audience.enter_async_context(Speaker.on_air(hall))
        for number in range(listeners):
            coming = listen(hall, speaker.session_id, LANGUAGES[number % 3], lasts)
            people.create_task(coming)
        await speaker.beat(lasts / 3)
        await speaker.ask(action="pauseSession")
        await speaker.beat(lasts / 10)
        await speaker.ask(action="resumeSession")
        await speaker.drop_out()
        await speaker.beat(lasts / 2)
        if ending == "end":
            await speaker.ask(action="endSession")
        else:
            await speaker.leave(1000 if ending == "close" else 1001)


class Speaker:
    """A speaker on the air, over one connection or the next."""

    def __init__(self, hall: Hall, client: ClientConnection, session_id: str) -> None:
        self.hall = hall
        self.client = client
        self.session_id = session_id

    @classmethod
    @asynccontextmanager
    async def on_air(cls, hall: Hall) -> "AsyncIterator[Speaker]":
        async with hall.client(token=hall.token) as client:
            await client.send(json.dumps({"action": "createSession", "sourceLanguage": "en"}))
            created = json.loads(await client.recv())
            speaker = cls(hall, client, created["sessionId"])
            yield speaker
            await speaker.client.close()

    async def ask(self, **command: str) -> None:
        await self.client.send(json.dumps(command))

    async def beat(self, how_long: float) -> None:
        """Stay for so many minutes."""
        for _ in range(max(1, round(how_long / HEARTBEAT_MINUTES))):
            await self.ask(action="heartbeat")
            await minutes(HEARTBEAT_MINUTES)

    async def drop_out(self) -> None:
        """Lose the connection, and come back within the grace."""
        await self.leave(1001)
        await minutes(0.5)
        opening = connect(f"{self.hall.url}?{urlencode({'token': self.hall.token})}")
        self.client = await opening
        refresh = {"action": "refreshConnection", "role": "speaker", "sessionId": self.session_id}
        await self.ask(**refresh)

    async def leave(self, code: int) -> None:
        await self.client.close(code)


async def listen(hall: Hall, session_id: str, language: str, lasts: float) -> None:
    """Come within a few minutes, beat, and go before the end, at the end, or with the Wi-Fi."""
    await minutes(chance.uniform(0.2, 4))
    stays = lasts * chance.choice((0.3, 0.7, 1, 1, 1))
    join = {"action": "joinSession", "sessionId": session_id, "targetLanguage": language}
    old: dict[str, str] = {}
    while stays > 0:
        async with hall.client() as client:
            answer = await ask(client, old or join)
            if answer["type"] == "error":
                await minutes(1.2)
                stays -= 1.2
                continue
            old = {
                **join,
                "action": "refreshConnection",
                "role": "listener",
                "connectionId": answer["connectionId"],
            }
            lost_after = chance.uniform(10, 80)
            for _ in range(round(min(stays, lost_after) / HEARTBEAT_MINUTES)):
                with suppress(ConnectionClosed):
                    await client.send(json.dumps({"action": "heartbeat"}))
                await minutes(HEARTBEAT_MINUTES)
                stays -= HEARTBEAT_MINUTES
            stays -= 1
            if await has_ended(client):
                return


async def ask(client: ClientConnection, command: dict[str, str]) -> dict[str, Any]:
    """Send a command and return its outcome. Notices of the session can come before it."""
    await client.send(json.dumps({**command, "requestId": REQUEST_ID}))
    while (answer := json.loads(await client.recv())).get("requestId") != REQUEST_ID:
        pass
    return dict(answer)


async def has_ended(client: ClientConnection) -> bool:
    """Read what has come, and say whether the session's end is in it."""
    with suppress(TimeoutError, ConnectionClosed):
        while True:
            async with asyncio.timeout(0.05):
                if json.loads(await client.recv())["type"] == "sessionEnded":
                    return True
    return False


async def guess(hall: Hall) -> None:
    """Try ids and tokens that are nobody's, now and then."""
    while True:
        await minutes(chance.uniform(1, 4))
        guesses = [
            {"action": "joinSession", "sessionId": "golden-eagle-427", "targetLanguage": "es"},
            {"action": "joinSession", "sessionId": "golden-eagle-427", "targetLanguage": "xx"},
            {"token": "eyJhbGciOiJub25lIn0.e30."},
        ]
        for query in chance.choices(guesses, k=chance.choice((2, 2, 2, 12))):
            with suppress(InvalidStatus):
                async with hall.client(**query):
                    pass


async def go_wrong(hall: Hall) -> None:
    before = 0
    for minute, faults in FAULTS.items():
        await minutes(minute - before)
        before = minute
        await asyncio.to_thread(hall.put_faults, faults)


async def minutes(number: float) -> None:
    await asyncio.sleep(number * 60 / RATE)


if __name__ == "__main__":
    run_command(main)
