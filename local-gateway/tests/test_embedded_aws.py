"""The gateway after its embedded AWS is killed, and the reverse."""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway_support.serving import SECONDS, Server, serving, until, write_project
from local_gateway.aws import ministack

APP = """
from chalice import Chalice
app = Chalice("x")
app.experimental_feature_flags.update(["WEBSOCKETS"])


@app.on_ws_message()
def message(event):
    return {"body": event.body}
"""
CONFIG = json.dumps(
    {
        "app_name": "x",
        "websocket_api": {"route_responses": ["$default"]},
        "local_gateway": {"aws": {"user_pool": "user_pool.json"}},
    }
)
SIGN_IN = [sys.executable, "-m", "local_gateway.user_token", "--port"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "user_pool.json").write_text("{}")
    return write_project(tmp_path, APP, CONFIG)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


@pytest.fixture
def server(project: Path, scratch: Path) -> Iterator[Server]:
    with serving(project, "--no-reload", has_aws=True, TMPDIR=str(scratch)) as running:
        yield running


def children_of(server: Server) -> list[int]:
    pid = server.process.pid
    return [int(it) for it in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def child_of(server: Server) -> int:
    """Return ministack's process ID."""
    [child] = children_of(server)
    return child


def is_running(pid: int) -> bool:
    """Return whether a process exists and isn't a zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(") ")[2][0] not in "XZ"


def aws_address(server: Server) -> tuple[str, int]:
    environment = server.request("GET", "/_local_gateway/environment")[1]["environment"]
    url = urlsplit(environment["AWS_ENDPOINT_URL"])
    return str(url.hostname), int(url.port or 0)


def is_open(address: tuple[str, int]) -> bool:
    with socket.socket() as client:
        return client.connect_ex(address) == 0


def sign_in(port: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*SIGN_IN, str(port)], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_gateway_exits_with_a_message_if_its_aws_is_killed(server: Server, scratch: Path) -> None:
    with server.connect() as client:
        client.send("hello")
        assert client.recv() == "hello"
        os.kill(child_of(server), signal.SIGKILL)
        assert server.process.wait(SECONDS) == 1
    assert server.err.join() == (
        "chalice-local-gateway: the embedded AWS exited (SIGKILL) and its tables and users "
        "are lost; restart the gateway\n"
    )
    assert list(scratch.iterdir()) == []


def test_a_killed_gateway_leaves_no_process_and_its_folder_only_until_the_next_start(
    server: Server, project: Path, scratch: Path
) -> None:
    address = aws_address(server)
    assert is_open(address)
    (left,) = scratch.iterdir()
    server.process.kill()
    server.process.wait(SECONDS)
    until(lambda: not is_open(address))
    with serving(project, "--no-reload", has_aws=True, TMPDIR=str(scratch)) as another:
        assert left not in list(scratch.iterdir())
        assert sign_in(another.address[1]).returncode == 0
    assert list(scratch.iterdir()) == []


def test_a_gateway_killed_while_its_aws_starts_leaves_as_little(
    project: Path, scratch: Path
) -> None:
    server = Server(project, "--no-reload", has_aws=True, TMPDIR=str(scratch))
    until(lambda: children_of(server) != [])
    child = child_of(server)
    (left,) = scratch.iterdir()
    server.process.kill()
    assert server.out.join() == server.err.join() == ""
    server.process.wait(SECONDS)
    until(lambda: not is_running(child))
    with serving(project, "--no-reload", has_aws=True, TMPDIR=str(scratch)):
        assert left not in list(scratch.iterdir())
    assert list(scratch.iterdir()) == []


def test_an_interrupt_while_the_aws_starts_ends_it(
    monkeypatch: pytest.MonkeyPatch, scratch: Path
) -> None:
    def interrupt(process: "subprocess.Popen[bytes]", _endpoint_url: str) -> bool:
        started.append(process)
        raise KeyboardInterrupt

    started: list[subprocess.Popen[bytes]] = []
    module = importlib.import_module("local_gateway.aws.ministack")  # The function hides it.
    monkeypatch.setattr(module, "_wait_until_ready", interrupt)
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with pytest.raises(KeyboardInterrupt), ministack():
        pass
    assert [process.returncode for process in started] == [-signal.SIGTERM]
    assert list(scratch.iterdir()) == []


SIGNALS_DURING_CLEANUP = """
import os, signal, sys

def interrupt(event, arguments):
    if event == "shutil.rmtree" and "GATEWAY_PORT" not in os.environ:  # ministack has this one.
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)

sys.addaudithook(interrupt)
"""
"""A sitecustomize.py that sends signals to the gateway while it removes its folder."""


@pytest.mark.parametrize("is_ready", [True, False])
def test_more_signals_do_not_stop_the_cleanup(
    project: Path, tmp_path: Path, scratch: Path, is_ready: bool
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SIGNALS_DURING_CLEANUP)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    if not is_ready:
        (project / "app.py").write_text("import os\nos.kill(os.getpid(), 15)\n")
    server = Server(project, has_aws=True, TMPDIR=str(scratch), PYTHONPATH=path)
    if is_ready:
        server.wait_until_ready()
        assert server.stop() == 0
    else:
        assert server.process.wait(SECONDS) == 128 + signal.SIGINT
    assert server.err.join() == ""
    assert list(scratch.iterdir()) == []


class Environment(BaseHTTPRequestHandler):
    """Responds like a gateway whose embedded AWS has exited."""

    def do_GET(self) -> None:
        environment = {
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "COGNITO_USER_POOL_ID": "us-east-1_pool",
            "COGNITO_CLIENT_ID": "client",
        }
        body = json.dumps({"environment": environment}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


def test_a_token_needs_a_running_aws() -> None:
    with HTTPServer(("127.0.0.1", 0), Environment) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        port = server.server_port
        failed = sign_in(port)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == (
        f"the embedded AWS of the gateway on port {port} can't be reached; restart the gateway\n"
    )


def test_a_token_needs_a_user_pool() -> None:
    with serving("recorder", "--no-reload") as bare:
        failed = sign_in(bare.address[1])
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == f"the gateway on port {bare.address[1]} has no user pool\n"
