"""Two gateways with the same names of the application, tables and temporary folder."""

import json
from pathlib import Path

import pytest

from gateway_support.serving import SECONDS, serving, write_project

APP = """
import json, os
import boto3
from chalice import Chalice
app = Chalice("x")
app.experimental_feature_flags.update(["WEBSOCKETS"])
notes = boto3.resource("dynamodb").Table(os.environ["NOTES_TABLE"])


@app.on_ws_message()
def message(event):
    if event.body == "id":
        return {"body": event.connection_id}
    notes.put_item(Item={"text": event.body})
    return {"body": json.dumps(sorted(item["text"] for item in notes.scan()["Items"]))}
"""
CONFIG = {
    "app_name": "x",
    "websocket_api": {"route_responses": ["$default"]},
    "local_gateway": {"aws": {"tables": "tables.json"}},
}
TABLES = {"notes": {"partition_key": {"name": "text", "type": "S"}}}


@pytest.fixture
def projects(tmp_path: Path) -> list[Path]:
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        (folder / "tables.json").write_text(json.dumps(TABLES))
        write_project(folder, APP, json.dumps(CONFIG))
    return folders


def test_two_gateways_share_neither_tables_nor_connections(
    tmp_path: Path, projects: list[Path]
) -> None:
    (tmp_path / "scratch").mkdir()
    scratch = str(tmp_path / "scratch")
    with serving(projects[1], "--no-reload", has_aws=True, TMPDIR=scratch) as second:
        with (
            serving(projects[0], "--no-reload", has_aws=True, TMPDIR=scratch) as first,
            first.connect() as one,
            second.connect() as two,
        ):
            one.send("from one")
            assert one.recv(SECONDS) == '["from one"]'
            two.send("from two")
            assert two.recv(SECONDS) == '["from two"]'
            one.send("id")
            post = {"ConnectionId": one.recv(SECONDS), "Data": b"hello"}
            with pytest.raises(second.connections.exceptions.GoneException):
                second.connections.post_to_connection(**post)
            first.connections.post_to_connection(**post)
            assert one.recv(SECONDS) == "hello"
        with second.connect() as two:
            two.send("still there")
            assert two.recv(SECONDS) == '["from two", "still there"]'
