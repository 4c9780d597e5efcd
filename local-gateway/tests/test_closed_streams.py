"""Handlers that close the standard streams, and a start without them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_support.serving import SECONDS, serving, write_project

APP = """
import io, os, sys
from chalice import Chalice
app = Chalice("x")
app.experimental_feature_flags.update(["WEBSOCKETS"])


@app.on_ws_message()
def message(event):
    exec(event.body)
    return {"body": "done"}
"""
CONFIG = '{"app_name": "x", "websocket_api": {"route_responses": ["$default"]}}'


@pytest.mark.parametrize(
    "code",
    [
        "io.TextIOWrapper(sys.{name}.buffer)",
        "sys.{name}.buffer.close()",
        "sys.{name}.detach()",
        "sys.{name}.close()",
        "sys.__{name}__.close()",
        "sys.__{name}__.detach()",
        "os.close(sys.{name}.fileno())",
        "sys.{name} = None",
    ],
)
def test_a_handler_that_closes_a_stream_closes_only_its_own(tmp_path: Path, code: str) -> None:
    with serving(write_project(tmp_path, APP, CONFIG)) as server:
        with server.connect() as client:
            client.send(f"{code.format(name='stdout')}\n{code.format(name='stderr')}")
            assert client.recv(SECONDS) == "done"
        with server.connect() as client:  # Its socket would get a descriptor that is free now.
            client.send("1/0")
            assert json.loads(client.recv(SECONDS))["message"] == "Internal server error"
            client.send("os.write(1, b'raw'); os.write(2, b'raw')")
            client.send("pass")
            client.recv(SECONDS)
            assert client.recv(SECONDS) == "done"
        assert server.stop() == 0
        assert "ZeroDivisionError" in server.err.join()
        assert "Exception ignored" not in server.err.join()


def test_a_stream_stays_usable_after_a_handler_closed_its_descriptor(tmp_path: Path) -> None:
    with (
        serving(write_project(tmp_path, APP, CONFIG)) as server,
        server.connect() as client,
    ):
        client.send("os.closerange(1, 3)")
        client.send("print('to stdout', flush=True); print('to stderr', file=sys.stderr)")
        server.out.wait_for("to stdout")
        server.err.wait_for("to stderr")


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full"])
def test_a_gateway_without_a_usable_stream_starts_and_stops_quietly(
    tmp_path: Path, redirection: str
) -> None:
    app = """
import os, signal, socket, threading
from urllib.parse import urlsplit
from chalice import Chalice
app = Chalice("x")
print("loading", flush=True)


def stop_when_ready():
    url = urlsplit(os.environ["AWS_ENDPOINT_URL_LAMBDA"])
    while True:
        with socket.socket() as client:
            if client.connect_ex((url.hostname, url.port)) == 0 and client.fileno() > 2:
                break
    os.kill(os.getpid(), signal.SIGTERM)


threading.Thread(target=stop_when_ready).start()
"""
    project = write_project(tmp_path, app)
    command = f'exec "$@" {redirection}'
    gateway = [sys.executable, "-m", "local_gateway", "--port", "0", "--no-aws", "--project"]
    ended = subprocess.run(
        ["/bin/sh", "-c", command, "sh", *gateway, str(project)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.stderr == ""
    assert ended.returncode == 0
