"""Output to a terminal that shows log lines above a live view.

The module doesn't depend on the content of the view. Without a view, output isn't buffered.
"""

import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TextIO, cast

MAX_WAITING_WRITES: Final = 10_000
"""Maximum number of queued writes, for a terminal that accepts no output (Ctrl-S).

When the queue is full, the oldest writes are dropped.
"""


def supports_view(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether the stream is a terminal that can move its cursor."""
    return stream.isatty() and environment.get("TERM", "dumb") not in ("dumb", "unknown", "")


class LenientStream:
    """A text stream that replaces characters that its encoding doesn't contain."""

    def __init__(self, out: TextIO) -> None:
        """Wrap a stream."""
        self._out = out
        self._encoding = out.encoding or "utf-8"

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the wrapped stream."""
        return getattr(self._out, name)

    def write(self, text: str) -> int:
        """Write the text, with unsupported characters replaced."""
        return self._out.write(text.encode(self._encoding, "replace").decode(self._encoding))


class Terminal:
    """Queues lines for the view's thread, which prints them above the view.

    Attributes:
        out: The stream to the terminal.
        has_lines: Set while lines are queued.
        lock: Protects the queue and `has_view`.
        has_view: Whether a view is drawn. Without one, lines aren't queued.
    """

    def __init__(self, out: TextIO) -> None:
        """Start without a view."""
        self.out = cast(TextIO, LenientStream(out))
        self.has_lines = threading.Event()
        self.lock = threading.RLock()
        self.has_view = False
        self._queue: deque[str] = deque()
        self._dropped = 0

    def queue(self, text: str) -> None:
        """Queue complete lines for the view's thread. The caller must hold the lock."""
        if len(self._queue) >= MAX_WAITING_WRITES:
            self._queue.popleft()
            self._dropped += 1
        self._queue.append(text)
        self.has_lines.set()

    def take_lines(self) -> str:
        """Remove and return the queued lines."""
        with self.lock:
            self.has_lines.clear()
            lines, dropped = "".join(self._queue), self._dropped
            self._queue.clear()
            self._dropped = 0
        return lines if not dropped else f"... {dropped} lines dropped\n{lines}"

    def start_view(self) -> None:
        """Start to queue lines."""
        with self.lock:
            self.has_view = True

    def end_view(self) -> None:
        """Write the queued lines and stop queueing.

        Raises:
            OSError: The terminal can't be written to.
        """
        with self.lock:
            self.has_view = False
            self.out.write(self.take_lines())
            self.out.flush()


class TerminalStream:
    """A text stream to the terminal, with a partial line of its own."""

    def __init__(self, terminal: Terminal, stream: TextIO) -> None:
        """Create a stream.

        Args:
            terminal: Receives complete lines while it has a view.
            stream: Receives all text while the terminal has no view.
        """
        self._terminal = terminal
        self._stream = stream
        self._partial_line = ""

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the wrapped stream."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Queue complete lines if there is a view, otherwise write immediately."""
        with self._terminal.lock:
            whole, self._partial_line = self._partial_line + text, ""
            if not self._terminal.has_view:
                self._stream.write(whole)
            else:
                lines, end, self._partial_line = whole.rpartition("\n")
                if end:
                    self._terminal.queue(lines + end)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write strings without adding line ends."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush if there is no view. Doesn't wait for the view's thread."""
        with self._terminal.lock:
            if not self._terminal.has_view:
                self.write("")
                self._stream.flush()


@contextmanager
def shared_terminal() -> Iterator[Terminal]:
    """Replace `sys.stdout`, and `sys.stderr` if it is a terminal, with a TerminalStream."""
    before = sys.stdout, sys.stderr
    terminal = Terminal(sys.stdout)
    streams = [TerminalStream(terminal, sys.stdout)]
    sys.stdout = cast(TextIO, streams[0])
    if sys.stderr.isatty():
        streams.append(TerminalStream(terminal, sys.stderr))
        sys.stderr = cast(TextIO, streams[1])
    try:
        yield terminal
    finally:
        sys.stdout, sys.stderr = before
        for stream in streams:
            stream.flush()
