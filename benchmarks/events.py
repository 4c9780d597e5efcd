"""The CPU time of an event, and the share of its log line and metrics.

DynamoDB's answers come without a socket. The handler is therefore cheaper than in Lambda, and the
share of the log larger.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from subprocess import DEVNULL, PIPE, Popen
from types import SimpleNamespace
from typing import Any

from bench import report
from bench.report import Row, Target
from chalicelib import telemetry
from chalicelib.assembly import build_dispatcher, build_use_cases
from chalicelib.aws.dynamodb import DynamoDB
from chalicelib.aws.retries import Retries
from chalicelib.aws.wire import Answer
from chalicelib.dispatch import Dispatcher
from chalicelib.limits import Graces, Limits
from chalicelib.pipeline import Pipeline
from chalicelib.rate_limits import RateLimits
from chalicelib.settings import read_rate_limits
from chalicelib.store.stores import build_stores
from chalicelib.table_names import TableNames

ROUNDS = 15
EVENTS = 1000
MANY_EVENTS = 10_000

EVENT = {
    "requestContext": {
        "connectionId": "L0SM9cOFvHcCIhw=",
        "connectedAt": 1_800_000_000_000,
        "requestId": "L0SM9ekRvHcF6jA=",
        "identity": {"sourceIp": "203.0.113.7"},
    },
    "body": json.dumps({"action": "heartbeat"}),
}

ANSWERS = {
    "UpdateItem": {
        "Attributes": {
            "connectionId": {"S": "L0SM9cOFvHcCIhw="},
            "sessionId": {"S": "golden-eagle-427"},
            "role": {"S": "listener"},
            "targetLanguage": {"S": "es"},
            "takenAt": {"N": "1900000000000"},
            "correlation": {"S": "L0SM9cOFvHcCIhw="},
            **{f"t{number}": {"N": str(60_000 * (9 - number))} for number in range(5)},
        }
    },
}


def measure() -> list[Row]:
    """Measure and print."""
    report.print_section("A listener's heartbeat in the handler: its CPU, and the share of the log")
    dispatcher = _dispatcher()
    whole = Row("the whole event, with its log line and metric")
    logged = Row(
        "its log line and metric alone",
        yardstick=whole,
        target=Target("ratio", "at most", 0.5),
    )
    many = Row(f"{MANY_EVENTS:,} events' lines, s", target=Target("median", "at most", 1))
    with _written_to_a_pipe():
        _check(dispatcher)
        for _ in range(ROUNDS):
            whole.figures.append(_cpu_ms(EVENTS, lambda: dispatcher.message(EVENT)))
            logged.figures.append(_cpu_ms(EVENTS, _log))
            many.figures.append(_cpu_ms(MANY_EVENTS, _log) * MANY_EVENTS / 1000)
    report.print_table(f"CPU per event, ms ({ROUNDS} rounds of {EVENTS})", [whole, logged])
    report.print_table(f"CPU of many events, s ({ROUNDS} rounds)", [many])
    return [whole, logged, many]


def _log() -> None:
    """Write the log line and metric of a listener's heartbeat."""
    with telemetry.handled(
        "message", connection_id="L0SM9cOFvHcCIhw=", request_id="L0SM9ekRvHcF6jA="
    ) as record:
        record.operation = "heartbeat"
        telemetry.follow("golden-eagle-427", "L0SM9cOFvHcCIhw=")


def _check(dispatcher: Dispatcher) -> None:
    answer = json.loads(dispatcher.message(EVENT)["body"])
    assert (answer["type"], answer["sessionId"]) == ("heartbeatAck", "golden-eagle-427"), answer


def _cpu_ms(times: int, work: Callable[[], object]) -> float:
    started = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started) * 1000 / times


@contextmanager
def _written_to_a_pipe() -> Iterator[None]:
    """Send the lines to another process, as Lambda does."""
    with (
        Popen(["cat"], stdin=PIPE, stdout=DEVNULL, text=True) as cat,
        redirect_stdout(cat.stdin),
    ):
        telemetry.configure("INFO", "dev", b"key")
        try:
            yield
        finally:
            for name in ("broadcast_sessions", "broadcast_sessions.metrics"):
                logging.getLogger(name).handlers = []


def _dispatcher() -> Dispatcher:
    dynamodb = DynamoDB(AnsweringTransport(), Retries("store"))
    limits = read_rate_limits({"RATE_LIMITS_TABLE": "limits", "HASH_KEY": "key"})
    rate_limits = RateLimits(dynamodb.update_item, limits, time.time)
    unused: Any = SimpleNamespace()
    use_cases = build_use_cases(
        build_stores(dynamodb, TableNames("sessions", "connections", "captions"), 600, time.time),
        unused,
        rate_limits,
        Limits(
            max_listeners=500,
            heartbeat_interval_seconds=30,
            heartbeat_settled_seconds=90,
            heartbeat_timeout_seconds=90,
            heartbeats_per_minute=2,
            session_max_duration_seconds=7200,
            refresh_after_seconds=1e9,
            warn_after_seconds=1e9,
            max_refused_commands=20,
            captions_per_minute=60,
        ),
        Graces(lost_seconds=60, closed_seconds=5),
        pipeline=Pipeline(unused, None, time.time),
        outcomes=unused,
        endpoint_url="https://api/stage",
        clock=time.time,
        new_session_id=str,
        new_invite_code=str,
    )
    return build_dispatcher(use_cases, rate_limits, unused, "https://api/stage", time.time)


class AnsweringTransport:
    """Returns a fixed answer to each request."""

    def request(
        self,
        _method: str,
        _path: str,
        _body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,  # noqa: ARG002
    ) -> Answer:
        """Return the answer to the operation in the headers."""
        operation = (headers or {})["x-amz-target"].partition(".")[2]
        return Answer(200, json.dumps(ANSWERS[operation]).encode(), {})
