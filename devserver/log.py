"""The server's log: a line per event on stdout, and what went wrong on stderr.

A line names a connection by its ordinal, and the command that a client has sent if it is a plain
name (actions.py). Connection ids, tokens, query strings, addresses and
bodies never stand in one; a handler's traceback says what the handler's exception says.
"""

import asyncio
import re
import sys
import time
import traceback
from typing import TextIO

from devserver.collector import Collector
from devserver.emf import Metric

FLUSH_INTERVAL_SECONDS = 0.05
"""Lines are written together, for a write per event costs more than the event's handling."""

EVENTS = Metric("devserver", "Events", "Count")

_CLOSE_CODE = re.compile(r"\d+ ")
"""Ahead of the outcome of a $disconnect, where a client chooses it."""


class Log:
    """Collects lines on the event loop and writes them a few at a time; counts them, too."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, collector: Collector, *, is_quiet: bool = False
    ) -> None:
        self._loop = loop
        self.is_quiet = is_quiet
        self._collector = collector
        self._lines: list[str] = []
        self._out: TextIO = sys.stdout

    def event(
        self,
        ordinal: int | None,
        route: str,
        outcome: str | int,
        started: float,
        shown: str | None = None,
    ) -> None:
        """Log one event, and count it by its route and outcome.

        Args:
            ordinal: The connection's number, None if unknown.
            route: The route, or a name for an event without one.
            outcome: How it ended.
            started: The loop's time when it began.
            shown: Text for the line in place of the route and the outcome.
        """
        labels = (("Route", route), ("Outcome", _CLOSE_CODE.sub("", str(outcome))))
        self._collector.count(EVENTS, labels)
        if self.is_quiet:
            return
        if not self._lines:
            self._loop.call_later(FLUSH_INTERVAL_SECONDS, self.flush)
        name = "#-" if ordinal is None else f"#{ordinal}"
        duration_ms = (self._loop.time() - started) * 1000
        text = shown or f"{route} {outcome}"
        self._lines.append(f"{_clock()} {name} {text} {duration_ms:.1f} ms\n")

    def note(self, message: str) -> None:
        """Say what the developer should know, quiet or not."""
        self.flush()
        print(f"{_clock()} {message}", file=self._out, flush=True)

    def error(self, message: str, error: BaseException | None = None) -> None:
        """Say what went wrong, with the error's traceback; from any thread."""
        self.flush()
        lines = [] if error is None else traceback.format_exception(error)
        print(f"{_clock()} {message}\n{''.join(lines)}", end="", file=sys.stderr, flush=True)

    def flush(self) -> None:
        """Write what has been collected."""
        lines, self._lines = self._lines, []
        if lines:
            self._out.write("".join(lines))
            self._out.flush()


def _clock() -> str:
    return time.strftime("%H:%M:%S")
