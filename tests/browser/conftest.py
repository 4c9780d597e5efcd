"""A real browser, the local server, and another web site on the same machine."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from gateway_support.serving import Server, serving
from tests.make import ROOT
from tests.terraform.requirements import lacks

FOLDER = Path(__file__).parent
BROWSE_SECONDS = 90

Browse = Callable[..., list[Any]]


def find_browser() -> tuple[str, str]:
    """Return the commands of Chromium and Node.js."""
    chromium, node = which("chromium"), which("node")
    if chromium is None or node is None or not (FOLDER / "node_modules").exists():
        lacks("Chromium, Node.js or playwright-core; .ci/browser installs them")
    return chromium, node


@pytest.fixture(scope="session")
def browse() -> Browse:
    """Return a function that runs steps in a new browser. browse.mjs describes the steps."""
    chromium, node = find_browser()

    def run(*steps: dict[str, Any]) -> list[Any]:
        done = subprocess.run(
            [node, FOLDER / "browse.mjs", chromium],
            input=json.dumps(steps),
            capture_output=True,
            text=True,
            timeout=BROWSE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        results: list[Any] = json.loads(done.stdout)
        return results

    return run


@pytest.fixture(scope="session")
def own_server() -> Iterator[Server]:
    with serving(ROOT, "--no-reload", has_aws=True) as server:
        yield server


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Another site's page</title><body></body>")

    def log_message(self, *_: Any) -> None:
        """Suppress the log."""


@pytest.fixture(scope="session")
def other_site_port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        yield site.server_port
        site.shutdown()
        thread.join()
