"""Posts by `app.websocket_api`, Chalice's own way."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chalice import Chalice

from gateway_support.serving import SECONDS, Server, serving, write_project
from local_gateway.chalice_sender import redirect_sender
from local_gateway.events import Api, scheduled_event

APP = """
import os
from concurrent.futures import ThreadPoolExecutor
import boto3
from chalice import Chalice
app = Chalice("x")
app.experimental_feature_flags.update(["WEBSOCKETS"])
app.websocket_api.session = boto3.session.Session()
if "CONFIGURED_AT_IMPORT" in os.environ:
    app.websocket_api.configure("abc.execute-api.us-east-1.amazonaws.com", "dev")


@app.on_ws_message()
def message(event):
    if event.body == "id":
        app.websocket_api.send(event.connection_id, event.connection_id)
    else:
        with ThreadPoolExecutor() as pool:
            pool.submit(app.websocket_api.send, event.connection_id, event.body.upper()).result()


@app.lambda_function()
def send(event, context):
    app.websocket_api.send(event["to"], "from send")


@app.lambda_function()
def configure_and_send(event, context):
    app.websocket_api.configure("abc.execute-api.us-east-1.amazonaws.com", "dev")
    app.websocket_api.send(event["to"], "from configure_and_send")


@app.schedule("rate(10 days)")
def send_from_schedule(event):
    app.websocket_api.send(event.detail["to"], "from schedule")
"""
NOT_CONFIGURED = {
    "errorType": "ValueError",
    "errorMessage": "WebsocketAPI.configure must be called before using the WebsocketAPI",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(write_project(tmp_path, APP), "--no-reload") as running:
        yield running


def invoke(server: Server, function: str, connection_id: str) -> Any:
    """Invoke a function, and return its error; None if it succeeds."""
    scheduled = scheduled_event(Api("local"), "x-local-send_from_schedule", due_at=0)
    event = {**scheduled, "to": connection_id, "detail": {"to": connection_id}}
    response = server.functions.invoke(
        FunctionName=f"x-local-{function}", Payload=json.dumps(event)
    )
    payload = json.load(response["Payload"])
    return payload and {name: payload[name] for name in ("errorType", "errorMessage")}


@pytest.mark.parametrize("function", ["send", "send_from_schedule"])
def test_a_function_without_a_websocket_event_must_configure_the_sender(
    server: Server, function: str
) -> None:
    with server.connect() as client:
        client.send("id")
        connection_id = str(client.recv(SECONDS))
        for _ in range(2):
            assert invoke(server, function, connection_id) == NOT_CONFIGURED
        assert invoke(server, "configure_and_send", connection_id) is None
        assert client.recv(SECONDS) == "from configure_and_send"
        assert invoke(server, function, connection_id) == NOT_CONFIGURED


def test_a_sender_that_the_import_configures_works_in_each_function(tmp_path: Path) -> None:
    project = write_project(tmp_path, APP)
    with (
        serving(project, "--no-reload", CONFIGURED_AT_IMPORT="1") as server,
        server.connect() as client,
    ):
        client.send("id")
        connection_id = str(client.recv(SECONDS))
        assert invoke(server, "send", connection_id) is None
        assert client.recv(SECONDS) == "from send"


def test_a_handler_and_its_threads_post_to_the_gateway(server: Server) -> None:
    with server.connect() as client:
        client.send("hello")
        assert client.recv(SECONDS) == "HELLO"


def test_an_app_that_outlives_a_reload_keeps_its_sender() -> None:
    app = Chalice("x")
    for _ in range(2):
        redirect_sender(app, "http://127.0.0.1:8000/local")
        assert app.websocket_api._endpoint is None
    app.websocket_api.configure("abc.execute-api.us-east-1.amazonaws.com", "dev")
    redirect_sender(app, "http://127.0.0.1:8000/local")
    assert app.websocket_api._endpoint == "http://127.0.0.1:8000/local"
