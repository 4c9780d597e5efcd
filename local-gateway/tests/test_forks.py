"""Handlers that fork processes, which inherit the gateway's descriptors."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from gateway_support.serving import SECONDS, Server, serving, until, write_project

APP = """
import multiprocessing, os, time
from chalice import Chalice
app = Chalice("x")
app.experimental_feature_flags.update(["WEBSOCKETS"])


@app.on_ws_message()
def message(event):
    fork = multiprocessing.get_context("fork")
    started = fork.Event()
    process = fork.Process(target=lambda: started.set() or time.sleep(600))
    process.start()
    started.wait()
    if event.body == "terminate":
        process.terminate()
        process.join()
        return {"body": str(process.exitcode)}
    return {"body": str(process.pid)}
"""
CONFIG = """{
    "app_name": "x",
    "websocket_api": {"route_responses": ["$default"]},
    "local_gateway": {"aws": {"user_pool": "user_pool.json"}}
}"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "user_pool.json").write_text("{}")
    (tmp_path / "scratch").mkdir()
    project = write_project(tmp_path, APP, CONFIG)
    with serving(project, has_aws=True, TMPDIR=str(tmp_path / "scratch")) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[ClientConnection]:
    """Return a client whose handler has forked a process, which is killed at the end."""
    with server.connect() as connected:
        connected.send("fork")
        pid = int(connected.recv(SECONDS))
        yield connected
    os.kill(pid, signal.SIGKILL)


def is_open(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_a_killed_gateway_closes_its_connections_and_ends_its_aws_despite_a_fork(
    server: Server, client: ClientConnection
) -> None:
    environment = server.request("GET", "/_local_gateway/environment")[1]["environment"]
    server.process.kill()
    with pytest.raises(ConnectionClosed):
        client.recv(SECONDS)
    until(lambda: not is_open(environment["AWS_ENDPOINT_URL"]))
    assert not is_open(server.http_url)


def test_a_signal_to_a_fork_ends_the_fork_and_not_the_gateway(server: Server) -> None:
    with server.connect() as client:
        client.send("terminate")
        assert client.recv(SECONDS) == str(-signal.SIGTERM)
        client.send("terminate")
        assert client.recv(SECONDS) == str(-signal.SIGTERM)
