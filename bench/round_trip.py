"""A message's round trip, by the client library that users have."""

import asyncio
import math
import time
from collections.abc import Callable
from statistics import median

from websockets.asyncio.client import ClientConnection, connect

from bench.report import Row

ROUND_SECONDS = 20
"""After which the answers of a round that are missing count as lost."""


def open_client(url: str) -> connect:
    """Return a context manager; neither compression nor pings get in the way."""
    return connect(url, compression=None, ping_interval=None, open_timeout=ROUND_SECONDS)


async def add_round(
    row: Row,
    client: ClientConnection,
    message: str,
    is_answer: Callable[[str | bytes], bool],
    count: int,
) -> None:
    """Send a message `count` times, each when the last was answered; add the median in ms.

    An answer that `is_answer` does not take counts as failed. Raises: ConnectionClosed.
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
