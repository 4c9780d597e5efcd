"""boto3's DynamoDB client, against a server that fails."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.config import Config

from chalicelib.circuit import FAILURES_TO_OPEN
from chalicelib.dynamodb_client import make_client
from chalicelib.errors import ServiceUnavailable
from chalicelib.rate_limits import RateLimits
from chalicelib.resilience import Guard
from chalicelib.signed_http import MAX_IDLE_SECONDS
from tests.unit.fakes import ADDRESS, Clock
from tests.unit.test_rate_limits import SETTINGS

WAIT_SECONDS = 10
THREADS = 8
ROUNDS = 15


class Table(ThreadingHTTPServer):
    """Counts requests, and resets a connection that was idle, as a NAT gateway does."""

    daemon_threads = True

    def __init__(self, clock: Clock) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.clock = clock
        self.lock = threading.Lock()
        self.count = self.connections = self.resets = 0
        self.failure: tuple[int, str, bytes] | None = None

    def answer(self) -> tuple[int, str, bytes]:
        with self.lock:
            self.count += 1
            counted = {"Attributes": {"count": {"N": str(self.count)}}}
        return self.failure or (200, "application/x-amz-json-1.0", json.dumps(counted).encode())


class Handler(BaseHTTPRequestHandler):
    server: Table
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self.used_at = self.server.clock()
        with self.server.lock:
            self.server.connections += 1

    def do_POST(self) -> None:
        if self.server.clock() - self.used_at >= MAX_IDLE_SECONDS:
            with self.server.lock:
                self.server.resets += 1
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        self.rfile.read(int(self.headers["Content-Length"]))
        status, media_type, body = self.server.answer()
        self.used_at = self.server.clock()
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def table(clock: Clock) -> Iterator[Table]:
    with Table(clock) as table:
        thread = threading.Thread(target=table.serve_forever, args=(0.01,))
        thread.start()
        yield table
        table.shutdown()
        thread.join(WAIT_SECONDS)


Increment = Callable[[], int]


@pytest.fixture
def client(table: Table, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{table.server_port}")
    session = boto3.Session("test", "test", region_name="us-east-1")
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1}, max_pool_connections=THREADS
    )
    client = make_client(session, config)
    yield client
    client.close()


@pytest.fixture
def increment(client: Any) -> Increment:
    """A write that is tried only once, and what it has counted."""
    guard, key = Guard("store"), {"sessionId": {"S": "x"}}

    def write() -> int:
        answer = guard.run(lambda: client.update_item(TableName="sessions", Key=key))
        return int(answer["Attributes"]["count"]["N"])

    return write


HTML = b"<!DOCTYPE html><html><body>Bad Gateway</body></html>"
FAILURES = [
    ("text/html", b"<html><body><b>Http/1.1 Service Unavailable</b></body></html>"),
    ("text/html", HTML),
    ("text/html", b"\xff\xfe"),
    ("text/plain", b""),
    ("application/x-amz-json-1.0", b"{}"),
    ("application/x-amz-json-1.0", b'{"message": null}'),
    ("application/x-amz-json-1.0", b'{"__type": 7}'),
    ("application/x-amz-json-1.0", b'{"__type": "ThrottlingException"}'),
    ("application/x-amz-json-1.0", b'{"__type": "ConditionalCheckFailedException"}'),
    ("application/x-amz-json-1.0", b"[]"),
    ("application/x-amz-json-1.0", b"null"),
]


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599])
def test_an_answer_of_500_or_above_is_unavailable_and_opens_the_circuit(
    table: Table, client: Any, status: int
) -> None:
    for failure in FAILURES:
        table.failure, table.count = (status, *failure), 0
        guard = Guard("store")
        for _ in range(FAILURES_TO_OPEN + 1):
            with pytest.raises(ServiceUnavailable):
                guard.run(lambda: client.describe_table(TableName="sessions"))
        assert table.count == FAILURES_TO_OPEN


def test_what_cannot_be_counted_passes_while_dynamodb_answers_503(
    table: Table, client: Any, clock: Clock
) -> None:
    table.failure = (503, "text/html", HTML)
    guard = Guard("rateLimits")
    limits = RateLimits(
        lambda **request: guard.run(lambda: client.update_item(**request)), SETTINGS, clock
    )
    for _ in range(FAILURES_TO_OPEN + 1):
        limits.count_connection(ADDRESS)
    assert table.count == FAILURES_TO_OPEN
