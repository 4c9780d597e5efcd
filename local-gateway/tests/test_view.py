"""The tables that the view makes of metrics."""

from math import inf, nan

import pytest

from gateway_support.emf_lines import emf
from local_gateway.collector import Collector
from local_gateway.emf import Metric
from local_gateway.log import EVENTS
from local_gateway.panel import Table
from local_gateway.prometheus import Family, Reading, kind_of
from local_gateway.view import tables_of


def family(metric: Metric, *readings: Reading) -> Family:
    return Family(metric, kind_of(metric), list(readings))


def test_without_metrics_there_are_no_tables() -> None:
    assert tables_of([], "local") == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (nan, "-"),
        (0, "0"),
        (0.004, "0.00"),
        (0.25, "0.25"),
        (1.25, "1.2"),
        (12345.6, "12346"),
        (inf, "inf"),
    ],
)
def test_numbers_have_about_three_digits(value: float, expected: str) -> None:
    load = family(Metric("App", "Load", "None"), Reading((), value, 1, (), ()))
    assert tables_of([load], "local")[0].rows == (("Load", expected),)


def test_each_kind_has_a_table_without_the_stage() -> None:
    reading = Reading((("Stage", "local"), ("Code", "A")), 7, 3, (1, 2, nan), (0.5, 0.1))
    events = Reading((("Route", "$connect"), ("Outcome", "200")), 4, 4, (), (0.2, 0))
    made = tables_of(
        [
            family(Metric("App", "Errors", "Count"), reading),
            family(Metric("App", "Wait", "Milliseconds"), reading),
            family(Metric("App", "Load", "None"), reading),
            family(EVENTS, events),
        ],
        "local",
    )
    rates = ("/s 10s", "/s 60s")
    assert made == [
        Table("events", ("", "total", *rates), (("$connect 200", "4", "0.20", "0"),)),
        Table(
            "last 5 min",
            ("", "unit", "p50", "p95", "p99", rates[0]),
            (("Wait A", "ms", "1", "2", "-", "0.50"),),
        ),
        Table("counters", ("", "total", *rates), (("Errors A", "7", "0.50", "0.10"),)),
        Table("gauges", ("", "now"), (("Load A", "7"),)),
    ]


def test_a_collectors_metrics_can_be_shown() -> None:
    collected = Collector()
    collected.add_line(emf({"Errors": 1}, "Count", [["Stage"], ["Stage", "Code"]], Code="A"))
    collected.add_line(emf({"Wait": 3}, "Milliseconds"))
    titles = [table.title for table in tables_of(collected.read(), "local")]
    assert titles == ["last 5 min", "counters"]
