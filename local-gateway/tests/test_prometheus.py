"""Prometheus' names and text format, checked with Prometheus' own parser."""

from math import nan

import pytest

from gateway_support.serving import parse_metrics
from local_gateway.emf import Metric
from local_gateway.exposition import encode
from local_gateway.prometheus import Family, Reading, kind_of, label_name, metric_name


def text_of(families: list[Family]) -> str:
    return encode(families).decode()


def family(metric: Metric, *readings: Reading) -> Family:
    return Family(metric, kind_of(metric), list(readings))


@pytest.mark.parametrize(
    ("namespace", "name", "unit", "expected"),
    [
        ("App", "%", "None", "app"),
        ("4", "2", "None", "_4_2"),
        ("é", "ü", "None", "_"),
        ("AWS/Lambda", "5xx-Errors", "Count", "aws_lambda_5xx_errors_total"),
        ("App", "HTTPStatus", "Count", "app_http_status_total"),
        ("App", "Read", "Kilobytes/Second", "app_read_kilobytes_second"),
        ("ChatRooms", "PingLatency", "Milliseconds", "chat_rooms_ping_latency_milliseconds"),
    ],
)
def test_metric_names_are_valid_in_prometheus(
    namespace: str, name: str, unit: str, expected: str
) -> None:
    metric = Metric(namespace, name, unit)
    assert metric_name(metric) == expected
    assert parse_metrics(text_of([family(metric, Reading((), 1, 1, (1, 1, 1), ()))]))


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [("Quantile", "quantile_"), ("__name__", "name"), ("1st", "_1st"), ("CloseCode", "close_code")],
)
def test_label_names_are_valid_in_prometheus(dimension: str, expected: str) -> None:
    assert label_name(dimension) == expected


@pytest.mark.parametrize(("value", "sent"), [('\\"\n,{}é\x00', '\\"\n,{}é\x00'), ("\udc80", "?")])
def test_a_label_has_its_value_without_lone_surrogates(value: str, sent: str) -> None:
    errors = Metric("App", "Errors", "Count")
    parsed = parse_metrics(text_of([family(errors, Reading((("Code", value),), 3, 1, (), ()))]))
    assert parsed == {f'app_errors_total{{code="{sent}"}}': 3}


def test_a_gauge_can_have_a_name_that_ends_in_total() -> None:
    text = text_of([family(Metric("App", "Total", "None"), Reading((), 1, 1, (), ()))])
    assert text.splitlines()[1:] == ["# TYPE app_total gauge", "app_total 1.0"]


def test_a_name_with_a_line_end_does_not_end_the_line() -> None:
    text = text_of([family(Metric("A\nb", 'c\\"', "None"), Reading((), 1, 1, (), ()))])
    assert text.count("\n") == 3
    assert parse_metrics(text) == {"a_b_c": 1}


def test_a_summary_has_quantiles_a_sum_and_a_count() -> None:
    wait = Metric("App", "Wait", "Milliseconds")
    text = text_of([family(wait, Reading((("Stage", "x"),), 12.5, 3, (4, 5, nan), ()))])
    assert text.splitlines() == [
        "# HELP app_wait_milliseconds Wait of App, in Milliseconds",
        "# TYPE app_wait_milliseconds summary",
        'app_wait_milliseconds{quantile="0.5",stage="x"} 4.0',
        'app_wait_milliseconds{quantile="0.95",stage="x"} 5.0',
        'app_wait_milliseconds{quantile="0.99",stage="x"} NaN',
        'app_wait_milliseconds_sum{stage="x"} 12.5',
        'app_wait_milliseconds_count{stage="x"} 3.0',
    ]
    assert len(parse_metrics(text)) == 5
