"""Runs all measurements, or those that you name: `python -m bench round-trip fan-out`."""

import argparse
import asyncio
import signal
from collections.abc import Callable
from contextlib import ExitStack

from bench import connects, fan_out, report, round_trip, start
from bench.contestants import SERVERLESS_OFFLINE, Contestant, contestants
from bench.report import Row
from local_gateway.command import run_command

INTERRUPTED = 130
"""The exit code that shells report for SIGINT: 128 + 2."""

_SERVED: dict[str, Callable[[list[Contestant]], list[Row]]] = {
    "round-trip": lambda servers: asyncio.run(round_trip.measure(servers)),
    "fan-out": lambda servers: asyncio.run(fan_out.measure(servers)),
    "connects": lambda servers: asyncio.run(connects.measure(servers)),
}
"""The measurements of running servers. `fan-out` includes the memory."""


def main() -> int:
    """Measure; return 1 if the local gateway missed a target, or a request to it failed."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=["start", *_SERVED, "all"], default="all")
    named = parser.parse_args().parts
    parts = ["start", *_SERVED] if "all" in named else list(dict.fromkeys(named))
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _measure(parts)
    except KeyboardInterrupt:
        return INTERRUPTED


def _measure(parts: list[str]) -> int:
    print(report.LEGEND)
    report.print_section("The local gateway with a trivial application")
    rows = start.measure() if "start" in parts else []
    with ExitStack() as stack:
        servers = contestants(stack)
        for part in parts:
            rows += _SERVED[part](servers) if part in _SERVED else []
    judged = [row for row in rows if row.name != SERVERLESS_OFFLINE]
    report.print_verdict(judged)
    return 0 if all(row.is_met for row in judged) else 1


def _interrupt(*_args: object) -> None:
    """End like Ctrl-C, which also ends the child processes."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    run_command(main)
