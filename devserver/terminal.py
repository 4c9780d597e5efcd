"""A terminal on which lines scroll by above a view that is drawn at its end.

Knows nothing of what the view shows. While none is drawn, everything goes straight through.
"""

import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TextIO, cast

MAX_WAITING_WRITES: Final = 10_000
"""For a terminal that takes nothing in (Ctrl-S); of what comes after, the oldest is left out."""


def can_be_drawn_on(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Say whether it is a terminal that can move its cursor."""
    return stream.isatty() and environment.get("TERM", "dumb") not in ("dumb", "unknown", "")


class LenientStream:
    """A text stream to which anything can be written: what its encoding has not is replaced."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._encoding = out.encoding or "utf-8"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)

    def write(self, text: str) -> int:
        """Write the text, or what comes next to it."""
        return self._out.write(text.encode(self._encoding, "replace").decode(self._encoding))


class Terminal:
    """Keeps what is written until the view's thread takes it, as long as there is a view."""

    def __init__(self, out: TextIO) -> None:
        self.out = cast(TextIO, LenientStream(out))
        self.written = threading.Event()
        self.lock = threading.RLock()
        self.is_drawn_on = False
        self._waiting: deque[str] = deque()
        self._left_out = 0

    def keep(self, text: str) -> None:
        """Keep whole lines for the view's thread; with the lock held."""
        if len(self._waiting) >= MAX_WAITING_WRITES:
            self._waiting.popleft()
            self._left_out += 1
        self._waiting.append(text)
        self.written.set()

    def take(self) -> str:
        """Return the lines that wait to be shown."""
        with self.lock:
            self.written.clear()
            lines, left_out = "".join(self._waiting), self._left_out
            self._waiting.clear()
            self._left_out = 0
        return lines if not left_out else f"... {left_out} lines left out\n{lines}"

    def begin(self) -> None:
        """Let lines wait for the view from now on."""
        with self.lock:
            self.is_drawn_on = True

    def end(self) -> None:
        """Write what waits, and let everything through again. Raises: OSError."""
        with self.lock:
            self.is_drawn_on = False
            self.out.write(self.take())
            self.out.flush()


class TerminalStream:
    """A text stream to the terminal, with lines of its own."""

    def __init__(self, terminal: Terminal, stream: TextIO) -> None:
        self._terminal = terminal
        self._stream = stream
        self._begun = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write at once if there is no view, else lines as soon as they have ended."""
        with self._terminal.lock:
            whole, self._begun = self._begun + text, ""
            if not self._terminal.is_drawn_on:
                self._stream.write(whole)
            else:
                lines, end, self._begun = whole.rpartition("\n")
                if end:
                    self._terminal.keep(lines + end)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write one after the other; their ends are their own."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush if there is no view; the view's thread is not waited for."""
        with self._terminal.lock:
            if not self._terminal.is_drawn_on:
                self.write("")
                self._stream.flush()


@contextmanager
def shared_terminal() -> Iterator[Terminal]:
    """Put streams in the place of `sys.stdout`, and of `sys.stderr` if that is a terminal, too."""
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
