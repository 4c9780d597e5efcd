"""The time from the command to the line that says that the server is ready."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from bench import report, serverless_offline
from bench.contestants import BARE, OURS, SERVERLESS_OFFLINE
from bench.report import Row
from bench.servers import TRIVIAL, Server, bare_server, local_gateway

ROUNDS = 5

Start = Callable[[], AbstractContextManager[Server]]


def measure() -> list[Row]:
    """Measure and print. A first round, which compiles bytecode, doesn't count.

    Raises:
        NotStarted: The bare server or the local gateway didn't start.
        TargetError: serverless-offline couldn't be installed or didn't start.
    """
    starts: dict[str, Start] = {
        BARE: bare_server,
        OURS: lambda: local_gateway(TRIVIAL, "--no-aws"),
    }
    if serverless_offline.is_available():
        starts[SERVERLESS_OFFLINE] = serverless_offline.serving
    rows = {name: Row(name) for name in starts}
    for name, row in rows.items():
        row.yardstick = None if name == BARE else rows[BARE]
    for number in range(-1, ROUNDS):
        for name, start in starts.items():
            spent = _time(start)
            if number >= 0:
                rows[name].figures.append(spent)
    report.print_table(f"start until ready, s ({ROUNDS} rounds)", list(rows.values()))
    return list(rows.values())


def _time(start: Start) -> float:
    started = time.perf_counter()
    with start():
        return time.perf_counter() - started
