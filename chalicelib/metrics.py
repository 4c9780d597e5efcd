"""Metrics: their names and units, and how they are written for CloudWatch. Pure.

CloudWatch reads them from the log, where they cost a function no request of its own. Each is kept
for the stage as a whole and, where METRICS says so, also by one word from a short list: CloudWatch
takes every combination of dimensions for a metric of its own, and has it paid for.

Source: "Specification: Embedded metric format", Amazon CloudWatch User Guide.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

NAMESPACE: Final = "BroadcastSessions"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's unit in CloudWatch's words, and by what it is split, if it is.

    A gauge has no unit: what was counted at one time is not to be added to what was at another.
    """

    unit: str
    by: str | None = None


METRICS: Final[Mapping[str, Metric]] = {
    "SessionCreationLatency": Metric("Milliseconds"),
    "ListenerJoinLatency": Metric("Milliseconds"),
    "HeartbeatLatency": Metric("Milliseconds"),
    "DisconnectLatency": Metric("Milliseconds"),
    "ActiveSessions": Metric("None"),
    "TotalListeners": Metric("None"),
    "ConnectionErrors": Metric("Count", by="Code"),
    "RateLimitExceeded": Metric("Count", by="Operation"),
    "AuthorizationFailures": Metric("Count", by="Reason"),
    "FanoutRecipients": Metric("Count"),
    "FanoutGone": Metric("Count"),
    "FanoutFailed": Metric("Count"),
    "FanoutDuration": Metric("Milliseconds"),
    "RefreshesCompleted": Metric("Count"),
    "RefreshesFailed": Metric("Count"),
    "SessionsEnded": Metric("Count", by="Reason"),
    "CircuitOpen": Metric("Count"),
    "SweepRepairs": Metric("Count"),
    "ParticipantsLost": Metric("Count"),
}

LATENCIES: Final = {
    "createSession": "SessionCreationLatency",
    "joinSession": "ListenerJoinLatency",
    "heartbeat": "HeartbeatLatency",
    "disconnect": "DisconnectLatency",
}
"""The metric of an operation's latency, without deliberate waits, where the operation succeeds."""

OUR_FAILURES: Final = frozenset({"SERVICE_UNAVAILABLE", "INTERNAL_ERROR"})
"""Codes by which a refresh has failed through no fault of the client's."""


def of_event(operation: str, code: str, latency_ms: float) -> Iterator[tuple[str, float, str]]:
    """Say what an event of a client's counts for: metric, value, and what it is split by."""
    is_done = code == "OK"
    if is_done and operation in LATENCIES:
        yield LATENCIES[operation], latency_ms, ""
    if is_done and operation == "refreshConnection":
        yield "RefreshesCompleted", 1, ""
    if operation == "refreshConnection" and code in OUR_FAILURES:
        yield "RefreshesFailed", 1, ""
    if not is_done:
        yield "ConnectionErrors", 1, code
    if code == "RATE_LIMIT_EXCEEDED":
        yield "RateLimitExceeded", 1, operation


def document(
    values: Mapping[str, float], stage: str, timestamp_ms: int, split_by: str = ""
) -> dict[str, Any]:
    """Write metrics of one moment; what is no finite number is left out.

    `split_by` is the word by which those are split that METRICS has split.
    """
    numbers = {name: value for name, value in values.items() if isfinite(value)}
    written: dict[str, Any] = {"Stage": stage, **numbers}
    directives = []
    for name in numbers:
        metric = METRICS[name]
        dimensions = [["Stage"]]
        if metric.by is not None:
            dimensions.append(["Stage", metric.by])
            written[metric.by] = split_by
        directives.append(
            {
                "Namespace": NAMESPACE,
                "Dimensions": dimensions,
                "Metrics": [{"Name": name, "Unit": metric.unit}],
            }
        )
    return {"_aws": {"Timestamp": timestamp_ms, "CloudWatchMetrics": directives}, **written}
