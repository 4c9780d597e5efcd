"""The application's standard output, out of which its metrics are taken, as CloudWatch does.

Everything else goes on as it was written, and in the order in which it was.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from threading import get_ident
from typing import Any, Final, TextIO, cast

from devserver.emf import MARK

MAX_HELD_CHARACTERS: Final = 256 * 1024
"""Of a line that is written in parts; this server's choice. A longer one goes on as it is."""


class MetricsStream:
    """A text stream that hands lines of metrics to `take` and all else to another stream.

    From any thread: a line is of the thread that writes it. Of a line that is written in parts,
    and begins like an object, the parts are kept until its end or a flush. What `take` refuses
    goes on. Raises nothing but what the other stream raises.
    """

    def __init__(self, downstream: TextIO, take: Callable[[str], bool]) -> None:
        self._downstream = downstream
        self._take = take
        self._held: dict[int, StringIO] = {}
        # The thread that has begun the last line, if that has no end yet.
        self._line_of: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._downstream, name)

    def write(self, text: str) -> int:
        """Take lines of metrics out of the text, and write the rest."""
        thread = get_ident()
        whole = self._join(thread, text) if thread in self._held else text
        if whole and "{" in whole:
            whole = self._without_metrics(thread, whole)
        if whole:
            self._pass_on(thread, whole)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write one after the other; their ends are their own."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what this thread has begun, whatever it would have become."""
        held = self._held.pop(get_ident(), None)
        if held is not None:
            self._pass_on(get_ident(), held.getvalue())
        self._downstream.flush()

    def release(self) -> None:
        """Write what threads have begun and not ended."""
        while self._held:
            self._downstream.write(self._held.popitem()[1].getvalue())

    def _pass_on(self, thread: int, text: str) -> None:
        self._line_of = None if text.endswith("\n") else thread
        self._downstream.write(text)

    def _join(self, thread: int, text: str) -> str | None:
        """Add a part to what is kept; return all of it once that is to be looked at."""
        held = self._held[thread]
        held.write(text)
        if "\n" not in text and held.tell() <= MAX_HELD_CHARACTERS:
            return None
        del self._held[thread]
        return held.getvalue()

    def _without_metrics(self, thread: int, text: str) -> str:
        is_begun = self._line_of == thread
        *lines, tail = text.split("\n")
        kept = []
        for line in lines:
            if is_begun or not self._takes(line):
                kept.append(f"{line}\n")
            is_begun = False
        if tail.startswith("{") and not is_begun and len(tail) <= MAX_HELD_CHARACTERS:
            self._held[thread] = StringIO()
            self._held[thread].write(tail)
        else:
            kept.append(tail)
        return "".join(kept)

    def _takes(self, line: str) -> bool:
        try:
            return line.startswith("{") and MARK in line and self._take(line)
        except Exception:
            return False  # The application is not harmed by what we think of its output.


@contextmanager
def without_metrics(take: Callable[[str], bool]) -> Iterator[None]:
    """Put a MetricsStream in the place of `sys.stdout`."""
    before = sys.stdout
    stream = MetricsStream(before, take)
    sys.stdout = cast(TextIO, stream)
    try:
        yield
    finally:
        sys.stdout = before
        stream.release()
