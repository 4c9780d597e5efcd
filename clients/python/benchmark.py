"""Measures the memory and the processor time of 500 idle listeners in one process.

Run it with `python benchmark.py`. The server that the listeners join runs in a process of its own.
"""

import asyncio
import json
import multiprocessing
import resource
import sys
import time
from contextlib import AsyncExitStack, suppress
from multiprocessing.connection import Connection
from typing import Final

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from broadcast_sessions_client import Listener
from broadcast_sessions_client.messages import OUTCOMES

LISTENERS: Final = 500
AT_ONCE: Final = 50
KIB_PER_MIB: Final = 1024
IDLE_SECONDS: Final = 60
"""Each listener sends two heartbeats in this time."""

MAX_MIB: Final = 150
MAX_PERCENT: Final = 1.0


def main() -> int:
    """Measure; return 1 if a target was missed."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=_serve, args=(there,), daemon=True)
    server.start()
    return asyncio.run(_measure(here.recv()))


async def _measure(url: str) -> int:
    before_mib = _peak_mib()
    async with AsyncExitStack() as stack:
        for _ in range(LISTENERS // AT_ONCE):
            listeners = [
                Listener(url, session="golden-eagle-427", language="es") for _ in range(AT_ONCE)
            ]
            await asyncio.gather(*map(stack.enter_async_context, listeners))
        started = time.process_time()
        await asyncio.sleep(IDLE_SECONDS)
        percent = 100 * (time.process_time() - started) / IDLE_SECONDS
        mib = _peak_mib()
        print(
            f"memory: {mib:.0f} MiB, of them {before_mib:.0f} without listeners (at most {MAX_MIB})"
        )
        print(f"processor: {percent:.2f} % of a core (at most {MAX_PERCENT})")
        return 0 if mib <= MAX_MIB and percent <= MAX_PERCENT else 1


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB


def _serve(pipe: Connection) -> None:
    asyncio.run(_serve_forever(pipe))


async def _serve_forever(pipe: Connection) -> None:
    async with serve(_answer, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        [socket] = server.sockets
        pipe.send(f"ws://127.0.0.1:{socket.getsockname()[1]}")
        await server.serve_forever()


async def _answer(connection: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        async for frame in connection:
            command = json.loads(frame)
            outcome = {
                "type": OUTCOMES[command["action"]],
                "requestId": command["requestId"],
                "sessionId": "golden-eagle-427",
                "connectionId": str(connection.id),
                "heartbeatSeconds": 30,
            }
            await connection.send(json.dumps(outcome))


if __name__ == "__main__":
    sys.exit(main())
