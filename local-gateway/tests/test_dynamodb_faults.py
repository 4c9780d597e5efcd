"""Faults of the embedded DynamoDB, in the middleware alone and in a whole server."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway_support.serving import SECONDS, Server, serving, write_project
from local_gateway.dynamodb_faults import PREFIX, FaultyDynamoDb
from local_gateway.faults import Faults

FAULTS_PATH = "/_local_gateway/dynamodb-faults"


class DynamoDb:
    """An ASGI application that responds with status 200 and records its requests."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, message = b"", {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        self.asked.append((scope["path"], body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


def ask(app: Any, path: str, *parts: bytes, method: str = "POST") -> tuple[int, Any]:
    """Send a request with a body in parts, and return the response's status and JSON."""
    messages = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, 1)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "method": method, "headers": ()}
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def put(app: Any, **faults: Any) -> None:
    assert ask(app, FAULTS_PATH, json.dumps(faults).encode(), method="PUT") == (200, {})


@pytest.fixture
def dynamodb() -> DynamoDb:
    return DynamoDb()


@pytest.fixture
def faulty(dynamodb: DynamoDb) -> FaultyDynamoDb:
    return FaultyDynamoDb(dynamodb, seed=1)


@pytest.mark.parametrize(
    "body", [b"{", b"[" * 100_000, b'{"nonsense": 1}', b'{"dynamodb_down_share": 2}']
)
def test_invalid_faults_are_a_bad_request(faulty: FaultyDynamoDb, body: bytes) -> None:
    assert ask(faulty, FAULTS_PATH, body, method="PUT")[0] == 400


def test_another_method_cannot_set_faults(faulty: FaultyDynamoDb) -> None:
    assert ask(faulty, FAULTS_PATH, b'{"dynamodb_down_share": 1}')[0] == 403
    assert ask(faulty, PREFIX, b"{}") == (200, {})


def test_a_request_passes_through_without_faults(
    faulty: FaultyDynamoDb, dynamodb: DynamoDb
) -> None:
    ask(faulty, PREFIX + "/", b'{"Table', b'Name": "a"}')
    assert dynamodb.asked == [("/", b'{"TableName": "a"}')]


def test_a_request_that_no_fault_selects_passes_through_unchanged(
    faulty: FaultyDynamoDb, dynamodb: DynamoDb
) -> None:
    put(faulty, dynamodb_slow_ms=0.1)
    ask(faulty, PREFIX, b'{"Table', b'Name": "a"}')
    assert dynamodb.asked == [("/", b'{"TableName": "a"}')]


def test_a_request_with_too_many_levels_names_no_table(
    faulty: FaultyDynamoDb, dynamodb: DynamoDb
) -> None:
    put(faulty, dynamodb_down_share=1, dynamodb_only_table="rooms")
    assert ask(faulty, PREFIX, b"[" * 100_000)[0] == 200


def test_faults_affect_only_the_application(faulty: FaultyDynamoDb, dynamodb: DynamoDb) -> None:
    put(faulty, dynamodb_down_share=1)
    assert ask(faulty, "/", b"{}")[0] == 200
    assert dynamodb.asked == [("/", b"{}")]


@pytest.mark.parametrize(
    "request_",
    [
        {"TableName": "rooms"},
        {"TableName": "arn:aws:dynamodb:us-east-1:000000000000:table/rooms"},
        {"RequestItems": {"users": [], "rooms": []}},
        {"TransactItems": [{"Put": {"TableName": "users"}}, {"Update": {"TableName": "rooms"}}]},
    ],
)
def test_a_fault_affects_requests_for_its_table(
    faulty: FaultyDynamoDb, dynamodb: DynamoDb, request_: Any
) -> None:
    put(faulty, dynamodb_throttled_share=1, dynamodb_only_table="rooms")
    status, answer = ask(faulty, PREFIX, json.dumps(request_).encode())
    assert status == 400
    assert answer["__type"].endswith("#ProvisionedThroughputExceededException")
    assert dynamodb.asked == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"TableName": "users"}',
        b'{"TransactItems": 5}',
        b'{"TransactItems": [5, {"Put": 5}]}',
        b'{"RequestItems": 5}',
        b"{}",
        b"[]",
        b"{",
        b"\xff",
    ],
)
def test_a_fault_does_not_affect_requests_for_other_tables(
    faulty: FaultyDynamoDb, body: bytes
) -> None:
    put(faulty, dynamodb_down_share=1, dynamodb_only_table="rooms")
    assert ask(faulty, PREFIX, body)[0] == 200


