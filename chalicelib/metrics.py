"""The metrics that the service writes, in CloudWatch's embedded metric format.

CloudWatch extracts metrics from the log, so a function needs no request to write them. Each metric
has the stage as a dimension. Some also have a second dimension with a short list of values, because
CloudWatch charges for each combination of values as a separate metric.

Source: "Specification: Embedded metric format", Amazon CloudWatch User Guide.
"""

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any, Final, NamedTuple

NAMESPACE: Final = "BroadcastSessions"
"""The namespace of all metrics."""


class Metric(NamedTuple):
    """A metric's definition.

    Attributes:
        unit: CloudWatch's name of the unit. A gauge has the unit "None", because adding up values
            of different times makes no sense.
        by: The second dimension, if there is one.
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
    "CaptionsPublished": Metric("Count"),
    "CaptionsDelivered": Metric("Count"),
    "CaptionLatency": Metric("Milliseconds"),
    "CaptionsMissed": Metric("Count"),
    "PipelineFailures": Metric("Count"),
    "CharactersTranslated": Metric("Count"),
    "TranslationFailures": Metric("Count"),
    "SpeechFailures": Metric("Count"),
}
"""All metrics by name."""

LATENCIES: Final = {
    "createSession": "SessionCreationLatency",
    "joinSession": "ListenerJoinLatency",
    "heartbeat": "HeartbeatLatency",
    "disconnect": "DisconnectLatency",
}
"""The latency metric of each measured operation.

Only successful operations count. Deliberate waits are left out.
"""

OUR_FAILURES: Final = frozenset({"SERVICE_UNAVAILABLE", "INTERNAL_ERROR"})
"""Error codes that mean that the service failed, not the client."""


def of_event(operation: str, code: str, latency_ms: float) -> Iterator[tuple[str, float, str]]:
    """Return the metrics for an event of a client.

    Args:
        operation: The action, or the event's name if there is no valid action.
        code: The error's code, or "OK".
        latency_ms: The duration without deliberate waits, in milliseconds.

    Yields:
        The name and value of each metric, and the value of its second dimension.
    """
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
    """Return the log document for metrics of one moment.

    Args:
        values: Values by the names of METRICS. Values that are not finite are left out.
        stage: The stage's name.
        timestamp_ms: The time in Unix milliseconds.
        split_by: The value of the second dimension of metrics that have one.
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
