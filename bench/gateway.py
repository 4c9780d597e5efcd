"""The local server with a trivial application, compared with the bare server."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

from bench import report, wire
from bench.bare import POSTS_PATH, WHO_AM_I
from bench.memory import peak_mib, resident_mib
from bench.report import Row, Target
from bench.round_trip import add_round, open_client
from bench.servers import TRIVIAL, Server, bare_server, local_server

ROUND_TRIP_ROUNDS = 20
MESSAGES_PER_ROUND = 300

CONNECT_BATCHES = 25
CONNECTS_PER_BATCH = 100

FANOUT_ROUNDS = 100
RECEIVERS = 500
POSTERS = 32

ANSWER_SECONDS = 10
"""An answer that takes longer counts as failed or lost."""

SETTLE_SECONDS = 0.1
"""The pause between batches. The $disconnect events of one server must not slow the other."""

BARE, OURS = "bare websockets server", "local server"
CLIENT = "this client's CPU, %"


def measure() -> list[Row]:
    """Measure and print.

    Raises:
        NotStarted: A server didn't start.
    """
    report.print_section("The local server alone, with a trivial application")
    with bare_server() as bare, local_server(TRIVIAL, "--no-aws") as ours:
        rows = asyncio.run(_round_trips(bare, ours))
        rows += asyncio.run(_connects(bare, ours))
        rows += asyncio.run(_posts_and_memory(bare, ours))
    return rows


async def _round_trips(bare: Server, ours: Server) -> list[Row]:
    yardstick = Row(BARE)
    row = Row(OURS, yardstick=yardstick, target=Target("ratio", "at most", 3))
    message = "a message of some forty characters, or so"
    async with open_client(bare.url) as bare_client, open_client(ours.url) as our_client:
        for warm_up, client in ((Row(""), bare_client), (Row(""), our_client)):
            await add_round(warm_up, client, message, message.__eq__, MESSAGES_PER_ROUND)
        for _ in range(ROUND_TRIP_ROUNDS):
            await add_round(yardstick, bare_client, message, message.__eq__, MESSAGES_PER_ROUND)
            await add_round(row, our_client, message, message.__eq__, MESSAGES_PER_ROUND)
    _add_peaks((yardstick, bare), (row, ours))
    title = f"a message's round trip, ms ({ROUND_TRIP_ROUNDS} rounds of {MESSAGES_PER_ROUND})"
    report.print_table(title, [yardstick, row])
    return [yardstick, row]


async def _connects(bare: Server, ours: Server) -> list[Row]:
    """Measure from the first connect to the last 101.

    This process is the client, on one core, and the server has the other. For each connect the
    client does little: asyncio's connect, one write, and one search for the end of the head. The
    table shows how busy it is. Near 100%, the figure measures the client, and the server is faster
    than it.
    """
    bare_client, our_client = Row(f"{CLIENT}, {BARE}"), Row(f"{CLIENT}, {OURS}")
    yardstick = Row(BARE)
    row = Row(OURS, yardstick=yardstick, target=Target("median", "at least", 1000))
    for server in (bare, ours):
        await _add_connects(Row("warm-up"), Row("warm-up"), server)
    for _ in range(CONNECT_BATCHES):
        await _add_connects(yardstick, bare_client, bare)
        await _add_connects(row, our_client, ours)
    _add_peaks((yardstick, bare), (row, ours))
    title = f"{CONNECTS_PER_BATCH} connects at once, per second ({CONNECT_BATCHES} batches)"
    rows = [yardstick, row, bare_client, our_client]
    report.print_table(title, rows)
    return rows


async def _add_connects(row: Row, client_row: Row, server: Server) -> None:
    cpu_started, started = time.process_time(), time.perf_counter()
    opening = [asyncio.create_task(_open(server)) for _ in range(CONNECTS_PER_BATCH)]
    done, late = await asyncio.wait(opening, timeout=ANSWER_SECONDS)
    spent = time.perf_counter() - started
    cpu_spent = time.process_time() - cpu_started
    sockets = [task.result() for task in done if task.exception() is None]
    row.failed += CONNECTS_PER_BATCH - len(sockets)
    row.figures.append(len(sockets) / spent)
    client_row.figures.append(cpu_spent / spent * 100)
    for task in late:
        task.cancel()
    await _close(sockets)


async def _posts_and_memory(bare: Server, ours: Server) -> list[Row]:
    """Measure from the first post until every receiver has read the message or counts as lost.

    Both sides use the same client code and nearly as many bytes, so only the work of the servers
    differs. The bare server has no HTTP, so its posters use WebSockets.
    """
    bare_client, our_client = Row(f"{CLIENT}, {BARE}"), Row(f"{CLIENT}, {OURS}")
    yardstick, bare_memory = Row(BARE), Row(BARE)
    row = Row(OURS, yardstick=yardstick, target=Target("ratio", "at most", 1))
    memory = Row(OURS, yardstick=bare_memory, target=Target("median", "at most", 100))
    async with (
        _audience(bare) as at_bare,
        _audience(ours) as at_ours,
        _forwarders(bare) as bare_posters,
        _http_posters(ours) as our_posters,
    ):
        for audience, posters in ((at_bare, bare_posters), (at_ours, our_posters)):
            await _add_posts(Row("warm-up"), Row("warm-up"), audience, posters, "warm-up")
        for number in range(FANOUT_ROUNDS):
            text = f"message {number:3} to every one of the listeners"
            await _add_posts(yardstick, bare_client, at_bare, bare_posters, text)
            await _add_posts(row, our_client, at_ours, our_posters, text)
            bare_memory.figures.append(resident_mib(bare.process_id))
            memory.figures.append(resident_mib(ours.process_id))
    _add_peaks((yardstick, bare), (row, ours), (bare_memory, bare), (memory, ours))
    title = (
        f"a message to {RECEIVERS} connections by {POSTERS} posters, ms ({FANOUT_ROUNDS} rounds)"
    )
    rows, memory_rows = [yardstick, row, bare_client, our_client], [bare_memory, memory]
    report.print_table(title, rows)
    report.print_table(f"resident memory with {RECEIVERS} connections, MiB", memory_rows)
    return rows + memory_rows


async def _add_posts(
    row: Row,
    client_row: Row,
    audience: "list[Receiver]",
    posters: "list[Poster]",
    text: str,
) -> None:
    requests = [
        [poster.encode(receiver.connection_id, text) for receiver in audience[number::POSTERS]]
        for number, poster in enumerate(posters)
    ]
    reading = [asyncio.create_task(receiver.socket.receive()) for receiver in audience]
    await asyncio.sleep(0)
    cpu_started, started = time.process_time(), time.perf_counter()
    pairs = zip(posters, requests, strict=True)
    refused = await asyncio.gather(*(poster.post_all(requests) for poster, requests in pairs))
    _, late = await asyncio.wait(reading, timeout=ANSWER_SECONDS)
    spent = time.perf_counter() - started
    row.figures.append(spent * 1000)
    client_row.figures.append((time.process_time() - cpu_started) / spent * 100)
    row.failed += sum(refused)
    for task in reading:
        is_lost = task in late or task.exception() is not None or task.result() != text.encode()
        row.lost += is_lost
        task.cancel()


@dataclass(frozen=True, slots=True)
class Receiver:
    """A connection that receives posts."""

    connection_id: str
    socket: wire.WebSocket


@dataclass(frozen=True, slots=True)
class Poster:
    """A connection that sends posts, one after the other.

    Requests are encoded before the measurement, because HTTP requests cost more than frames.
    """

    wire: wire.Wire
    encode: Callable[[str, str], bytes]
    accepted: bytes

    async def post_all(self, requests: list[bytes]) -> int:
        """Send the requests; return how many were refused."""
        return sum([not (await self.wire.ask(it)).startswith(self.accepted) for it in requests])


@asynccontextmanager
async def _audience(server: Server) -> AsyncIterator[list[Receiver]]:
    question = wire.encode_message(WHO_AM_I)
    sockets = [await _open(server) for _ in range(RECEIVERS)]
    try:
        yield [Receiver((await socket.ask(question)).decode(), socket) for socket in sockets]
    finally:
        await _close(sockets)


@asynccontextmanager
async def _forwarders(server: Server) -> AsyncIterator[list[Poster]]:
    def encode(connection_id: str, text: str) -> bytes:
        return wire.encode_message(f"{connection_id} {text}")

    opening = [wire.open_websocket(server.host, server.port, POSTS_PATH) for _ in range(POSTERS)]
    sockets = await asyncio.gather(*opening)
    try:
        yield [Poster(socket, encode, b"ok") for socket in sockets]
    finally:
        await _close(sockets)


@asynccontextmanager
async def _http_posters(server: Server) -> AsyncIterator[list[Poster]]:
    def encode(connection_id: str, text: str) -> bytes:
        return wire.encode_post(f"{server.path}/@connections/{quote(connection_id)}", text)

    opening = [wire.open_http(server.host, server.port) for _ in range(POSTERS)]
    clients = await asyncio.gather(*opening)
    try:
        yield [Poster(client, encode, b"HTTP/1.1 200") for client in clients]
    finally:
        for client in clients:
            client.transport.close()


async def _open(server: Server) -> wire.WebSocket:
    return await wire.open_websocket(server.host, server.port, server.path)


async def _close(sockets: list[wire.WebSocket]) -> None:
    """Close connections, and give the server time to handle that."""
    for socket in sockets:
        socket.close()
    async with asyncio.timeout(ANSWER_SECONDS):
        for socket in sockets:
            await socket.wait_closed()
    await asyncio.sleep(SETTLE_SECONDS)


def _add_peaks(*served: tuple[Row, Server]) -> None:
    for row, server in served:
        row.peak_mib = peak_mib(server.process_id)
