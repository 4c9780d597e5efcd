"""A command in a pseudo-terminal, and what stands on its screen."""

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
from pathlib import Path
from typing import Any

import pyte

ROOT = Path(__file__).parents[2]
SECONDS = 20


class PseudoTerminal:
    """A terminal with a command in it. Lines that have scrolled off its top are remembered."""

    def __init__(
        self, command: list[str], environment: Mapping[str, str], columns: int, rows: int
    ) -> None:
        self.written = b""
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
            cwd=ROOT,
            env={**inherited, "TERM": "xterm-256color", **environment},
            stdin=self._other_end,
            stdout=self._other_end,
            stderr=self._other_end,
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def shown(self) -> str:
        """Return what stands on the screen."""
        with self._changed:
            return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def lines(self) -> list[str]:
        """Return all that was shown and not erased, from the first line."""
        with self._changed:
            above = [
                "".join(line[at].data for at in range(self._screen.columns)).rstrip()
                for line in self._screen.history.top
            ]
        return above + self.shown().split("\n")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return where the screen matches, once it does; `.` is any character of a line."""
        return self.wait_until(lambda: re.search(pattern, self.shown()), pattern)

    def wait_until(self, look: Callable[[], Any], what: str = "") -> Any:
        """Return what was looked for, once it is on the screen."""
        with self._changed:
            assert self._changed.wait_for(look, SECONDS), f"no {what!r} in\n{self.shown()}"
            return look()

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send the command a signal, read to the end of what it writes, and return its code."""
        self.process.send_signal(number)
        code = self.process.wait(SECONDS)
        assert termios.tcgetattr(self._other_end) == self._modes
        os.close(self._other_end)
        self._thread.join(SECONDS)
        os.close(self._own_end)
        return code

    def _read(self) -> None:
        while True:
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
def devserver_in_terminal(
    *arguments: str, columns: int = 120, rows: int = 40, **environment: str
) -> Iterator[PseudoTerminal]:
    """Run a devserver in a terminal, on any free port."""
    command = [sys.executable, "-m", "devserver", "--port", "0", *arguments]
    terminal = PseudoTerminal(command, environment, columns, rows)
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            terminal.stop()


def address_of(terminal: PseudoTerminal) -> str:
    """Return the URL at which the devserver in the terminal is ready."""
    terminal.wait_until(lambda: b"ready: " in terminal.written and b"\n" in terminal.written)
    found = re.search(rb"ready: (\S+)\r?\n", terminal.written)
    assert found is not None, terminal.written
    return found[1].decode()
