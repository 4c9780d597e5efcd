"""One message to many connections by several posters, and the memory during it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

from bench import report, wire
from bench.bare import POSTS_PATH, WHO_AM_I
from bench.connects import close_all, open_websocket
from bench.contestants import Contestant, compare
from bench.memory import resident_mib
from bench.report import Row, Target

ROUNDS, SLOW_ROUNDS = 100, 5
RECEIVERS = 500
POSTERS = 32

ANSWER_SECONDS = 20
"""A message that takes longer counts as lost."""


async def measure(servers: Sequence[Contestant]) -> list[Row]:
    """Measure and print, from the first post until each receiver has the message or lost it.

    All servers have the same client and nearly as many bytes, so only the work of the servers
    differs. The bare server has no HTTP, so its posters use WebSockets.
    """
    async with AsyncExitStack() as stack:
        halls = {it.name: await stack.enter_async_context(_hall(it)) for it in servers}

        async def add_posts(row: Row, contestant: Contestant) -> None:
            await halls[contestant.name].add_posts(row)

        async def add_memory(row: Row, contestant: Contestant) -> None:
            row.figures.append(resident_mib(contestant.server.process_id))

        target = Target("ratio", "at most", 1.1)
        rows = await compare(servers, add_posts, target, rounds=ROUNDS, slow_rounds=SLOW_ROUNDS)
        limit = Target("median", "at most", 50)
        memory_rows = await compare(servers, add_memory, limit, rounds=1, slow_rounds=1)
    title = f"a message to {RECEIVERS} connections by {POSTERS} posters, ms ({ROUNDS} rounds)"
    report.print_table(title, rows)
    report.print_table(f"resident memory with {RECEIVERS} connections, MiB", memory_rows)
    return rows + memory_rows


@dataclass(frozen=True, slots=True)
class Receiver:
    """A connection that receives posts."""

    connection_id: str
    socket: wire.WebSocket


@dataclass(frozen=True, slots=True)
class Poster:
    """A connection that sends posts, one after the other.

    Attributes:
        wire: The connection.
        connections_path: The path before the connection's ID; None for the bare server.
    """

    wire: wire.Wire
    connections_path: str | None

    def encode(self, connection_id: str, text: str) -> bytes:
        """Encode a post."""
        if self.connections_path is None:
            return wire.encode_message(f"{connection_id} {text}")
        return wire.encode_post(f"{self.connections_path}{quote(connection_id)}", text)

    async def post_all(self, requests: list[bytes]) -> int:
        """Send the requests; return how many were refused."""
        accepted = b"ok" if self.connections_path is None else b"HTTP/1.1 20"
        return sum([not (await self.wire.ask(it)).startswith(accepted) for it in requests])


@dataclass(frozen=True, slots=True)
class Hall:
    """A server and its receivers."""

    contestant: Contestant
    receivers: Sequence[Receiver]

    async def add_posts(self, row: Row) -> None:
        """Post one message to all receivers, and add the time.

        The posters connect for each message, outside the measurement, because a server may close an
        idle HTTP connection. Requests are encoded before it, because they cost more than frames.
        """
        async with _posters(self.contestant) as posters:
            await self._add_posts(row, posters)

    async def _add_posts(self, row: Row, posters: Sequence[Poster]) -> None:
        text = f"message {len(row.figures):3} to every one of the connections"
        requests = [
            [poster.encode(it.connection_id, text) for it in self.receivers[number::POSTERS]]
            for number, poster in enumerate(posters)
        ]
        reading = [asyncio.create_task(it.socket.receive()) for it in self.receivers]
        await asyncio.sleep(0)
        cpu_started, started = time.process_time(), time.perf_counter()
        pairs = zip(posters, requests, strict=True)
        refused = await asyncio.gather(*(poster.post_all(requests) for poster, requests in pairs))
        _, late = await asyncio.wait(reading, timeout=ANSWER_SECONDS)
        spent = time.perf_counter() - started
        row.figures.append(spent * 1000)
        row.client_percents.append((time.process_time() - cpu_started) / spent * 100)
        row.failed += sum(refused)
        for task in reading:
            is_lost = task in late or task.exception() is not None or task.result() != text.encode()
            row.lost += is_lost
            task.cancel()


@asynccontextmanager
async def _hall(contestant: Contestant) -> AsyncIterator[Hall]:
    question = wire.encode_message(WHO_AM_I)
    sockets = [await open_websocket(contestant.server) for _ in range(RECEIVERS)]
    try:
        receivers = [Receiver((await it.ask(question)).decode(), it) for it in sockets]
        yield Hall(contestant, receivers)
    finally:
        await close_all(sockets)


@asynccontextmanager
async def _posters(contestant: Contestant) -> AsyncIterator[list[Poster]]:
    server, path = contestant.server, contestant.connections_path
    if path is None:
        opening = [
            wire.open_websocket(server.host, server.port, POSTS_PATH) for _ in range(POSTERS)
        ]
        sockets = await asyncio.gather(*opening)
        yield [Poster(it, path) for it in sockets]
        await close_all(sockets)
    else:
        clients = await asyncio.gather(
            *(wire.open_http(server.host, server.port) for _ in range(POSTERS))
        )
        yield [Poster(it, path) for it in clients]
        for it in clients:
            it.transport.close()
