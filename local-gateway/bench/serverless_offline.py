"""serverless-offline, a plugin of the Serverless Framework, as npm installs it beside this file."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.servers import NotStarted, Server, free_ports

MODULES = Path(__file__).parent / "node_modules"
"""The folder in which npm installs the versions that package.json names."""

INSTALL = ("install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")

READY = "[http for websocket] listening"
"""The last line of the start."""

_SETTINGS = {
    "SLS_TELEMETRY_DISABLED": "1",
    "SLS_NOTIFICATIONS_MODE": "off",
    # serverless-offline runs handlers with the Python of this environment.
    "VIRTUAL_ENV": sys.prefix,
}


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of 127.0.0.1 that serverless-offline listens on.

    Attributes:
        websocket: WebSockets and `@connections`.
        http: HTTP APIs.
        functions: Lambda's API.
    """

    websocket: int
    http: int
    functions: int

    def options(self) -> list[str]:
        """Return the command-line options."""
        numbers = {"websocketPort": self.websocket, "httpPort": self.http}
        numbers["lambdaPort"] = self.functions
        return [f"--{name}={number}" for name, number in numbers.items()] + ["--host=127.0.0.1"]


def is_available() -> bool:
    """Return whether npm can install it. Prints a note if not."""
    if shutil.which("npm") is None:
        print("there is no npm, so serverless-offline isn't measured")
        return False
    return True


@contextmanager
def serving(
    project: Path,
    *options: str,
    ports: Ports | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Serve a project that has the configuration of a service.

    Installs serverless-offline the first time.

    Args:
        project: The project's folder.
        *options: Command-line options.
        ports: The ports; None for free ones.
        settings: Environment variables of the functions.

    Raises:
        NotStarted: It ended before it was ready.
        CalledProcessError: npm can't install it.
    """
    if not MODULES.exists():
        subprocess.run(["npm", *INSTALL], cwd=MODULES.parent, stdout=sys.stderr, check=True)
    ports = ports or Ports(*free_ports(3))
    with subprocess.Popen(
        ["node", MODULES / "serverless/bin/serverless.js", "offline", *ports.options(), *options],
        cwd=project,
        env={**os.environ, **_SETTINGS, **(settings or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            _wait_until_ready(process)
            yield Server(f"ws://127.0.0.1:{ports.websocket}/local", process.pid)
        finally:
            # The group includes the Python processes of its functions.
            os.killpg(process.pid, signal.SIGKILL)


def _wait_until_ready(process: "subprocess.Popen[str]") -> None:
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if READY in line:
            # It logs each event, and would wait for a reader of its output.
            threading.Thread(target=deque, args=(process.stdout, 0), daemon=True).start()
            return
    raise NotStarted("".join(lines))
