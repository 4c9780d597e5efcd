"""The gateway's own streams for standard output and standard error.

An application can close the descriptors 1 and 2, or the streams on them. The gateway writes to
copies of the descriptors, so its log and the application's `print` continue.
"""

import fcntl
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import Final

LAST_STANDARD_DESCRIPTOR: Final = 2

descriptors: Final = [1, 2]
"""The descriptors of the process's output. `take_over` replaces them with its copies."""


class OwnStream(TextIOWrapper):
    """A text stream that ignores the errors of its file, such as a full disk."""

    def write(self, text: str) -> int:
        """Write the text as far as possible."""
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Flush as far as possible."""
        with suppress(OSError):
            super().flush()

    def close(self) -> None:
        """Close the stream, even if its text can't be written."""
        with suppress(OSError):
            super().close()


def take_over() -> None:
    """Replace `sys.stdout` and `sys.stderr` with streams of the gateway's own.

    A stream that was closed at the start is the null device.
    """
    fill_standard_descriptors()
    descriptors.clear()
    for number, name in ((1, "stdout"), (2, "stderr")):
        original = getattr(sys, name) or os.fdopen(number, "w", closefd=False, encoding="utf-8")
        own = _copy(original)
        setattr(sys, f"__{name}__", original)
        setattr(sys, name, own)
        descriptors.append(own.fileno())


def fill_standard_descriptors() -> None:
    """Open the null device as 0, 1 and 2 if they are closed, before a connection gets them."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= LAST_STANDARD_DESCRIPTOR:
        pass
    os.close(number)


def _copy(stream: TextIOWrapper) -> OwnStream:
    number = fcntl.fcntl(stream.fileno(), fcntl.F_DUPFD_CLOEXEC, LAST_STANDARD_DESCRIPTOR + 1)
    return OwnStream(
        os.fdopen(number, "wb", 0 if stream.write_through else -1),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
