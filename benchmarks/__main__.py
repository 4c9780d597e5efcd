"""Runs all benchmarks, or the parts that you name: `python -m benchmarks posts cold`."""

import argparse
import signal
from collections.abc import Callable

from bench import report
from bench.report import Row
from local_gateway.command import run_command

INTERRUPTED = 130
"""The exit code that shells report for SIGINT: 128 + 2."""


def main() -> int:
    """Measure; return 1 if a target was missed, a request failed or an answer was lost."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*_PARTS, "all"], default="all")
    named = parser.parse_args().parts
    names = list(_PARTS) if "all" in named else list(dict.fromkeys(named))
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _measure(names)
    except KeyboardInterrupt:
        return INTERRUPTED


def _measure(names: list[str]) -> int:
    print(report.LEGEND)
    rows = [row for name in names for row in _PARTS[name]()]
    report.print_verdict(rows)
    return 0 if all(row.is_met for row in rows) else 1


def _measure_posts() -> list[Row]:
    from benchmarks import posts

    return posts.measure()


def _measure_large_fan_outs() -> list[Row]:
    from benchmarks import large

    return large.measure()


def _measure_events() -> list[Row]:
    from benchmarks import events

    return events.measure()


def _measure_application() -> list[Row]:
    from benchmarks import application

    return application.measure()


def _measure_cold_starts() -> list[Row]:
    from benchmarks import cold_start

    return cold_start.measure()


def _measure_returns() -> list[Row]:
    from benchmarks import returns

    return returns.measure()


def _measure_idle_listeners() -> list[Row]:
    from benchmarks import idle

    return idle.measure()


def _measure_captions() -> list[Row]:
    from benchmarks import captions, live_captions

    return captions.measure() + live_captions.measure()


_PARTS: dict[str, Callable[[], list[Row]]] = {
    "posts": _measure_posts,
    "large": _measure_large_fan_outs,
    "events": _measure_events,
    "application": _measure_application,
    "cold": _measure_cold_starts,
    "returns": _measure_returns,
    "idle": _measure_idle_listeners,
    "captions": _measure_captions,
}


def _interrupt(*_args: object) -> None:
    """End like Ctrl-C, which also ends the child processes."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    run_command(main)
