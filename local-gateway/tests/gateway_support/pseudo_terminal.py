"""A command in a pseudo-terminal with an emulated screen."""

import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyte

SECONDS = 20


class PseudoTerminal:
    """A terminal that runs a command. It remembers lines that scrolled off the top."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str], columns: int, rows: int
    ) -> None:
        self.written = b""
        self.accepts_output = threading.Event()
        self.accepts_output.set()
        self._screen = pyte.HistoryScreen(columns, rows, history=10_000, ratio=1)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = threading.Condition()
        self._own_end, self._other_end = os.openpty()
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._other_end, termios.TIOCSWINSZ, size)
        self._modes = termios.tcgetattr(self._other_end)
        # A worker of pytest-xdist has the size of another terminal in these two.
        inherited = {
            name: it for name, it in os.environ.items() if name not in ("COLUMNS", "LINES")
        }
        self.process = subprocess.Popen(
            command,
            env={**inherited, "TERM": "xterm-256color", **environment},
            stdin=self._other_end,
            stdout=self._other_end,
            stderr=self._other_end,
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def shown(self) -> str:
        """Return the content of the screen."""
        with self._changed:
            return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def lines(self) -> list[str]:
        """Return all lines that were shown and not erased, from the first one."""
        with self._changed:
            above = [
                "".join(line[at].data for at in range(self._screen.columns)).rstrip()
                for line in self._screen.history.top
            ]
        return above + self.shown().split("\n")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until the screen matches a pattern, and return the match."""
        return self.wait_until(lambda: re.search(pattern, self.shown()), pattern)

    def wait_until(self, find: Callable[[], Any], expected: str = "") -> Any:
        """Wait until `find` returns a true value, and return that value."""
        with self._changed:
            assert self._changed.wait_for(find, SECONDS), f"no {expected!r} in\n{self.shown()}"
            return find()

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal to the command, read its remaining output, and return its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(SECONDS)
        assert termios.tcgetattr(self._other_end) == self._modes
        os.close(self._other_end)
        self._thread.join(SECONDS)
        os.close(self._own_end)
        return code

    def _read(self) -> None:
        while self.accepts_output.wait():
            try:
                data = os.read(self._own_end, 65536)
            except OSError:
                return
            if not data:
                return
            with self._changed:
                self.written += data
                self._stream.feed(data)
                self._changed.notify_all()


@contextmanager
def gateway_in_terminal(
    *arguments: str, columns: int = 120, rows: int = 40, **environment: str
) -> Iterator[PseudoTerminal]:
    """Run a gateway in a terminal, on a free port."""
    command = [sys.executable, "-m", "local_gateway", "--port", "0", *arguments]
    terminal = PseudoTerminal(command, environment, columns, rows)
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            terminal.stop()


def address_of(terminal: PseudoTerminal) -> str:
    """Wait until the gateway is ready, and return its URL."""
    terminal.wait_until(lambda: b"ready: " in terminal.written and b"\n" in terminal.written)
    found = re.search(rb"ready: (\S+)\r?\n", terminal.written)
    assert found is not None, terminal.written
    return found[1].decode()
