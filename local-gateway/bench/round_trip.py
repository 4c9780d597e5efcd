"""The round trip of a message, measured with the `websockets` client."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median

from websockets.asyncio.client import ClientConnection, connect

from bench import report
from bench.contestants import OURS, Contestant, compare
from bench.report import Row, Target
from bench.servers import TRIVIAL, local_gateway

ROUNDS, SLOW_ROUNDS = 20, 5
MESSAGES_PER_ROUND = 300
MESSAGE = "a message of some forty characters, or so"

HANGING_HANDLERS = 4
"""As many as the local gateway has threads that start without delay."""

ROUND_SECONDS = 20
"""Answers that are missing after this time count as lost."""


async def measure(servers: Sequence[Contestant]) -> list[Row]:
    """Measure and print, also with a further local gateway whose handlers hang."""
    target = Target("ratio", "at most", 1.6)
    async with AsyncExitStack() as stack:
        servers = [*servers, await stack.enter_async_context(_gateway_with_hanging_handlers())]
        clients = {
            it.name: await stack.enter_async_context(open_client(it.server.url)) for it in servers
        }

        async def add_figure(row: Row, server: Contestant) -> None:
            client = clients[server.name]
            await add_round(row, client, MESSAGE, MESSAGE.__eq__, MESSAGES_PER_ROUND)

        rows = await compare(servers, add_figure, target, rounds=ROUNDS, slow_rounds=SLOW_ROUNDS)
    title = f"a message's round trip, ms ({ROUNDS} rounds of {MESSAGES_PER_ROUND})"
    report.print_table(title, rows)
    return rows


@asynccontextmanager
async def _gateway_with_hanging_handlers() -> AsyncIterator[Contestant]:
    """Serve the trivial application, and send the messages whose handlers hang."""
    with local_gateway(TRIVIAL, "--no-aws") as server:
        async with AsyncExitStack() as stack:
            for _ in range(HANGING_HANDLERS):
                client = await stack.enter_async_context(open_client(server.url))
                await client.send("hang")
            yield Contestant(f"{OURS} while {HANGING_HANDLERS} handlers hang", server)


def open_client(url: str) -> connect:
    """Return a context manager for a client without compression and pings."""
    return connect(url, compression=None, ping_interval=None, open_timeout=ROUND_SECONDS)


async def add_round(
    row: Row,
    client: ClientConnection,
    message: str,
    is_answer: Callable[[str | bytes], bool],
    count: int,
) -> None:
    """Send a message several times, each after the last answer, and add the median in ms.

    Args:
        row: The row for the figure.
        client: The connection.
        message: The message to send.
        is_answer: Whether an answer is correct. Another one counts as failed.
        count: The number of messages.

    Raises:
        ConnectionClosed: The server closed the connection.
    """
    spent: list[float] = []
    try:
        async with asyncio.timeout(ROUND_SECONDS):
            for _ in range(count):
                started = time.perf_counter()
                await client.send(message)
                answer = await client.recv()
                spent.append(time.perf_counter() - started)
                row.failed += not is_answer(answer)
    except TimeoutError:
        row.lost += count - len(spent)
    row.figures.append(median(spent) * 1000 if spent else math.inf)
