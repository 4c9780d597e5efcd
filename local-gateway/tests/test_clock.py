"""The application's clock at different rates."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from gateway_support.serving import Server, serving, write_project
from local_gateway import clock

APP = """
import time
from datetime import datetime
from time import time as imported
from chalice import Chalice
app = Chalice("x")
app.experimental_feature_flags.update(["WEBSOCKETS"])
RECORDED = []

def record(event):
    RECORDED.append((event.to_dict()["requestContext"], time.time()))
    return {"statusCode": 200}

@app.on_ws_connect()
def connect(event):
    return record(event)

@app.on_ws_message()
def message(event):
    return record(event)

@app.on_ws_disconnect()
def disconnect(event):
    return record(event)

@app.lambda_function()
def clocks(event, context):
    return {"time": time.time(), "imported": imported(), "monotonic": time.monotonic(),
            "datetime": datetime.now().timestamp(), "kind": type(time.time).__name__}

@app.lambda_function()
def recorded(event, context):
    return RECORDED
"""
RATE = 1200


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("project"), APP)


@pytest.fixture
def fast_server(project: Path) -> Iterator[Server]:
    """Run a server on whose clock two hours take six seconds."""
    with serving(project, "--no-reload", "--clock-rate", str(RATE)) as running:
        running.app_name = "x"
        yield running


def ending_of(server: Server) -> Any:
    with server.connect() as client, pytest.raises(ConnectionClosed) as closed:
        client.recv(10)
    return closed.value.rcvd


def test_only_time_time_runs_faster(fast_server: Server) -> None:
    before, after = (fast_server.invoke("clocks") for _ in range(2))
    real_seconds = after["monotonic"] - before["monotonic"]
    assert after["time"] - before["time"] == pytest.approx(RATE * real_seconds, rel=0.1)
    assert after["imported"] == pytest.approx(after["time"], abs=RATE * 0.01)
    assert abs(after["datetime"] - time.time()) < 10


def test_events_contain_the_applications_time(fast_server: Server) -> None:
    before = fast_server.invoke("clocks")["time"]
    with fast_server.connect() as client:
        client.send("hello")
        fast_server.out.wait_for("$default")
    fast_server.out.wait_for("$disconnect")
    recorded = fast_server.invoke("recorded")[-3:]

    types = [context["eventType"] for context, _ in recorded]
    assert types == ["CONNECT", "MESSAGE", "DISCONNECT"]
    for context, handled_at in recorded:
        assert before <= context["connectedAt"] / 1000 + 0.001
        assert context["connectedAt"] <= context["requestTimeEpoch"] <= handled_at * 1000
        stamp = datetime.strptime(context["requestTime"], "%d/%b/%Y:%H:%M:%S %z").timestamp()
        assert stamp == context["requestTimeEpoch"] // 1000


def test_descriptions_of_connections_contain_the_applications_time(fast_server: Server) -> None:
    before = fast_server.invoke("clocks")["time"]
    with fast_server.connect() as client:
        client.send("hello")
        client.ping().wait(10)
        connection_id = fast_server.invoke("recorded")[-1][0]["connectionId"]
        described = fast_server.connections.get_connection(ConnectionId=connection_id)
    after = fast_server.invoke("clocks")["time"]

    connected_at, active_at = described["ConnectedAt"], described["LastActiveAt"]
    assert before <= connected_at.timestamp() + 0.001
    assert connected_at <= active_at <= datetime.fromtimestamp(after, UTC)


def test_the_idle_timeout_uses_the_applications_clock(project: Path) -> None:
    with serving(project, "--no-reload", "--clock-rate", "2400") as server:
        started = time.monotonic()
        assert ending_of(server).code == 1001
        assert 0.25 <= time.monotonic() - started < 2


def test_the_lifetime_uses_the_applications_clock(project: Path) -> None:
    arguments = ("--clock-rate", "28800", "--idle-timeout-seconds", "1000000")
    with serving(project, "--no-reload", *arguments) as server:
        started = time.monotonic()
        assert ending_of(server).code == 1001
        assert 0.25 <= time.monotonic() - started < 2


def test_a_rate_of_1_replaces_nothing(project: Path) -> None:
    with serving(project, "--no-reload") as server:
        server.app_name = "x"
        assert server.invoke("clocks")["kind"] == "builtin_function_or_method"


def test_the_real_clock_is_restored() -> None:
    real = time.time
    with clock.running_at(10):
        assert time.time is not real
        assert clock.now() == pytest.approx(time.time(), abs=1)
    assert time.time is real
