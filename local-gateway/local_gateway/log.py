"""The gateway's log, with one line per event on stdout and errors on stderr.

A line identifies the connection by its number, and contains the client's action if that is safe to
log (actions.py). Lines never contain connection IDs, tokens, query strings, addresses or bodies.
A handler's traceback contains the text of the handler's exception.
"""

import asyncio
import re
import sys
import time
import traceback
from functools import lru_cache

from local_gateway.collector import Collector
from local_gateway.emf import Labels, Metric
from local_gateway.standard_output import Streams

FLUSH_INTERVAL_SECONDS = 0.05
"""Interval at which lines are written. One write per event would cost more than its handling."""

REPEATED_INTERVAL_SECONDS = 1.0
"""Interval in which repeated events share two lines.

A fast clock can cause thousands of throttled invocations in a second.
"""

EVENTS = Metric("LocalGateway", "Events", "Count")

_CLOSE_CODE = re.compile(r"\d+ ")
"""The close code before the outcome of a $disconnect. Clients choose it, so it isn't a label."""


class Log:
    """Buffers lines on the event loop, writes them in batches, and counts events."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        collector: Collector,
        *,
        is_quiet: bool = False,
        streams: Streams | None = None,
    ) -> None:
        """Start with no lines.

        Args:
            loop: The event loop.
            collector: Counts the events.
            is_quiet: Whether to count events without logging them.
            streams: Receive the lines and the errors. Default: those in `sys`.
        """
        self._loop = loop
        self.is_quiet = is_quiet
        self._collector = collector
        self._lines: list[str] = []
        self._out, self._err = streams or (sys.stdout, sys.stderr)
        self._repeated: dict[tuple[str, str], int] = {}  # The unlogged events of each kind.

    def event(
        self,
        ordinal: int | None,
        route: str,
        outcome: str | int,
        started: float,
        text: str | None = None,
    ) -> None:
        """Log one event, and count it by its route and outcome.

        Args:
            ordinal: The connection's number; None if unknown.
            route: The route, or a name for an event without a route.
            outcome: The result, such as a status.
            started: The event loop's time at the start of the event.
            text: Text for the line, instead of the route and the outcome.
        """
        self._collector.count(EVENTS, _labels(route, str(outcome)))
        if self.is_quiet:
            return
        name = "#-" if ordinal is None else f"#{ordinal}"
        duration_ms = (self._loop.time() - started) * 1000
        self._add_line(f"{name} {text or f'{route} {outcome}'} {duration_ms:.1f} ms")

    def repeated(self, name: str, outcome: str, started: float, text: str | None = None) -> None:
        """Count an event without a connection, and log only the first one of an interval.

        At the end of the interval, another line has the number of the others.

        Args:
            name: A name for the event.
            outcome: The result.
            started: The event loop's time at the start of the event.
            text: Text for the first line, instead of the name and the outcome.
        """
        kind = (name, outcome)
        if kind in self._repeated:
            self._repeated[kind] += 1
            self._collector.count(EVENTS, _labels(name, outcome))
            return
        self._repeated[kind] = 0
        self.event(None, name, outcome, started, text)
        self._loop.call_later(REPEATED_INTERVAL_SECONDS, self._sum_up, kind)

    def _sum_up(self, kind: tuple[str, str]) -> None:
        count = self._repeated.pop(kind, 0)
        if count and not self.is_quiet:
            self._add_line(f"#- {' '.join(kind)} {count} more times")

    def _add_line(self, line: str) -> None:
        if not self._lines:
            self._loop.call_later(FLUSH_INTERVAL_SECONDS, self.flush)
        self._lines.append(f"{_clock()} {line}\n")

    def note(self, message: str) -> None:
        """Print a message to the developer, even if the log is quiet."""
        self.flush()
        print(f"{_clock()} {message}", file=self._out, flush=True)

    def error(self, message: str, error: BaseException | None = None) -> None:
        """Print an error with its traceback, or in one line if it has none. Thread-safe."""
        self.flush()
        lines = ""
        if error is not None and error.__traceback__ is None:
            message = f"{message}: {error}"
        elif error is not None:
            lines = "".join(traceback.format_exception(error))
        print(f"{_clock()} {message}\n{lines}", end="", file=self._err, flush=True)

    def close(self) -> None:
        """Write the buffered lines and the numbers of repeated events."""
        for kind in list(self._repeated):
            self._sum_up(kind)
        self.flush()

    def flush(self) -> None:
        """Write the buffered lines."""
        lines, self._lines = self._lines, []
        if lines:
            self._out.write("".join(lines))
            self._out.flush()


@lru_cache(maxsize=1024)
def _labels(route: str, outcome: str) -> Labels:
    return (("Route", route), ("Outcome", _CLOSE_CODE.sub("", outcome)))


def _clock() -> str:
    return time.strftime("%H:%M:%S")
