"""The whole application on the local server, compared with its DynamoDB requests alone."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection

from bench import report, wire
from bench.memory import peak_mib
from bench.report import Row, Target
from bench.round_trip import add_round, open_client
from bench.servers import Server, local_gateway
from benchmarks.dynamodb import Scratch
from benchmarks.servers import ROOT
from local_gateway import aws
from local_gateway.user_token import served_environment

JOIN_ROUNDS = 3
LISTENERS = 500
THREADS = 32

HEARTBEAT_ROUNDS = 10
HEARTBEATS_PER_ROUND = 30

ANSWER_SECONDS = 20
"""An outcome that takes longer counts as lost."""

UNLIMITED = {
    "RATE_LIMIT_CONNECTIONS_PER_MIN": "1000000",
    "RATE_LIMIT_HEARTBEATS_PER_MIN": "1000000",
}
"""All requests come from one address, and heartbeats follow each other without a pause."""

HEARTBEAT = json.dumps({"action": "heartbeat"})


def measure() -> list[Row]:
    """Measure and print.

    Raises:
        NotStarted: The local server didn't start.
    """
    report.print_section("The whole application on the local server, with its embedded AWS")
    with local_gateway(ROOT, LOG_LEVEL="ERROR", **UNLIMITED) as server:
        environment = served_environment(server.port)
        scratch = Scratch.create(environment["AWS_ENDPOINT_URL"], THREADS)
        token = aws.sign_in(
            environment["AWS_ENDPOINT_URL"],
            environment["COGNITO_USER_POOL_ID"],
            environment["COGNITO_CLIENT_ID"],
            "speaker@example.com",
        )["IdToken"]
        hall = Hall(server, token)
        return [
            *asyncio.run(_joins(hall, scratch)),
            *asyncio.run(_heartbeats(hall, scratch)),
        ]


async def _joins(hall: "Hall", scratch: Scratch) -> list[Row]:
    yardstick = Row(f"their DynamoDB requests alone, boto3, {THREADS} threads")
    target = Target("median", "at most", 6)
    by_frame = Row("by frame, on connections that are open", yardstick=yardstick, target=target)
    by_url = Row("by connect URL, connecting included", yardstick=yardstick, target=target)
    for _ in range(JOIN_ROUNDS):
        yardstick.figures.append(_time_requests(scratch))
        await _add_joins_by_frame(by_frame, hall)
        await _add_joins_by_url(by_url, hall)
    by_frame.peak_mib = by_url.peak_mib = peak_mib(hall.server.process_id)
    title = f"{LISTENERS} concurrent joins, s ({JOIN_ROUNDS} rounds)"
    report.print_table(title, [yardstick, by_frame, by_url])
    return [yardstick, by_frame, by_url]


def _time_requests(scratch: Scratch) -> float:
    scratch.put_session()
    with ThreadPoolExecutor(THREADS) as threads:
        started = time.perf_counter()
        list(threads.map(scratch.join, range(LISTENERS)))
        return time.perf_counter() - started


async def _add_joins_by_frame(row: Row, hall: "Hall") -> None:
    """Measure from the first command to the last outcome."""
    async with hall.session() as session:
        command = wire.encode_message(json.dumps({"action": "joinSession", **session.join}))
        phones = [await hall.open_phone() for _ in range(LISTENERS)]
        started = time.perf_counter()
        asking = [asyncio.create_task(phone.ask(command)) for phone in phones]
        await _add_outcomes(row, asking, started)
        row.failed += abs(await session.listener_count() - LISTENERS)
        row.failed += await session.empty(phones)


async def _add_joins_by_url(row: Row, hall: "Hall") -> None:
    """Measure from the first connect to the last outcome, which the service sends unasked."""
    phones: list[wire.WebSocket] = []

    async def join(query: str) -> bytes:
        phone = await hall.open_phone(query)
        phones.append(phone)
        return await phone.receive()

    async with hall.session() as session:
        query = urlencode({"action": "joinSession", **session.join})
        started = time.perf_counter()
        joining = [asyncio.create_task(join(query)) for _ in range(LISTENERS)]
        await _add_outcomes(row, joining, started)
        row.failed += abs(await session.listener_count() - LISTENERS)
        row.failed += await session.empty(phones)


async def _add_outcomes(row: Row, tasks: "Sequence[asyncio.Task[bytes]]", started: float) -> None:
    done, late = await asyncio.wait(tasks, timeout=ANSWER_SECONDS)
    row.figures.append(time.perf_counter() - started)
    row.lost += len(late)
    for task in late:
        task.cancel()
    row.failed += sum(not _has_joined(task) for task in done)


def _has_joined(task: "asyncio.Task[bytes]") -> bool:
    return task.exception() is None and json.loads(task.result())["type"] == "sessionJoined"


async def _heartbeats(hall: "Hall", scratch: Scratch) -> list[Row]:
    yardstick = Row("one GetItem alone, boto3")
    listener_row = Row("a listener's heartbeat: 1 request", yardstick=yardstick)
    speaker_row = Row("a speaker's heartbeat: 2 requests", yardstick=yardstick)
    async with hall.session() as session, open_client(hall.server.url) as listener:
        await listener.send(json.dumps({"action": "joinSession", **session.join}))
        await listener.recv()
        scratch.put_session()
        _median_read_ms(scratch)
        for client in (listener, session.speaker):
            await _add_heartbeats(Row("warm-up"), client)
        for _ in range(HEARTBEAT_ROUNDS):
            yardstick.figures.append(_median_read_ms(scratch))
            await _add_heartbeats(listener_row, listener)
            await _add_heartbeats(speaker_row, session.speaker)
    title = f"a heartbeat's round trip, ms ({HEARTBEAT_ROUNDS} rounds of {HEARTBEATS_PER_ROUND})"
    speaker_row.peak_mib = listener_row.peak_mib = peak_mib(hall.server.process_id)
    report.print_table(title, [yardstick, listener_row, speaker_row])
    return [yardstick, listener_row, speaker_row]


async def _add_heartbeats(row: Row, client: ClientConnection) -> None:
    await add_round(row, client, HEARTBEAT, _is_heartbeat_ack, HEARTBEATS_PER_ROUND)


def _is_heartbeat_ack(answer: str | bytes) -> bool:
    message = json.loads(answer)
    return message["type"] == "heartbeatAck" and "sessionId" in message


def _median_read_ms(scratch: Scratch) -> float:
    spent = []
    for _ in range(HEARTBEATS_PER_ROUND):
        started = time.perf_counter()
        scratch.get_session()
        spent.append(time.perf_counter() - started)
    return median(spent) * 1000


@dataclass(frozen=True, slots=True)
class Hall:
    """The served application, with a speaker's token."""

    server: Server
    token: str

    async def open_phone(self, query: str = "") -> wire.WebSocket:
        """Open a listener's connection.

        Raises:
            Refused: The server refused the handshake.
            OSError: The server can't be reached.
        """
        path = f"{self.server.path}?{query}" if query else self.server.path
        return await wire.open_websocket(self.server.host, self.server.port, path)

    @asynccontextmanager
    async def session(self) -> "AsyncIterator[Session]":
        """Create a session. It loses its speaker at the end of the context."""
        async with open_client(f"{self.server.url}?token={self.token}") as speaker:
            created = await _ask(speaker, action="createSession", sourceLanguage="en")
            join = {
                "sessionId": created["sessionId"],
                "targetLanguage": "es",
                "inviteCode": created["inviteCode"],
            }
            yield Session(speaker, join)


@dataclass(frozen=True, slots=True)
class Session:
    """A session: its speaker's connection, and the parameters of a listener's join."""

    speaker: ClientConnection
    join: dict[str, str]

    async def listener_count(self) -> int:
        """Ask for the session's listener count."""
        status = await _ask(self.speaker, action="getSessionStatus")
        count: int = status["listenerCount"]
        return count

    async def empty(self, phones: list[wire.WebSocket]) -> int:
        """Close connections, and return how many are still counted at the end of the wait.

        The wait keeps the work of this round out of the next.
        """
        for phone in phones:
            phone.close()
        deadline = time.monotonic() + ANSWER_SECONDS
        while (count := await self.listener_count()) > 0 and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
        return count


_POLL_SECONDS = 0.05


async def _ask(client: ClientConnection, **command: str) -> dict[str, Any]:
    await client.send(json.dumps(command))
    async with asyncio.timeout(ANSWER_SECONDS):
        answer: dict[str, Any] = json.loads(await client.recv())
    return answer
