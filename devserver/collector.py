"""What has been measured while the server runs: the application's metrics, and its own.

In memory alone, and bounded: MAX_SERIES series, and of each what lies within the windows below.
Windows are of real time, also where the application's clock runs faster. A reload changes nothing.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from devserver import emf
from devserver.emf import InvalidEmf, Labels, Metric, Point
from devserver.prometheus import (
    QUANTILES,
    Family,
    Kind,
    Reading,
    kind_of,
    label_name,
    sample_names,
)

MAX_SERIES: Final = 500
"""Combinations of a metric and its labels; lines that would make more are not taken."""

SAMPLE_SECONDS: Final = 300
"""The window of quantiles."""

MAX_SAMPLES: Final = 1000
"""How many of a series' latest values that window holds at most: 0.1 MB."""

RATE_SECONDS: Final = (10, 60)
"""The windows of rates: full seconds, without the one that is not over."""

_Key = tuple[Metric, Labels]


class _Series:
    """Values of one metric with the same labels. Not thread-safe."""

    __slots__ = ("_added", "_count", "_kind", "_samples", "_value")

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._value = 0.0
        self._count = 0
        self._added: deque[list[float]] = deque(maxlen=max(RATE_SECONDS) + 1)
        self._samples: deque[tuple[float, float]] = deque(maxlen=MAX_SAMPLES)

    def add(self, value: float, now: float) -> None:
        self._value = value if self._kind is Kind.GAUGE else self._value + value
        self._count += 1
        second, amount = math.floor(now), value if self._kind is Kind.COUNTER else 1
        if self._added and self._added[-1][0] == second:
            self._added[-1][1] += amount
        else:
            self._added.append([second, amount])
        if self._kind is Kind.SUMMARY:
            self._samples.append((now, value))

    def read(self, labels: Labels, now: float) -> Reading:
        while self._samples and self._samples[0][0] < now - SAMPLE_SECONDS:
            self._samples.popleft()
        values = sorted(value for _, value in self._samples)
        return Reading(
            labels,
            self._value,
            self._count,
            tuple(_quantile(values, share) for share in QUANTILES),
            tuple(self._per_second(seconds, math.floor(now)) for seconds in RATE_SECONDS),
        )

    def _per_second(self, seconds: int, this_second: int) -> float:
        first = this_second - seconds
        return sum(amount for at, amount in self._added if first <= at < this_second) / seconds


def _quantile(values: list[float], share: float) -> float:
    """Return the least of the sorted values that so large a share of them does not exceed."""
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else math.nan


class Collector:
    """Takes in metrics, from any thread. What is not a metric is no business of its."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._owners: dict[str, Metric] = {}
        self._series: dict[_Key, _Series] = {}

    def take_line(self, line: str) -> bool:
        """Take a line's metrics: all, or none if it is not as specified, or there is no room.

        A Count below 0 is not as specified here: what only grows is what rates are made of.
        """
        try:
            points = emf.parse(line)
        except InvalidEmf:
            return False
        return not any(map(_shrinks, points)) and self._take(points)

    def count(self, metric: Metric, labels: Labels) -> None:
        """Count one more of a metric whose unit is Count, if there is room."""
        self._take([Point(metric, labels, (1.0,))])

    def read(self) -> list[Family]:
        """Return what was measured so far, in the order of names."""
        by_metric: dict[Metric, list[Reading]] = {}
        now = self._clock()
        with self._lock:
            held = sorted(self._series.items(), key=_order)
        for (metric, labels), series in held:
            with self._lock:
                reading = series.read(labels, now)
            by_metric.setdefault(metric, []).append(reading)
        return [Family(metric, kind_of(metric), readings) for metric, readings in by_metric.items()]

    def _take(self, points: list[Point]) -> bool:
        with self._lock:
            if not self._make_series((point.metric, point.labels) for point in points):
                return False
            now = self._clock()
            for point in points:
                series = self._series[point.metric, point.labels]
                for value in point.values:
                    series.add(value, now)
            return True

    def _make_series(self, keys: Iterable[_Key]) -> bool:
        """Make the series that are missing; False, and none, if that cannot be."""
        missing = {key for key in keys if key not in self._series}
        if not missing:
            return True
        owners: dict[str, Metric] = {}
        for metric, labels in missing:
            for name in sample_names(metric):
                owner = owners.setdefault(name, self._owners.get(name, metric))
                if owner != metric:
                    return False  # Another metric goes by this name in Prometheus.
            if len({label_name(name) for name, _ in labels}) < len(labels):
                return False
        if len(self._series) + len(missing) > MAX_SERIES:
            return False
        self._owners.update(owners)
        self._series.update({key: _Series(kind_of(key[0])) for key in missing})
        return True


def _order(item: tuple[_Key, _Series]) -> _Key:
    return item[0]


def _shrinks(point: Point) -> bool:
    return kind_of(point.metric) is Kind.COUNTER and min(point.values) < 0
