"""The content of the live view."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from math import isinf, isnan
from typing import Final

from local_gateway.collector import RATE_SECONDS, SAMPLE_SECONDS
from local_gateway.gateway import Gateway
from local_gateway.log import EVENTS
from local_gateway.metrics_api import url_of
from local_gateway.panel import Panel, Table
from local_gateway.prometheus import QUANTILES, Family, Kind, Reading

_RATES: Final = tuple(f"/s {seconds}s" for seconds in RATE_SECONDS)
_SHORT_UNITS: Final = {"Microseconds": "us", "Milliseconds": "ms", "Seconds": "s", "Percent": "%"}


@dataclass(frozen=True, slots=True)
class View:
    """The content at one point in time, a title with two columns of tables."""

    title: str
    left: list[Table]
    right: list[Table]


class GatewayView:
    """The view of a running gateway. Thread-safe."""

    def __init__(self, gateway: Gateway, panel: Panel | None) -> None:
        """Start the displayed uptime.

        Args:
            gateway: The gateway.
            panel: The project's own tables.
        """
        self._gateway = gateway
        self._panel = panel
        self._started_at = time.monotonic()

    def __call__(self) -> View:
        """Return the current content."""
        gateway = self._gateway
        up = timedelta(seconds=int(time.monotonic() - self._started_at))
        title = f"up {up}, {len(gateway.open_connections)} connections, {url_of(gateway)}"
        measured = tables_of(gateway.collector.read(), gateway.api.stage)
        if self._panel is None:
            return View(title, measured, [])
        return View(title, self._panel.tables(), measured)


def tables_of(families: Iterable[Family], stage: str) -> list[Table]:
    """Return the non-empty tables among events, summaries, counters and gauges.

    Labels with the stage's name are omitted, because the gateway has only one stage.
    """
    every = list(families)
    own = [family for family in every if family.metric == EVENTS]
    counters = [family for family in every if family.kind is Kind.COUNTER and family not in own]
    summaries = [family for family in every if family.kind is Kind.SUMMARY]
    gauges = [family for family in every if family.kind is Kind.GAUGE]
    tables = [
        Table("events", ("", "total", *_RATES), _counter_rows(own, "")),
        Table(
            f"last {SAMPLE_SECONDS // 60} min",
            ("", "unit", *(f"p{share * 100:g}" for share in QUANTILES), _RATES[0]),
            tuple(chain.from_iterable(_summary_rows(each, stage) for each in summaries)),
        ),
        Table("counters", ("", "total", *_RATES), _counter_rows(counters, stage)),
        Table(
            "gauges",
            ("", "now"),
            tuple(
                (_name(family, reading, stage), _number(reading.value))
                for family in gauges
                for reading in family.readings
            ),
        ),
    ]
    return [table for table in tables if table.rows]


def _counter_rows(families: Iterable[Family], stage: str) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (_name(family, reading, stage), _number(reading.value), *map(_number, reading.rates))
        for family in families
        for reading in family.readings
    )


def _summary_rows(family: Family, stage: str) -> Iterable[tuple[str, ...]]:
    unit = _SHORT_UNITS.get(family.metric.unit, family.metric.unit)
    for reading in family.readings:
        quantiles = map(_number, reading.quantiles)
        yield _name(family, reading, stage), unit, *quantiles, _number(reading.rates[0])


def _name(family: Family, reading: Reading, stage: str) -> str:
    own = [] if family.metric == EVENTS else [family.metric.name]
    return " ".join([*own, *(value for _, value in reading.labels if value != stage)])


def _number(value: float) -> str:
    """Format a number with about three significant digits."""
    if isnan(value):
        return "-"
    if isinf(value) or value == int(value) or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"
