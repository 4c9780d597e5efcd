"""The output streams that the application shares with the log.

Metrics are extracted from the standard output, as CloudWatch does it. All other output passes
through unchanged and in order.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import get_ident
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

    def write(self, text: str) -> int:
        """Write the text downstream."""
        return self._downstream.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write strings without adding line ends."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the downstream stream, and the original one unless it is closed."""
        self._downstream.flush()
        with suppress(OSError, ValueError):
            self._original.flush()

    def close(self) -> None:
        """Flush the stream, which stays open."""
        self.flush()


class MetricsStream(SharedStream):
    """A text stream that passes lines with metrics to a consumer, and all other text downstream.

    Thread-safe. Each thread has its own current line. If a line starts with "{" and is written in
    parts, the parts are buffered until the end of the line or a flush. Only the downstream stream's
    exceptions are raised.
    """

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
        self._begun: dict[int, str] = {}  # The begun line of each thread.

    def write(self, text: str) -> int:
        """Extract lines with metrics from the text, and write the rest."""
        thread = get_ident()
        *lines, rest = (self._begun.pop(thread, "") + text).split("\n")
        kept = "".join([f"{line}\n" for line in lines if not self._is_consumed(line)])
        if rest.startswith("{") and len(rest) <= MAX_BUFFERED_CHARACTERS:
            self._begun[thread], rest = rest, ""
        if kept or rest:
            self._downstream.write(kept + rest)
        return len(text)

    def flush(self) -> None:
        """Write this thread's partial line and flush the downstream stream."""
        self._downstream.write(self._begun.pop(get_ident(), ""))
        super().flush()

    def release(self) -> None:
        """Write the partial lines of all threads."""
        while self._begun:
            self._downstream.write(self._begun.popitem()[1])

    def _is_consumed(self, line: str) -> bool:
        try:
            return line.startswith("{") and MARK in line and self._consume(line)
        except Exception:
            return False  # An error in the consumer must not fail the application's print.


@contextmanager
def shared_output(consume: Callable[[str], bool]) -> Iterator[Streams]:
    """Replace `sys.stdout` with a MetricsStream, and `sys.stderr` with a SharedStream.

    Yields:
        The two streams for the log, because the application can replace those in `sys`.
    """
    before = sys.stdout, sys.stderr
    stream = MetricsStream(sys.stdout, consume, sys.__stdout__)
    sys.stdout = cast(TextIO, stream)
    sys.stderr = cast(TextIO, SharedStream(sys.stderr, sys.__stderr__))
    try:
        yield Streams(sys.stdout, sys.stderr)
    finally:
        sys.stdout, sys.stderr = before
        stream.release()