APP = """
import os
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from chalice import Chalice
app = Chalice("x")
CLIENT = boto3.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))

@app.lambda_function()
def get(event, context):
    table = os.environ[event["table"]]
    try:
        CLIENT.get_item(TableName=table, Key={"id": {"S": "1"}})
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "ok"
"""
TABLE = {"partition_key": {"name": "id", "type": "S"}, "ttl_attribute": "expiresAt"}
CONFIG = {"app_name": "x", "local_gateway": {"aws": {"tables": "tables.json"}}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_project(tmp_path_factory.mktemp("project"), APP, json.dumps(CONFIG))
    (folder / "tables.json").write_text(json.dumps({"users": TABLE, "rooms": TABLE}))
    return folder


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[Server]:
    """Run a server with the embedded AWS that starts with DynamoDB down."""
    arguments = ("--no-reload", "--fault", "dynamodb_down_share=1")
    with serving(project, *arguments, has_aws=True) as running:
        running.app_name = "x"
        yield running


def test_faults_apply_from_the_start_until_they_are_deleted(server: Server) -> None:
    assert server.invoke("get", table="ROOMS_TABLE") == "InternalServerError"
    server.set_faults()
    assert server.invoke("get", table="ROOMS_TABLE") == "ok"


@pytest.mark.parametrize("table", ["rooms", "x-local-rooms"])
def test_only_one_table_is_throttled(server: Server, table: str) -> None:
    server.set_faults(dynamodb_throttled_share=1, dynamodb_only_table=table)
    rooms = server.invoke("get", table="ROOMS_TABLE")
    assert rooms == "ProvisionedThroughputExceededException"
    assert server.invoke("get", table="USERS_TABLE") == "ok"


def test_a_slow_request_takes_the_configured_time(server: Server) -> None:
    server.set_faults(dynamodb_slow_ms=200)
    started = time.monotonic()
    assert server.invoke("get", table="ROOMS_TABLE") == "ok"
    assert time.monotonic() - started >= 0.2


def test_an_unknown_table_is_a_bad_request(server: Server) -> None:
    faults = {"dynamodb_only_table": "nobody"}
    status, answer = server.request("PUT", "/_local_gateway/faults", faults)
    assert status == 400
    assert "rooms, users, x-local-rooms, x-local-users" in answer["message"]


def test_the_published_environment_bypasses_the_faults(server: Server) -> None:
    environment = server.request("GET", "/_local_gateway/environment")[1]["environment"]
    assert "AWS_ENDPOINT_URL_DYNAMODB" not in environment
    assert "/_local_gateway" not in environment["AWS_ENDPOINT_URL"]


def test_an_unknown_table_prevents_the_start(project: Path) -> None:
    arguments = ("--fault", "dynamodb_down_share=1", "--fault", "dynamodb_only_table=nobody")
    server = Server(project, *arguments, has_aws=True)
    assert server.process.wait(SECONDS) == 1
    server.out.join()
    assert "'nobody' doesn't exist" in server.err.join()


def test_the_middleware_supports_every_dynamodb_fault() -> None:
    faulty = FaultyDynamoDb(DynamoDb(), seed=1)
    put(faulty, **Faults(dynamodb_only_table="rooms").to_dict())
