"""The round trip of a message, measured with the `websockets` client."""

import asyncio
import math
import time
from collections.abc import Callable
from statistics import median

from websockets.asyncio.client import ClientConnection, connect

from bench.report import Row

ROUND_SECONDS = 20
"""Answers that are missing after this time count as lost."""


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
