"""The duration and CPU time of a caption to a hall, with the application's own code.

DynamoDB is a model that answers each request after a fixed time, and @connections is another
process. All posts are real HTTP.
"""

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from bench import report
from bench.report import Row, Target
from benchmarks.posts import LATENCY_MS, RECEIVERS, Posters, posters_of
from benchmarks.servers import connections_server
from chalicelib.aws.dynamodb import DynamoDB
from chalicelib.aws.retries import Retries
from chalicelib.aws.wire import Answer
from chalicelib.models import Caption, QualityTier, Session
from chalicelib.notices import Notices
from chalicelib.publishing import Publishing
from chalicelib.store.items import LAST_NUMBER, encode_session, number
from chalicelib.store.stores import build_stores
from chalicelib.table_names import TableNames

ROUNDS: Final = 15
DYNAMODB_SECONDS: Final = 0.005
"""A model. Source: Amazon DynamoDB Developer Guide ("single-digit millisecond")."""

CAPTION: Final = Caption(
    "f3b0c442-98fc-4c14-9afb-f4c8996fb924", "Buenos días y bienvenidos a todos.", 1_800_000_000_000
)


def measure() -> list[Row]:
    """Measure and print.

    Raises:
        NotStarted: The server didn't start.
    """
    report.print_section(f"A caption to {RECEIVERS} listeners")
    with connections_server(LATENCY_MS) as server, posters_of(server) as posters:
        rows = _measure_duration(posters)
    with connections_server(0) as server, posters_of(server) as posters:
        return rows + _measure_processor_time(posters)


def _measure_duration(posters: Posters) -> list[Row]:
    publishing = _publishing(posters, DYNAMODB_SECONDS)
    yardstick = Row("the posts alone")
    whole = Row(
        "from before the first write to after the last post",
        yardstick=yardstick,
        target=Target("median", "at most", 300),
    )
    for count in range(-1, ROUNDS):
        alone_ms = _timed(time.perf_counter, posters.fan_out, yardstick)
        whole_ms = _timed(time.perf_counter, lambda: _publish(publishing), whole)
        if count >= 0:
            yardstick.figures.append(alone_ms)
            whole.figures.append(whole_ms)
    title = (
        f"each post answered after {LATENCY_MS} ms, each request to DynamoDB after "
        f"{DYNAMODB_SECONDS * 1000:g} ms, ms ({ROUNDS} rounds)"
    )
    report.print_table(title, [yardstick, whole])
    return [yardstick, whole]


def _measure_processor_time(posters: Posters) -> list[Row]:
    publishing = _publishing(posters, 0)
    yardstick = Row("boto3's post_to_connection, one after another")
    caption = Row(
        "a caption, per listener", yardstick=yardstick, target=Target("ratio", "at most", 0.1)
    )
    for count in range(-1, ROUNDS):
        of_boto3 = _timed(time.process_time, posters.post_all_by_boto3, yardstick)
        of_caption = _timed(time.process_time, lambda: _publish(publishing), caption)
        if count >= 0:
            yardstick.figures.append(of_boto3 / RECEIVERS)
            caption.figures.append(of_caption / RECEIVERS)
    title = f"client's CPU per delivered caption, ms ({ROUNDS} rounds of {RECEIVERS})"
    report.print_table(title, [yardstick, caption])
    return [yardstick, caption]


def _timed(clock: Any, post_all: Any, row: Row) -> float:
    """Return the milliseconds of a call, and count the posts that failed."""
    started = clock()
    row.failed += post_all()
    return float(clock() - started) * 1000


def _publish(publishing: Publishing) -> int:
    """Publish a caption; return how many listeners it didn't reach."""
    published = publishing.publish("golden-eagle-427", "es", [CAPTION])
    return RECEIVERS - published.reached


def _publishing(posters: Posters, latency_seconds: float) -> Publishing:
    transport = AnsweringTransport(posters.connection_ids, latency_seconds)
    dynamodb = DynamoDB(transport, Retries("store"))
    names = TableNames("sessions", "connections", "captions")
    stores = build_stores(dynamodb, names, 600, time.time)
    unused: Any = None
    notices = Notices(stores, posters.connections, unused, unused, time.time, time.sleep)
    return Publishing(stores, notices, time.time)


class AnsweringTransport:
    """Answers the three requests of a caption like DynamoDB, after a fixed time."""

    def __init__(self, connection_ids: list[str], latency_seconds: float) -> None:
        """List these connections as the listeners."""
        self._latency_seconds = latency_seconds
        self._listing = json.dumps(
            {
                "Items": [
                    {
                        "connectionId": {"S": each},
                        "sessionId": {"S": "golden-eagle-427"},
                        "targetLanguage": {"S": "es"},
                    }
                    for each in connection_ids
                ]
            }
        ).encode()
        now = time.time()
        self._session = encode_session(
            Session(
                session_id="golden-eagle-427",
                speaker_user_id="user",
                speaker_connection_id="L0SM9cOFvHcCIhw=",
                source_language="en",
                quality_tier=QualityTier.STANDARD,
                invite_code="0123456789abcdef",
                created_at_ms=int(now * 1000),
                expires_at_seconds=int(now) + 7200,
                listener_count=RECEIVERS,
            )
        )

    def request(
        self,
        _method: str,
        _path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,  # noqa: ARG002
    ) -> Answer:
        """Answer a request."""
        time.sleep(self._latency_seconds)
        match (headers or {})["x-amz-target"].partition(".")[2]:
            case "UpdateItem":
                return Answer(200, self._give_number(json.loads(body)), {})
            case "Query":
                return Answer(200, self._listing, {})
            case _:
                return Answer(200, b"{}", {})

    def _give_number(self, request: Mapping[str, Any]) -> bytes:
        given = request["ExpressionAttributeNames"]["#given"]
        item = {
            **self._session,
            f"{LAST_NUMBER}es": number(1),
            given: number(1),
            "captionsUntil": number(int((time.time() + 0.8) * 1000)),
        }
        return json.dumps({"Attributes": item}).encode()
