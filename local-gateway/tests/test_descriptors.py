"""Behavior with more clients than file descriptors."""

import asyncio
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

from websockets.asyncio.client import connect

from gateway_support.serving import Server, serving

CLIENTS = 300
LIMIT = 256
"""The default on macOS."""


@contextmanager
def inherited_soft_limit(limit: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_low_soft_limit_is_raised() -> None:
    with inherited_soft_limit(LIMIT), serving("recorder") as server:
        soft, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    assert soft == min(hard, 65_536)


def test_clients_beyond_the_limit_wait_until_others_disconnect() -> None:
    async def connect_all(server: Server) -> None:
        async def stay() -> None:
            async with connect(server.url, open_timeout=60):
                opened.release()
                await may_leave.wait()

        opened, may_leave = asyncio.Semaphore(0), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(stay())
            await asyncio.to_thread(server.err.wait_for, "can't open more connections")
            await asyncio.to_thread(server.err.wait_for, "can't open more connections", 2)
            await opened.acquire()
            may_leave.set()

    with serving("one_way", "--quiet") as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        started = time.monotonic()
        asyncio.run(connect_all(server))
        seconds = time.monotonic() - started
        server.stop()
    warnings = server.err.lines
    assert 2 <= len(warnings) <= seconds + 1
    assert all("the gateway can't open more connections" in line for line in warnings)
