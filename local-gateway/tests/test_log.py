"""The log alone, with a fake event loop."""

import re
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from local_gateway.collector import Collector
from local_gateway.log import REPEATED_INTERVAL_SECONDS, Log

LABELS = (("Route", "schedule clean_up"), ("Outcome", "throttled"))


class Loop:
    """Timers that tests fire."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Any]] = []

    def time(self) -> float:
        return 0

    def call_later(self, seconds: float, callback: Any, *arguments: Any) -> None:
        self.timers.append((seconds, lambda: callback(*arguments)))

    def fire(self, seconds: float) -> None:
        """Fire the timers with this delay."""
        fired = [callback for delay, callback in self.timers if delay == seconds]
        self.timers = [timer for timer in self.timers if timer[0] != seconds]
        for callback in fired:
            callback()


def log_throttled(
    *counts: int, is_quiet: bool = False, is_closed_early: bool = False
) -> tuple[list[str], Collector]:
    """Throttle invocations in each of several intervals, and return the lines and the metrics."""
    loop, collector, out = Loop(), Collector(), StringIO()
    with redirect_stdout(out):
        log = Log(loop, collector, is_quiet=is_quiet)
        for count in counts:
            for _ in range(count):
                log.repeated("schedule clean_up", "throttled", started=0)
            if not is_closed_early:
                loop.fire(REPEATED_INTERVAL_SECONDS)
        log.close()
        loop.fire(REPEATED_INTERVAL_SECONDS)
    return re.findall(r"^\S+ (.*)$", out.getvalue(), re.MULTILINE), collector


def test_throttled_invocations_are_two_lines_in_an_interval() -> None:
    lines, _ = log_throttled(1000, 0, 1, 3)
    assert lines == [
        "#- schedule clean_up throttled 0.0 ms",
        "#- schedule clean_up throttled 999 more times",
        "#- schedule clean_up throttled 0.0 ms",
        "#- schedule clean_up throttled 0.0 ms",
        "#- schedule clean_up throttled 2 more times",
    ]


def test_a_stop_within_the_interval_sums_up() -> None:
    lines, _ = log_throttled(1000, is_closed_early=True)
    assert lines == [
        "#- schedule clean_up throttled 0.0 ms",
        "#- schedule clean_up throttled 999 more times",
    ]


def test_each_throttled_invocation_is_counted_even_if_the_log_is_quiet() -> None:
    for is_quiet in (False, True):
        lines, collector = log_throttled(1000, is_quiet=is_quiet)
        assert bool(lines) is not is_quiet
        [family] = collector.read()
        [reading] = family.readings
        assert (reading.labels, reading.value) == (LABELS, 1000)
