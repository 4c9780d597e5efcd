"""Output to a terminal that shows log lines above a live view.

The module doesn't depend on the content of the view. Without a view, output isn't buffered.
"""

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from threading import RLock
from typing import Any, Final, TextIO, cast

MAX_WAITING_WRITES: Final = 10_000
"""Maximum number of waiting writes, for a terminal that accepts no output (Ctrl-S).

When there are more, the oldest writes are dropped.
"""


def supports_view(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether the stream is a terminal that can move its cursor."""
    return stream.isatty() and environment.get("TERM", "dumb") not in ("dumb", "unknown", "")


class Terminal:
    """A text stream to the terminal. With a view, text waits for the view's thread.

    The view can't print in the writing thread: if the terminal accepts no output, that would block
    the gateway.
    """

    def __init__(self, out: TextIO) -> None:
        """Wrap a stream, without a view."""
        self.out = out
        self._waiting: deque[str] = deque(maxlen=MAX_WAITING_WRITES)
        self._has_view = False
        self._lock = RLock()

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the wrapped stream."""
        return getattr(self.out, name)

    def write(self, text: str) -> int:
        """Write the text, or let it wait for the view's thread."""
        with self._lock:
            if self._has_view:
                self._waiting.append(text)
            else:
                self.out.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write strings without adding line ends."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush if there is no view. Doesn't wait for the view's thread."""
        with self._lock:
            if not self._has_view:
                self.out.flush()

    def take_lines(self) -> str:
        """Remove and return the complete lines that wait."""
        with self._lock:
            lines, end, rest = "".join(self._waiting).rpartition("\n")
            self._waiting.clear()
            if rest:
                self._waiting.append(rest)
        return lines + end

    def start_view(self) -> None:
        """Let text wait from now on."""
        with self._lock:
            self._has_view = True

    def end_view(self) -> None:
        """Write the waiting text, and all later text immediately.

        Raises:
            OSError: The terminal can't be written to.
        """
        with self._lock:
            self._has_view = False
            self.out.writelines(self._waiting)
            self.out.flush()
            self._waiting.clear()


@contextmanager
def shared_terminal() -> Iterator[Terminal]:
    """Replace `sys.stdout`, and `sys.stderr` if it is a terminal, with a Terminal."""
    before = sys.stdout, sys.stderr
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    terminal = Terminal(sys.stdout)
    sys.stdout = cast(TextIO, terminal)
    if sys.stderr.isatty():
        sys.stderr = cast(TextIO, terminal)
    try:
        yield terminal
    finally:
        sys.stdout, sys.stderr = before
