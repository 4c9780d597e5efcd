"""boto3's DynamoDB client over real connections, which the server resets once they were idle."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config

from chalicelib.circuit import FAILURES_TO_OPEN
from chalicelib.dynamodb_client import make_client
from chalicelib.errors import ServiceUnavailable
from chalicelib.rate_limits import RateLimits
from chalicelib.resilience import Guard
from chalicelib.signed_http import MAX_IDLE_SECONDS
from tests.unit.fakes import Clock
from tests.unit.test_rate_limits import CALLER, SETTINGS

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
    client = make_client(session, config, clock)
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


def test_a_write_is_not_sent_over_a_connection_that_was_idle_for_twenty_seconds(
    table: Table, increment: Increment, clock: Clock
) -> None:
    for number in range(1, 6):
        assert increment() == number
        clock.now += MAX_IDLE_SECONDS
    assert (table.count, table.connections, table.resets) == (5, 5, 0)


def test_a_connection_that_was_idle_for_less_is_reused(
    table: Table, increment: Increment, clock: Clock
) -> None:
    for number in range(1, 6):
        assert increment() == number
        clock.now += MAX_IDLE_SECONDS - 0.1
    assert (table.count, table.connections) == (5, 1)


def test_connections_of_several_threads_are_reused_within_twenty_seconds(
    table: Table, increment: Increment, clock: Clock
) -> None:
    for _ in range(5):
        assert len(run_at_once(increment, THREADS)) == THREADS
        clock.now += (MAX_IDLE_SECONDS - 1) / 5
    assert table.connections <= THREADS


def run_at_once(increment: Increment, threads: int) -> list[int]:
    are_ready = threading.Barrier(threads, timeout=WAIT_SECONDS)
    counts: list[int] = []

    def write() -> None:
        are_ready.wait()
        counts.append(increment())

    started = [threading.Thread(target=write) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(WAIT_SECONDS)
    return counts


def test_of_many_connections_those_that_were_idle_are_dropped_while_one_is_busy(
    table: Table, increment: Increment, clock: Clock
) -> None:
    assert len(run_at_once(increment, THREADS)) == THREADS
    for _ in range(3):
        clock.now += MAX_IDLE_SECONDS / 2
        increment()
    assert len(run_at_once(increment, THREADS)) == THREADS
    assert table.resets == 0


def test_threads_that_share_a_client_lose_no_write_and_make_none_twice(
    table: Table, increment: Increment, clock: Clock
) -> None:
    counts: list[int] = []
    for _ in range(ROUNDS):
        counts += run_at_once(increment, THREADS)
        clock.now += MAX_IDLE_SECONDS
    assert sorted(counts) == list(range(1, THREADS * ROUNDS + 1))
    assert (table.count, table.resets) == (THREADS * ROUNDS, 0)


def test_a_request_whose_pool_another_thread_has_closed_is_sent(
    table: Table, client: Any, increment: Increment
) -> None:
    class ClosedInBetween(AWSPreparedRequest):
        """Closes the pool when botocore has it and has sent nothing yet, as urllib3 1.26 does."""

        @property
        def method(self) -> str:
            client._endpoint.http_session._manager.connection_from_url(self.url).close()
            client.close()
            return "POST"

    def close_in_between(request: AWSPreparedRequest, **_: Any) -> None:
        if not closed:
            request.__class__ = ClosedInBetween
            closed.append(True)

    closed: list[bool] = []
    client.meta.events.register("before-send.dynamodb", close_in_between)
    assert increment() == 1
    assert closed
    assert table.count == 1


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
        limits.count_connection(CALLER)
    assert table.count == FAILURES_TO_OPEN
