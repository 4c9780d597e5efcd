"""Extraction of metrics from the application's standard output, as CloudWatch does it.

All other output passes through unchanged and in order.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from threading import get_ident
from typing import Any, Final, TextIO, cast

from local_gateway.emf import MARK

MAX_BUFFERED_CHARACTERS: Final = 256 * 1024
"""Maximum length of a buffered line, this server's choice. Longer lines pass through."""


class MetricsStream:
    """A text stream that passes lines with metrics to a consumer, and all other text downstream.

    Thread-safe. Each thread has its own current line. If a line starts with "{" and is written in
    parts, the parts are buffered until the end of the line or a flush. Only the downstream stream's
    exceptions are raised.
    """

    def __init__(self, downstream: TextIO, consume: Callable[[str], bool]) -> None:
        """Wrap a stream.

        Args:
            downstream: Receives all text except metrics.
            consume: Receives a line with metrics. If it returns False or raises an exception, the
                line passes through.
        """
        self._downstream = downstream
        self._consume = consume
        self._buffers: dict[int, StringIO] = {}
        # The thread that wrote the last text downstream, if that text has no line end.
        self._partial_line_thread: int | None = None

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the downstream stream."""
        return getattr(self._downstream, name)

    def write(self, text: str) -> int:
        """Extract lines with metrics from the text, and write the rest."""
        thread = get_ident()
        whole = self._append(thread, text) if thread in self._buffers else text
        if whole and "{" in whole:
            whole = self._without_metrics(thread, whole)
        if whole:
            self._write_downstream(thread, whole)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write strings without adding line ends."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write this thread's partial line and flush the downstream stream."""
        buffer = self._buffers.pop(get_ident(), None)
        if buffer is not None:
            self._write_downstream(get_ident(), buffer.getvalue())
        self._downstream.flush()

    def release(self) -> None:
        """Write the partial lines of all threads."""
        while self._buffers:
            self._downstream.write(self._buffers.popitem()[1].getvalue())

    def _write_downstream(self, thread: int, text: str) -> None:
        self._partial_line_thread = None if text.endswith("\n") else thread
        self._downstream.write(text)

    def _append(self, thread: int, text: str) -> str | None:
        """Append text to the thread's buffer. Returns the content if it is ready to be checked."""
        buffer = self._buffers[thread]
        buffer.write(text)
        if "\n" not in text and buffer.tell() <= MAX_BUFFERED_CHARACTERS:
            return None
        del self._buffers[thread]
        return buffer.getvalue()

    def _without_metrics(self, thread: int, text: str) -> str:
        is_continuation = self._partial_line_thread == thread
        *lines, tail = text.split("\n")
        rest = []
        for line in lines:
            if is_continuation or not self._is_consumed(line):
                rest.append(f"{line}\n")
            is_continuation = False
        if tail.startswith("{") and not is_continuation and len(tail) <= MAX_BUFFERED_CHARACTERS:
            self._buffers[thread] = StringIO()
            self._buffers[thread].write(tail)
        else:
            rest.append(tail)
        return "".join(rest)

    def _is_consumed(self, line: str) -> bool:
        try:
            return line.startswith("{") and MARK in line and self._consume(line)
        except Exception:
            return False  # An error in the consumer must not fail the application's print.


@contextmanager
def extract_metrics(consume: Callable[[str], bool]) -> Iterator[None]:
    """Replace `sys.stdout` with a MetricsStream until the context ends."""
    before = sys.stdout
    stream = MetricsStream(before, consume)
    sys.stdout = cast(TextIO, stream)
    try:
        yield
    finally:
        sys.stdout = before
        stream.release()
