"""The output streams that the application shares with the log.

Metrics are extracted from the standard output, as CloudWatch does it. All other output passes
through in whole lines, because handlers run at the same time and share the streams.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from threading import RLock, get_ident
from typing import Any, Final, NamedTuple, TextIO, cast

from local_gateway.emf import MARK

MAX_BUFFERED_CHARACTERS: Final = 256 * 1024
"""Maximum length of a buffered line, the gateway's choice. Longer lines pass through."""


class Streams(NamedTuple):
    """Standard output and standard error."""

    out: TextIO
    err: TextIO


class SharedStream:
    """A text stream that its users can't close, because the log needs it too."""

    def __init__(self, downstream: TextIO, original: TextIO | None = None) -> None:
        """Wrap a stream.

        Args:
            downstream: Receives the text.
            original: The stream whose other attributes, such as `buffer`, users get and can close.
        """
        self._downstream = downstream
        self._original = original or downstream

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the original stream."""
        return getattr(self._original, name)

    def flush(self) -> None:
        """Flush the downstream stream, and the original one unless it is closed."""
        self._downstream.flush()
        with suppress(OSError, ValueError):
            self._original.flush()

    def close(self) -> None:
        """Flush the stream, which stays open."""
        self.flush()


class LineStream(SharedStream):
    """A text stream in which threads don't split each other's lines.

    Thread-safe. Each thread has its own current line. A line that is written in parts is buffered
    until its end, a flush, or the end of the invocation. Only the downstream stream's exceptions
    are raised.
    """

    def __init__(self, downstream: TextIO, original: TextIO | None = None) -> None:
        """Wrap a stream, as SharedStream does."""
        super().__init__(downstream, original)
        self._begun: dict[int, StringIO] = {}  # The begun line of each thread.
        self._lock = RLock()  # A finalizer can print while its thread writes.

    def write(self, text: str) -> int:
        """Write the complete lines, and buffer the rest."""
        thread = get_ident()
        begun = self._begun.get(thread)
        if begun is None and (not text or text.endswith("\n")):
            self._write(self._select(text))
            return len(text)
        if begun is None:
            begun = self._begun[thread] = StringIO()
        begun.write(text)
        if "\n" in text or begun.tell() > MAX_BUFFERED_CHARACTERS:
            del self._begun[thread]
            lines, end, rest = begun.getvalue().rpartition("\n")
            if 0 < len(rest) <= MAX_BUFFERED_CHARACTERS:
                begun = self._begun[thread] = StringIO()
                begun.write(rest)
                rest = ""
            self._write(self._select(lines + end) + rest)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write strings without adding line ends."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write this thread's partial line and flush the downstream stream."""
        begun = self._begun.get(get_ident())
        if begun is not None:
            self._begun[get_ident()] = StringIO()
            self._write(begun.getvalue())
        super().flush()

    def end_line(self) -> None:
        """End this thread's partial line if there is one."""
        if get_ident() in self._begun:
            self.write("\n")

    def release(self) -> None:
        """Write the partial lines of all threads."""
        while self._begun:
            self._write(self._begun.popitem()[1].getvalue())

    def _select(self, lines: str) -> str:
        """Return the part of complete lines to write."""
        return lines

    def _write(self, text: str) -> None:
        if text:
            with self._lock:
                self._downstream.write(text)


class MetricsStream(LineStream):
    """A LineStream that passes lines with metrics to a consumer, and all others downstream."""

    def __init__(
        self, downstream: TextIO, consume: Callable[[str], bool], original: TextIO | None = None
    ) -> None:
        """Wrap a stream.

        Args:
            downstream: Receives all text except metrics.
            consume: Receives a line with metrics. If it returns False or raises an exception, the
                line passes through.
            original: The stream whose other attributes users get.
        """
        super().__init__(downstream, original)
        self._consume = consume

    def _select(self, lines: str) -> str:
        if MARK not in lines:
            return lines
        kept = [line for line in lines.split("\n")[:-1] if not self._is_consumed(line)]
        return "".join([f"{line}\n" for line in kept])

    def _is_consumed(self, line: str) -> bool:
        try:
            return line.startswith("{") and MARK in line and self._consume(line)
        except Exception:
            return False  # An error in the consumer must not fail the application's print.


_shared: list[LineStream] = []


def end_lines() -> None:
    """End this thread's partial lines on all shared streams, at the end of an invocation."""
    for stream in _shared:
        stream.end_line()


@contextmanager
def shared_output(consume: Callable[[str], bool]) -> Iterator[Streams]:
    """Replace `sys.stdout` and `sys.stderr` until the context ends.

    The replacements are a MetricsStream with `consume`, and a LineStream.

    Yields:
        The two streams for the log, because the application can replace those in `sys`.
    """
    before = sys.stdout, sys.stderr
    _shared[:] = [
        MetricsStream(sys.stdout, consume, sys.__stdout__),
        LineStream(sys.stderr, sys.__stderr__),
    ]
    streams = Streams(*(cast(TextIO, stream) for stream in _shared))
    sys.stdout, sys.stderr = streams
    try:
        yield streams
    finally:
        sys.stdout, sys.stderr = before
        for stream in _shared:
            stream.release()
        _shared.clear()
