"""The collector's metrics, windows and limits."""

import threading

import pytest

from gateway_support.emf_lines import emf
from local_gateway import collector
from local_gateway.collector import Collector
from local_gateway.emf import Metric
from local_gateway.prometheus import Family, Kind, Reading

HITS = Metric("TestApp", "Hits", "Count")


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1000.5

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def collected(clock: Clock) -> Collector:
    return Collector(clock)


def only(collected: Collector) -> Reading:
    (family,) = collected.read()
    (reading,) = family.readings
    return reading


@pytest.mark.parametrize(
    "line",
    [
        "no metrics",
        emf({"Hits": -1}),
        emf({"Hits": [3, -1]}),
        emf({"Hits": 1, "Misses": -1}),
        emf({"Hits": 1}, "Count", [["Code", "code"]], Code="a", code="b"),
        emf({"Hits": 1, "hits": 1}),
        emf({"Hits": 1, "Load": "x"}),
        emf({"Events": 1}, namespace="LocalGateway"),
        emf({"OpenConnections": 1}, None, namespace="local-gateway"),
    ],
)
def test_a_rejected_line_adds_nothing(collected: Collector, line: str) -> None:
    assert not collected.add_line(line)
    assert collected.read() == []


def test_two_metrics_cannot_have_the_same_name(collected: Collector) -> None:
    assert collected.add_line(emf({"JoinTime": 1}, "Milliseconds"))
    assert not collected.add_line(emf({"Join-Time": 1}, "Milliseconds"))
    assert not collected.add_line(emf({"JoinTimeMillisecondsSum": 1}, "None"))
    assert [family.metric.name for family in collected.read()] == ["JoinTime"]


def test_no_series_is_created_beyond_the_limit_and_existing_ones_continue(
    collected: Collector,
) -> None:
    for number in range(collector.MAX_SERIES):
        assert collected.add_line(emf({"Hits": 1}, "Count", [["User"]], User=str(number)))
    assert not collected.add_line(emf({"Hits": 1}, "Count", [["User"]], User="one too many"))
    collected.count(HITS, (("User", "one too many"),))
    assert collected.add_line(emf({"Hits": 1}, "Count", [["User"]], User="0"))
    (family,) = collected.read()
    assert len(family.readings) == collector.MAX_SERIES
    assert sum(reading.value for reading in family.readings) == collector.MAX_SERIES + 1


def test_samples_are_limited_but_the_sum_includes_all_values(collected: Collector) -> None:
    for number in range(5 * collector.MAX_SAMPLES):
        assert collected.add_line(emf({"Wait": number}, "Milliseconds"))
    reading = only(collected)
    assert reading.count == 5 * collector.MAX_SAMPLES
    assert reading.value == sum(range(5 * collector.MAX_SAMPLES))
    assert min(reading.quantiles) >= 4 * collector.MAX_SAMPLES


def test_quantiles_exclude_old_values_but_counts_include_them(
    collected: Collector, clock: Clock
) -> None:
    collected.add_line(emf({"Wait": 1000}, "Milliseconds"))
    clock.now += collector.SAMPLE_SECONDS + 1
    reading = only(collected)
    assert (reading.count, reading.value) == (1, 1000)
    assert str(reading.quantiles) == "(nan, nan, nan)"
    collected.add_line(emf({"Wait": list(range(1, 101))}, "Milliseconds"))
    assert only(collected).quantiles == (50, 95, 99)


def test_a_rate_covers_the_full_seconds_before(collected: Collector, clock: Clock) -> None:
    collected.add_line(emf({"Hits": 30}))
    assert only(collected).rates == (0, 0)
    clock.now += 1
    assert only(collected).rates == (3, 0.5)
    clock.now += 10
    assert only(collected).rates == (0, 0.5)
    clock.now += 50
    assert only(collected).rates == (0, 0)
    assert only(collected).value == 30


def test_a_gauge_has_its_latest_value(collected: Collector) -> None:
    for value in (3, -1, 2):
        assert collected.add_line(emf({"Load": value}, "None"))
    assert only(collected).value == 2


def test_series_are_sorted_by_name(collected: Collector) -> None:
    for code in ("B", "A"):
        collected.add_line(emf({"Errors": 1}, "Count", [["Code"]], Code=code))
    collected.add_line(emf({"Calls": 1}))
    families = collected.read()
    assert [family.metric.name for family in families] == ["Calls", "Errors"]
    assert [reading.labels[0][1] for reading in families[1].readings] == ["A", "B"]
    assert isinstance(families[0], Family)
    assert families[0].kind is Kind.COUNTER


def test_no_value_is_lost_when_threads_write_and_read(collected: Collector) -> None:
    line = emf({"Hits": 1})
    threads = [
        threading.Thread(target=lambda: [collected.add_line(line) for _ in range(2000)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        collected.read()
    assert only(collected).value == 16_000
