"""Posts by `app.websocket_api`, Chalice's own way."""

from pathlib import Path

from gateway_support.serving import SECONDS, serving, write_project

APP = """
import boto3
from chalice import Chalice
app = Chalice("x")
app.experimental_feature_flags.update(["WEBSOCKETS"])
app.websocket_api.session = boto3.session.Session()


@app.on_ws_message()
def message(event):
    app.websocket_api.send(event.connection_id, event.body.upper())
"""


def test_chalices_own_sender_posts_to_the_gateway(tmp_path: Path) -> None:
    with (
        serving(write_project(tmp_path, APP), "--no-reload") as server,
        server.connect() as client,
    ):
        client.send("hello")
        assert client.recv(SECONDS) == "HELLO"
