"""Metrics in the format that CloudWatch extracts from the log."""

import json
import math

import pytest

from chalicelib.commands import find_action
from chalicelib.errors import ServiceError
from chalicelib.metrics import LATENCIES, METRICS, NAMESPACE, OUR_FAILURES, document, of_event
from local_gateway.emf import Metric, parse

UNITS = {"Milliseconds", "Count", "None"}
"""Units from CloudWatch. Source: MetricDatum, Amazon CloudWatch API Reference."""


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_left_out(value: float) -> None:
    written = document({"FanoutGone": value, "FanoutFailed": 2}, "dev", 1)
    assert "FanoutGone" not in written
    assert [
        metric["Name"]
        for directive in written["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    ] == ["FanoutFailed"]


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(KeyError):
        document({"Unheard": 1}, "dev", 1)


def test_a_metric_has_the_stage_as_dimension() -> None:
    assert document({"HeartbeatLatency": 1.5}, "dev", 1_800_000_000_000) == {
        "_aws": {
            "Timestamp": 1_800_000_000_000,
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [["Stage"]],
                    "Metrics": [{"Name": "HeartbeatLatency", "Unit": "Milliseconds"}],
                }
            ],
        },
        "Stage": "dev",
        "HeartbeatLatency": 1.5,
    }


def test_a_split_metric_has_a_second_dimension() -> None:
    written = document({"ConnectionErrors": 1}, "dev", 1, "CONFLICT")
    (directive,) = written["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["Stage"], ["Stage", "Code"]]
    assert written["Code"] == "CONFLICT"


@pytest.mark.parametrize("name", METRICS)
def test_each_dimension_is_a_text_field_of_the_document(name: str) -> None:
    """Otherwise CloudWatch drops the metric without an error."""
    written = document({name: 1}, "dev", 1, "word")
    (directive,) = written["_aws"]["CloudWatchMetrics"]
    for dimensions in directive["Dimensions"]:
        assert all(isinstance(written[each], str) for each in dimensions)
    assert METRICS[name].unit in UNITS


@pytest.mark.parametrize(("operation", "latency"), LATENCIES.items())
def test_a_success_is_measured_and_a_refusal_is_counted(operation: str, latency: str) -> None:
    assert list(of_event(operation, "OK", 12.5)) == [(latency, 12.5, "")]
    assert list(of_event(operation, "CONFLICT", 12.5)) == [("ConnectionErrors", 1, "CONFLICT")]


def test_an_exceeded_rate_limit_is_counted_by_operation() -> None:
    assert list(of_event("joinSession", "RATE_LIMIT_EXCEEDED", 1)) == [
        ("ConnectionErrors", 1, "RATE_LIMIT_EXCEEDED"),
        ("RateLimitExceeded", 1, "joinSession"),
    ]


@pytest.mark.parametrize("code", [error.code for error in ServiceError.__subclasses__()])
def test_only_server_errors_count_as_failed_refreshes(code: str) -> None:
    counted = {name for name, _, _ in of_event("refreshConnection", code, 1)}
    assert ("RefreshesFailed" in counted) == (code in OUR_FAILURES)
    assert "RefreshesCompleted" not in counted


def test_a_completed_refresh_is_counted() -> None:
    assert list(of_event("refreshConnection", "OK", 1)) == [("RefreshesCompleted", 1, "")]


def test_the_server_error_codes_exist() -> None:
    assert {error.code for error in ServiceError.__subclasses__()} >= OUR_FAILURES
    assert all(find_action({"action": name}) or name == "disconnect" for name in LATENCIES)


@pytest.mark.parametrize("name", METRICS)
def test_the_local_gateway_reads_a_metric(name: str) -> None:
    metric = METRICS[name]
    (point,) = parse(json.dumps(document({name: 1}, "local", 1, "X")))
    assert point.metric == Metric(NAMESPACE, name, metric.unit)
    assert dict(point.labels) == {"Stage": "local"} | ({metric.by: "X"} if metric.by else {})
