"""The servers that are measured, each in a child process that ends with its context."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
TRIVIAL = Path(__file__).parent / "trivial"

STOP_SECONDS = 15
"""The local server gives its last handlers 5 s, and its embedded AWS 5 s more."""


class NotStarted(Exception):
    """A server ended before it was ready; what it said stands on stderr."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    process_id: int

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    @property
    def path(self) -> str:
        return urlsplit(self.url).path


@contextmanager
def bare_server() -> Iterator[Server]:
    with _running("bench.bare") as server:
        yield server


@contextmanager
def connections_server(latency_ms: int) -> Iterator[Server]:
    """Serve a stand-in for @connections that answers each post after so long."""
    with _running("bench.connections", str(latency_ms)) as server:
        yield server


@contextmanager
def local_server(project: Path, *options: str, **settings: str) -> Iterator[Server]:
    """Serve a Chalice project as `make local` does, but without log lines and reloading."""
    with _running(
        *("devserver", "--port", "0", "--no-reload", "--quiet", "--project", str(project)),
        *options,
        **settings,
    ) as server:
        yield server


@contextmanager
def _running(module: str, *options: str, **settings: str) -> Iterator[Server]:
    """Run a module that says `ready: URL`. Raises: NotStarted."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *options],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        try:
            said = process.stdout.readline()
            if not said.startswith("ready: "):
                raise NotStarted(f"{module}: {said}")
            yield Server(said.removeprefix("ready: ").strip(), process.pid)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
