"""Many connects at once, each with an authorizer where the server has one."""

import asyncio
import time
from collections.abc import Sequence

from bench import report, wire
from bench.contestants import Contestant, compare
from bench.report import Row, Target
from bench.servers import Server

BATCHES, SLOW_BATCHES = 24, 3
CONNECTS_PER_BATCH = 100

ANSWER_SECONDS = 60
"""A handshake that takes longer counts as failed."""

SETTLE_SECONDS = 0.1
"""The pause between batches. The $disconnect events of one server must not slow the next."""


async def measure(servers: Sequence[Contestant]) -> list[Row]:
    """Measure and print, from the first connect to the last 101.

    This process is the client, on one core, and the server has the other. For each connect the
    client does little: asyncio's connect, one write, and one search for the end of the head. The
    column "client" shows how busy it is. Near 100%, the figure measures the client, and the server
    is faster than it. The target is a ratio, because the number of connects per second depends on
    the machine.
    """
    target = Target("ratio", "at least", 0.5)
    rows = await compare(servers, _add_batch, target, rounds=BATCHES, slow_rounds=SLOW_BATCHES)
    title = f"{CONNECTS_PER_BATCH} connects at once, per second ({BATCHES} batches)"
    report.print_table(title, rows)
    return rows


async def _add_batch(row: Row, contestant: Contestant) -> None:
    server = contestant.server
    cpu_started, started = time.process_time(), time.perf_counter()
    opening = [asyncio.create_task(open_websocket(server)) for _ in range(CONNECTS_PER_BATCH)]
    done, late = await asyncio.wait(opening, timeout=ANSWER_SECONDS)
    spent = time.perf_counter() - started
    row.client_percents.append((time.process_time() - cpu_started) / spent * 100)
    sockets = [task.result() for task in done if task.exception() is None]
    row.failed += CONNECTS_PER_BATCH - len(sockets)
    row.figures.append(len(sockets) / spent)
    for task in late:
        task.cancel()
    await close_all(sockets)


async def open_websocket(server: Server) -> wire.WebSocket:
    """Connect to a server's WebSocket.

    Raises:
        Refused: The server refused the handshake.
        OSError: The server can't be reached.
    """
    return await wire.open_websocket(server.host, server.port, server.path)


async def close_all(sockets: Sequence[wire.WebSocket]) -> None:
    """Close connections, and give the server time to handle that."""
    for socket in sockets:
        socket.close()
    async with asyncio.timeout(ANSWER_SECONDS):
        for socket in sockets:
            await socket.wait_closed()
    await asyncio.sleep(SETTLE_SECONDS)
