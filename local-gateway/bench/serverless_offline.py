"""serverless-offline, a plugin of the Serverless Framework, as npm installs it."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.servers import ROOT, NotStarted, Server, free_ports

MODULES = ROOT / "conformance" / "serverless_offline" / "node_modules"
"""The folder in which npm installs the versions that the conformance suite also tests."""

INSTALL = ("install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")

READY = "[http for websocket] listening"
"""The last line of the start."""

_SETTINGS = {
    "SLS_TELEMETRY_DISABLED": "1",
    "SLS_NOTIFICATIONS_MODE": "off",
    # serverless-offline runs handlers with the Python of this environment.
    "VIRTUAL_ENV": sys.prefix,
}


def is_available() -> bool:
    """Return whether npm can install it. Prints a note if not."""
    if shutil.which("npm") is None:
        print("there is no npm, so serverless-offline isn't measured")
        return False
    return True


@contextmanager
def serving(project: Path) -> Iterator[Server]:
    """Serve a project that has a serverless.yml. Installs serverless-offline the first time.

    Raises:
        NotStarted: It ended before it was ready.
        CalledProcessError: npm can't install it.
    """
    if not MODULES.exists():
        subprocess.run(["npm", *INSTALL], cwd=MODULES.parent, stdout=sys.stderr, check=True)
    port, http_port, lambda_port = free_ports(3)
    ports = (f"--websocketPort={port}", f"--httpPort={http_port}", f"--lambdaPort={lambda_port}")
    serverless = MODULES / "serverless" / "bin" / "serverless.js"
    with subprocess.Popen(
        ["node", serverless, "offline", "--host=127.0.0.1", *ports],
        cwd=project,
        env={**os.environ, **_SETTINGS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            _wait_until_ready(process)
            yield Server(f"ws://127.0.0.1:{port}/local", process.pid)
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
