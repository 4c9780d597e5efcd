"""The measured servers, each in a child process that ends with its context."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
TRIVIAL = Path(__file__).parent / "trivial"

STOP_SECONDS = 15
"""The local gateway waits 5 s for its last handlers, and then 5 s for its embedded AWS."""


class NotStarted(Exception):
    """A server ended before it was ready. Its stderr shows why."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    process_id: int

    @property
    def host(self) -> str:
        """The host in the URL."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port in the URL."""
        return urlsplit(self.url).port or 0

    @property
    def path(self) -> str:
        """The path in the URL."""
        return urlsplit(self.url).path


@contextmanager
def bare_server() -> Iterator[Server]:
    """Serve `bench.bare`."""
    with running("bench.bare") as server:
        yield server


@contextmanager
def local_gateway(project: Path, *options: str, **settings: str) -> Iterator[Server]:
    """Serve a Chalice project, without log lines and reloading."""
    with running(
        *("local_gateway", "--port", "0", "--no-reload", "--quiet", "--project", str(project)),
        *options,
        settings=settings,
    ) as server:
        yield server


@contextmanager
def running(
    module: str, *options: str, folder: Path = ROOT, settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a module that prints `ready: URL`.

    Args:
        module: The module.
        *options: Its command-line arguments.
        folder: The working directory, from which the module is imported if it isn't installed.
        settings: Environment variables.

    Raises:
        NotStarted: The module ended before it was ready.
    """
    with subprocess.Popen(
        [sys.executable, "-m", module, *options],
        cwd=folder,
        env={**os.environ, **(settings or {})},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        try:
            line = process.stdout.readline()
            if not line.startswith("ready: "):
                raise NotStarted(f"{module}: {line}")
            yield Server(line.removeprefix("ready: ").strip(), process.pid)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
