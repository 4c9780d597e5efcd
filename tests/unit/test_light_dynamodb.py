"""UpdateItem without boto3, against a small HTTP server."""

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from chalicelib.circuit import FAILURES_TO_OPEN, OPEN_SECONDS, CircuitBreaker
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


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("rateLimits", clock)


@pytest.mark.parametrize("status", [400, 403, 500, 502, 503, 504])
@pytest.mark.parametrize("body", ['{"__type": "ThrottlingException"}', "<html></html>", ""])
def test_any_answer_but_a_success_is_unavailable_for_now(
    client: SignedClient, table: Table, breaker: CircuitBreaker, status: int, body: str
) -> None:
    table.status, table.body = status, body
    with pytest.raises(ServiceUnavailable) as refusal:
        update_item(client, breaker)(TableName="limits")
    assert refusal.value.retry_after_seconds == 2


@pytest.mark.parametrize("body", ["", "<html></html>", "[]", "null", '{"Attributes": '])
def test_a_success_that_is_no_answer_of_dynamodbs_is_unavailable(
    client: SignedClient, table: Table, breaker: CircuitBreaker, body: str
) -> None:
    table.body = body
    with pytest.raises(ServiceUnavailable):
        update_item(client, breaker)(TableName="limits")


def test_no_answer_is_unavailable_for_now(breaker: CircuitBreaker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ServiceUnavailable):
        update_item(client_of(f"http://127.0.0.1:{port}"), breaker)(TableName="limits")


@pytest.mark.parametrize(("status", "is_open"), [(500, True), (599, True), (400, False)])
def test_a_failure_of_dynamodbs_counts_for_the_circuit_and_a_refusal_does_not(
    client: SignedClient, table: Table, breaker: CircuitBreaker, status: int, *, is_open: bool
) -> None:
    table.status = status
    for _ in range(FAILURES_TO_OPEN + 1):
        with pytest.raises(ServiceUnavailable):
            update_item(client, breaker)(TableName="limits")
    assert len(table.asked) == FAILURES_TO_OPEN + (not is_open)


def test_an_open_circuit_lets_one_request_try_after_five_seconds(
    client: SignedClient, table: Table, breaker: CircuitBreaker, clock: Clock
) -> None:
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed()
    with pytest.raises(ServiceUnavailable):
        update_item(client, breaker)(TableName="limits")
    clock.now += OPEN_SECONDS
    assert update_item(client, breaker)(TableName="limits")
    assert len(table.asked) == 1


def test_the_request_is_dynamodbs_own_and_signed(
    client: SignedClient, table: Table, breaker: CircuitBreaker
) -> None:
    request = {"TableName": "limits", "Key": {"identifier": {"S": "x"}}}
    answer = update_item(client, breaker)(**request)
    assert answer == {"Attributes": {"refused": {"N": "1"}}}
    ((headers, asked),) = table.asked
    assert asked == request
    assert headers["x-amz-target"] == "DynamoDB_20120810.UpdateItem"
    assert headers["content-type"] == "application/x-amz-json-1.0"
    assert headers["x-amz-security-token"] == "session-token"
    assert "/eu-west-1/dynamodb/aws4_request" in headers["authorization"]


def test_a_bad_token_is_counted_over_it(
    client: SignedClient, table: Table, breaker: CircuitBreaker, clock: Clock
) -> None:
    limits = RateLimits(update_item(client, breaker), SETTINGS, clock)
    limits.count_refused_token(ADDRESS)
    ((_, asked),) = table.asked
    assert asked["UpdateExpression"].startswith("ADD #refused :refused")
    assert ADDRESS not in json.dumps(table.asked)


def test_a_bad_token_that_cannot_be_counted_is_refused_all_the_same(
    client: SignedClient, table: Table, breaker: CircuitBreaker, clock: Clock
) -> None:
    table.status = 500
    RateLimits(update_item(client, breaker), SETTINGS, clock).count_refused_token(ADDRESS)
    assert table.asked
