"""UpdateItem without boto3, against a small HTTP server."""

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from chalicelib.errors import ServiceUnavailable
from chalicelib.light_dynamodb import update_item
from chalicelib.rate_limits import RateLimits
from chalicelib.signed_http import SignedClient
from chalicelib.signing import Credentials
from tests.unit.fakes import ADDRESS, Clock
from tests.unit.test_rate_limits import SETTINGS

WAIT_SECONDS = 10


@dataclass
class Table:
    """What DynamoDB answers, and what it was asked."""

    status: int = 200
    body: str = '{"Attributes": {"refused": {"N": "1"}}}'
    asked: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)


class Server(HTTPServer):
    def __init__(self, table: Table) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.table = table


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.table.asked.append((headers, json.loads(body)))
        answer = self.server.table.body.encode()
        self.send_response(self.server.table.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def table() -> Table:
    return Table()


def client_of(url: str) -> SignedClient:
    return SignedClient(
        url,
        "dynamodb",
        "eu-west-1",
        lambda: Credentials("AKIDEXAMPLE", "secret", "session-token"),
        connect_timeout_seconds=1,
        read_timeout_seconds=1,
    )


@pytest.fixture
def client(table: Table) -> Iterator[SignedClient]:
    with Server(table) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        client = client_of(f"http://127.0.0.1:{server.server_port}")
        yield client
        client.close()
        server.shutdown()
        thread.join(WAIT_SECONDS)


@pytest.mark.parametrize("status", [400, 403, 500, 503])
def test_any_answer_but_a_success_is_unavailable_for_now(
    client: SignedClient, table: Table, status: int
) -> None:
    table.status, table.body = status, '{"__type": "ThrottlingException"}'
    with pytest.raises(ServiceUnavailable) as refusal:
        update_item(client)(TableName="limits")
    assert refusal.value.retry_after_seconds == 2


def test_no_answer_is_unavailable_for_now() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ServiceUnavailable):
        update_item(client_of(f"http://127.0.0.1:{port}"))(TableName="limits")


def test_the_request_is_dynamodbs_own_and_signed(client: SignedClient, table: Table) -> None:
    request = {"TableName": "limits", "Key": {"identifier": {"S": "x"}}}
    answer = update_item(client)(**request)
    assert answer == {"Attributes": {"refused": {"N": "1"}}}
    ((headers, asked),) = table.asked
    assert asked == request
    assert headers["x-amz-target"] == "DynamoDB_20120810.UpdateItem"
    assert headers["content-type"] == "application/x-amz-json-1.0"
    assert headers["x-amz-security-token"] == "session-token"
    assert "/eu-west-1/dynamodb/aws4_request" in headers["authorization"]


def test_a_bad_token_is_counted_over_it(client: SignedClient, table: Table, clock: Clock) -> None:
    limits = RateLimits(update_item(client), SETTINGS, clock)
    assert limits.count_refusal(ADDRESS) is None
    table.body = '{"Attributes": {"refused": {"N": "21"}}}'
    assert limits.count_refusal(ADDRESS) == 60
    assert ADDRESS not in json.dumps(table.asked)


def test_a_bad_token_that_cannot_be_counted_is_refused_all_the_same(
    client: SignedClient, table: Table, clock: Clock
) -> None:
    table.status = 500
    assert RateLimits(update_item(client), SETTINGS, clock).count_refusal(ADDRESS) is None
