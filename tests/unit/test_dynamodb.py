"""The DynamoDB client: requests, answers and retries, compared with botocore."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from chalicelib.aws.circuit import FAILURES_TO_OPEN
from chalicelib.aws.dynamodb import ConditionFailed, DynamoDB, Refused, TransactionCancelled
from chalicelib.aws.http import MAX_IDLE_SECONDS, SignedClient
from chalicelib.aws.retries import ATTEMPTS, Retries
from chalicelib.aws.signing import Credentials
from chalicelib.aws.wire import Answer, Unreachable
from chalicelib.errors import ServiceUnavailable
from chalicelib.rate_limits import RateLimits
from chalicelib.store.stores import build_stores
from tests.unit.fakes import ADDRESS, TABLES, Clock, PlayedTransport, refused, scan
from tests.unit.test_rate_limits import CALLER, SETTINGS

WAIT_SECONDS = 10
THREADS = 8
ROUNDS = 15


class Table(ThreadingHTTPServer):
    """A server that counts requests, and resets idle connections as a NAT gateway does."""

    daemon_threads = True
    request_queue_size = 2 * THREADS

    def __init__(self, clock: Clock) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.clock = clock
        self.lock = threading.Lock()
        self.count = self.connections = self.resets = 0
        self.canned: tuple[int, str, bytes] | None = None
        self.requests: list[tuple[dict[str, str], Any]] = []

    def answer(self) -> tuple[int, str, bytes]:
        with self.lock:
            self.count += 1
            counted = {"Attributes": {"count": {"N": str(self.count)}}}
        return self.canned or (200, "application/x-amz-json-1.0", json.dumps(counted).encode())


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
        self.server.requests.append(
            (
                {name.lower(): value for name, value in self.headers.items()},
                json.loads(self.rfile.read(int(self.headers["Content-Length"]))),
            )
        )
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
def client(table: Table, clock: Clock) -> Iterator[SignedClient]:
    client = SignedClient(
        f"http://127.0.0.1:{table.server_port}",
        "dynamodb",
        "eu-west-1",
        lambda: Credentials("AKIDEXAMPLE", "secret", "session-token"),
        connect_timeout_seconds=WAIT_SECONDS,
        read_timeout_seconds=WAIT_SECONDS,
        clock=clock,
    )
    yield client
    client.close()


@pytest.fixture
def increment(client: SignedClient) -> Increment:
    """Return a counter update that is not repeatable, and that returns the new count."""
    dynamodb, key = DynamoDB(client, Retries("store")), {"sessionId": {"S": "x"}}

    def write() -> int:
        attributes = dynamodb.update_item(TableName="sessions", Key=key, is_repeatable=False)
        return int(attributes["count"]["N"])

    return write


def test_a_request_has_dynamodbs_format_and_a_signature(table: Table, client: SignedClient) -> None:
    request = {"TableName": "limits", "Key": {"identifier": {"S": "x"}}}
    assert DynamoDB(client, Retries("x")).update_item(**request) == {"count": {"N": "1"}}
    ((headers, sent),) = table.requests
    assert sent == request
    assert headers["x-amz-target"] == "DynamoDB_20120810.UpdateItem"
    assert headers["content-type"] == "application/x-amz-json-1.0"
    assert headers["x-amz-security-token"] == "session-token"
    assert "/eu-west-1/dynamodb/aws4_request" in headers["authorization"]


def test_a_write_does_not_use_a_connection_idle_for_twenty_seconds(
    table: Table, increment: Increment, clock: Clock
) -> None:
    for number in range(1, 6):
        assert increment() == number
        clock.now += MAX_IDLE_SECONDS
    assert (table.count, table.connections, table.resets) == (5, 5, 0)


def test_a_connection_that_was_idle_for_less_than_twenty_seconds_is_reused(
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


def test_idle_connections_are_closed_while_another_is_in_use(
    table: Table, increment: Increment, clock: Clock
) -> None:
    assert len(run_at_once(increment, THREADS)) == THREADS
    for _ in range(3):
        clock.now += MAX_IDLE_SECONDS / 2
        increment()
    assert len(run_at_once(increment, THREADS)) == THREADS
    assert table.resets == 0


def test_threads_that_share_a_client_write_exactly_once(
    table: Table, increment: Increment, clock: Clock
) -> None:
    counts: list[int] = []
    for _ in range(ROUNDS):
        counts += run_at_once(increment, THREADS)
        clock.now += MAX_IDLE_SECONDS
    assert sorted(counts) == list(range(1, THREADS * ROUNDS + 1))
    assert (table.count, table.resets) == (THREADS * ROUNDS, 0)


HTML = b"<!DOCTYPE html><html><body>Bad Connections</body></html>"
BODIES = [
    b"<html><body><b>Http/1.1 Service Unavailable</b></body></html>",
    HTML,
    b"\xff\xfe",
    b"",
    b"{}",
    b'{"message": null}',
    b'{"__type": 7}',
    b'{"__type": "ThrottlingException"}',
    b'{"__type": "ConditionalCheckFailedException"}',
    b"[]",
    b"null",
]


def patient_retries(clock: Clock) -> Retries:
    """Return retries whose waits are as long as possible and advance the clock."""

    def sleep(seconds: float) -> None:
        clock.now += seconds

    return Retries("store", clock, sleep, uniform=lambda _low, high: high)


def update(transport: PlayedTransport, clock: Clock, **rest: Any) -> Any:
    return DynamoDB(transport, patient_retries(clock)).update_item(TableName="sessions", **rest)


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599])
@pytest.mark.parametrize("body", BODIES)
def test_a_5xx_is_unavailable_and_opens_the_circuit(clock: Clock, status: int, body: bytes) -> None:
    transport = PlayedTransport(Answer(status, body, {}))
    dynamodb = DynamoDB(transport, patient_retries(clock))
    for _ in range(FAILURES_TO_OPEN + 1):
        with pytest.raises(ServiceUnavailable):
            dynamodb.get_item(TableName="sessions", Key={})
    assert len(transport.requests) == FAILURES_TO_OPEN * ATTEMPTS


@pytest.mark.parametrize("body", [b"", HTML, b"[]", b"null", b'{"Attributes": ', b"[" * 100_000])
def test_an_invalid_success_is_unavailable(clock: Clock, body: bytes) -> None:
    with pytest.raises(ServiceUnavailable):
        update(PlayedTransport(Answer(200, body, {})), clock)


FAILED = [
    *(refused(code) for code in ("ServiceUnavailable", "ServiceUnavailableException")),
    Answer(500, b"", {}),
    Unreachable("reset", was_sent=True),
    Unreachable("late", was_sent=True, is_timeout=True),
]


@pytest.mark.parametrize("end", FAILED, ids=repr)
def test_a_failed_request_is_retried_once_only_if_it_is_repeatable(
    clock: Clock, end: Answer | Unreachable
) -> None:
    transport = PlayedTransport(end, Answer(200, b'{"Attributes": {}}', {}))
    assert update(transport, clock) == {}
    assert len(transport.requests) == ATTEMPTS
    transport = PlayedTransport(end, Answer(200, b"{}", {}))
    with pytest.raises(ServiceUnavailable):
        update(transport, clock, is_repeatable=False)
    assert len(transport.requests) == 1


def test_an_unsent_request_is_always_retried(clock: Clock) -> None:
    end = Unreachable("refused", was_sent=False)
    transport = PlayedTransport(end, Answer(200, b"{}", {}))
    assert update(transport, clock, is_repeatable=False) == {}


@pytest.mark.parametrize(
    "end",
    [
        *(
            refused(code)
            for code in (
                "ProvisionedThroughputExceededException",
                "RequestLimitExceeded",
                "ThrottlingException",
                "TransactionConflictException",
                "TransactionInProgressException",
            )
        ),
        *(
            refused("TransactionCanceledException", CancellationReasons=[{"Code": code}, other])
            for code in ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")
            for other in ({"Code": "None"}, {})
        ),
    ],
    ids=lambda end: end.body.decode(),
)
def test_a_throttled_request_is_retried_even_if_it_is_not_repeatable(
    clock: Clock, end: Answer
) -> None:
    transport = PlayedTransport(end, end, end, Answer(200, b"{}", {}))
    assert update(transport, clock, is_repeatable=False) == {}
    assert len(transport.requests) == 4


@pytest.mark.parametrize("other", ["TransactionConflict", "ThrottlingError", "None"])
def test_a_transaction_whose_condition_failed_is_not_retried(clock: Clock, other: str) -> None:
    item = {"connectionId": {"S": "a="}}
    reasons = [{"Code": other}, {"Code": "ConditionalCheckFailed", "Item": item}]
    end = refused("TransactionCanceledException", CancellationReasons=reasons)
    transport = PlayedTransport(end)
    with pytest.raises(TransactionCancelled) as cancelled:
        DynamoDB(transport, patient_retries(clock)).transact_write_items([])
    assert cancelled.value.reasons == reasons
    assert len(transport.requests) == 1


def test_a_retried_transaction_has_the_same_token(clock: Clock) -> None:
    transport = PlayedTransport(Answer(500, b"", {}), Answer(200, b"{}", {}))
    dynamodb = DynamoDB(transport, patient_retries(clock))
    dynamodb.transact_write_items([])
    dynamodb.transact_write_items([])
    first, again, other = (request["ClientRequestToken"] for _, request in transport.requests)
    assert first == again != other


def test_a_failed_condition_returns_the_stored_item(clock: Clock) -> None:
    item = {"sessionId": {"S": "golden-eagle-427"}}
    for shown in ({"Item": item}, {}):
        with pytest.raises(ConditionFailed) as failed:
            update(PlayedTransport(refused("ConditionalCheckFailedException", **shown)), clock)
        assert failed.value.item == shown.get("Item", {})


MODEL = boto3.client("dynamodb", region_name="us-east-1").meta.service_model

ITEM = {
    "sessionId": {"S": 'golden "eagle" \\ ü€\U0001f600\x7f\n'},
    "listenerCount": {"N": "-12345678901234567890.5"},
    "isPaused": {"BOOL": False},
    "speaker": {"NULL": True},
    "languages": {"M": {"es": {"N": "0"}, "zh-TW": {"M": {}}}},
    "times": {"L": [{"N": "1"}, {"S": ""}, {"L": []}]},
    "tags": {"SS": ["b", "a"]},
}
"""An item with each type except binary, which the application does not store."""

KEY = {"TableName": "sessions", "Key": {"sessionId": ITEM["sessionId"]}}
QUERY = {
    "TableName": "sessions",
    "KeyConditionExpression": "sessionId = :s",
    "ExpressionAttributeValues": {":s": ITEM["sessionId"]},
    "ExclusiveStartKey": ITEM,
}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("GetItem", {**KEY, "ConsistentRead": True}),
    ("PutItem", {"TableName": "sessions", "Item": ITEM}),
    ("UpdateItem", {**KEY, "ExpressionAttributeValues": {":all": {"M": ITEM}}}),
    ("DeleteItem", {**KEY, "ReturnValues": "ALL_OLD"}),
    ("Query", QUERY),
    ("Scan", {"TableName": "sessions", "Limit": 25, "ExclusiveStartKey": ITEM}),
    ("BatchGetItem", {"RequestItems": {"sessions": {"Keys": [KEY["Key"]]}}}),
    ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "sessions", "Item": ITEM}}]}),
]


@pytest.mark.parametrize(("operation", "parameters"), REQUESTS, ids=[name for name, _ in REQUESTS])
def test_a_request_is_encoded_as_by_botocore(
    table: Table, client: SignedClient, operation: str, parameters: dict[str, Any]
) -> None:
    table.canned = (200, "application/x-amz-json-1.0", b'{"Items": []}')
    dynamodb = DynamoDB(client, Retries("x"))
    if operation == "TransactWriteItems":
        dynamodb.transact_write_items(parameters["TransactItems"])
    else:
        answer = getattr(dynamodb, xform_name(operation))(**parameters)
        list(answer or [])
    ((headers, sent),) = table.requests
    if operation == "TransactWriteItems":
        parameters = {**parameters, "ClientRequestToken": sent["ClientRequestToken"]}
    theirs = create_serializer("json").serialize_to_request(
        parameters, MODEL.operation_model(operation)
    )
    assert sent == json.loads(theirs["body"])
    for name, value in theirs["headers"].items():
        assert headers[name.lower()] == value


def test_an_item_is_decoded_as_by_botocore(clock: Clock) -> None:
    answer = Answer(200, json.dumps({"Item": ITEM}).encode(), {})
    theirs = create_parser("json").parse(
        {"status_code": 200, "headers": {}, "body": answer.body},
        MODEL.operation_model("GetItem").output_shape,
    )
    item = DynamoDB(PlayedTransport(answer), patient_retries(clock)).get_item(
        TableName="sessions", Key={}
    )
    assert item == theirs["Item"] == ITEM


@pytest.mark.parametrize("code", sorted(shape.name for shape in MODEL.error_shapes))
def test_every_error_of_the_model_has_the_same_code_as_in_botocore(clock: Clock, code: str) -> None:
    answer = refused(code)
    parsed = create_parser("json").parse(
        {"status_code": 400, "headers": {}, "body": answer.body},
        MODEL.operation_model("UpdateItem").output_shape,
    )
    with pytest.raises((Refused, ServiceUnavailable)) as error:
        update(PlayedTransport(answer), clock)
    if isinstance(error.value, Refused):
        assert error.value.code == parsed["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(403, b"<html></html>", {}), "status 403"),
        (Answer(400, b'{"__type": "com.amazon.coral.service#AccessDeniedException"}', {}), None),
        (Answer(400, b'{"__type": "AccessDeniedException"}', {}), None),
    ],
)
def test_any_other_refusal_has_the_code_of_its_answer(
    clock: Clock, answer: Answer, code: str | None
) -> None:
    with pytest.raises(Refused) as refusal:
        update(PlayedTransport(answer), clock)
    assert refusal.value.code == (code or "AccessDeniedException")
    assert refusal.value.operation == "UpdateItem"


def test_a_counter_update_without_an_answer_is_not_retried(
    dynamodb: Any, clock: Clock, session_id: str
) -> None:
    def lose(_operation: str, _answer: dict[str, Any]) -> None:
        raise Unreachable("late", was_sent=True)

    dynamodb.transport.on_answer.append(lose)
    stores = build_stores(dynamodb, TABLES, 600, clock)
    with pytest.raises(ServiceUnavailable):
        stores.seats.take(session_id, "es", None, 3)
    dynamodb.transport.on_answer.clear()
    (session,) = scan(dynamodb, "sessions")
    assert session["listenerCount"] == {"N": "1"}


def test_clients_are_not_limited_while_dynamodb_answers_503(clock: Clock) -> None:
    transport = PlayedTransport(Answer(503, HTML, {}))
    limits = RateLimits(DynamoDB(transport, patient_retries(clock)).update_item, SETTINGS, clock)
    for _ in range(FAILURES_TO_OPEN + 1):
        limits.count_connection(CALLER)
    limits.count_refused_token(ADDRESS)
    assert len(transport.requests) == FAILURES_TO_OPEN * ATTEMPTS
