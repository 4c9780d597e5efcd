"""The metrics of the application and of the gateway since the gateway started.

Metrics are kept in memory only, and a reload doesn't reset them. Memory is bounded: there are at
most MAX_SERIES series, and each keeps the values within the windows below. Windows are measured in
real time, even if the application's clock runs faster.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from local_gateway import emf
from local_gateway.emf import InvalidEmf, Labels, Metric, Point
from local_gateway.prometheus import (
    QUANTILES,
    Family,
    Kind,
    Reading,
    kind_of,
    label_name,
    metric_name,
    sample_names,
)

MAX_SERIES: Final = 500
"""Maximum number of series (a metric with its labels). Lines that would exceed it are refused."""

SAMPLE_SECONDS: Final = 300
"""The window for quantiles."""

MAX_SAMPLES: Final = 1000
"""Maximum number of values in a series' quantile window: 0.1 MB."""

RATE_SECONDS: Final = (10, 60)
"""The windows for rates, in full seconds. The current second is excluded."""

OWN_PREFIX: Final = "local_gateway_"
"""The first part of the names of the gateway's own metrics. Lines with such a name are refused."""

_Key = tuple[Metric, Labels]


class _Series:
    """The values of one metric with one set of labels. Not thread-safe."""

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
    """Return the nearest-rank quantile of sorted values."""
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else math.nan


class Collector:
    """Collects metrics. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without metrics.

        Args:
            clock: Returns the real time in seconds.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._owners: dict[str, Metric] = {}
        self._series: dict[_Key, _Series] = {}

    def add_line(self, line: str) -> bool:
        """Add all metrics of a log line, or none of them.

        Returns:
            False if the line isn't valid EMF, contains a negative Count or a name that starts
            with OWN_PREFIX, or would exceed MAX_SERIES. Rates require counts that only grow.
        """
        try:
            points = emf.parse(line)
        except InvalidEmf:
            return False
        if any(_is_negative_count(point) or _is_own(point.metric) for point in points):
            return False
        return self._add(points)

    def count(self, metric: Metric, labels: Labels) -> None:
        """Increment a metric whose unit is Count, unless that would exceed MAX_SERIES."""
        series = self._series.get((metric, labels))
        if series is None:
            self._add([Point(metric, labels, (1.0,))])
        else:
            with self._lock:
                series.add(1.0, self._clock())

    def read(self) -> list[Family]:
        """Return all metrics, sorted by name."""
        by_metric: dict[Metric, list[Reading]] = {}
        now = self._clock()
        with self._lock:
            sorted_series = sorted(self._series.items(), key=_order)
        for (metric, labels), series in sorted_series:
            with self._lock:
                reading = series.read(labels, now)
            by_metric.setdefault(metric, []).append(reading)
        return [Family(metric, kind_of(metric), readings) for metric, readings in by_metric.items()]

    def _add(self, points: list[Point]) -> bool:
        with self._lock:
            if not self._create_series((point.metric, point.labels) for point in points):
                return False
            now = self._clock()
            for point in points:
                series = self._series[point.metric, point.labels]
                for value in point.values:
                    series.add(value, now)
            return True

    def _create_series(self, keys: Iterable[_Key]) -> bool:
        """Create the missing series. If one can't be created, create none and return False."""
        missing = {key for key in keys if key not in self._series}
        if not missing:
            return True
        owners: dict[str, Metric] = {}
        for metric, labels in missing:
            for name in sample_names(metric):
                owner = owners.setdefault(name, self._owners.get(name, metric))
                if owner != metric:
                    return False  # Another metric has the same name in Prometheus.
            if len({label_name(name) for name, _ in labels}) < len(labels):
                return False
        if len(self._series) + len(missing) > MAX_SERIES:
            return False
        self._owners.update(owners)
        self._series.update({key: _Series(kind_of(key[0])) for key in missing})
        return True


def _order(item: tuple[_Key, _Series]) -> _Key:
    return item[0]


def _is_negative_count(point: Point) -> bool:
    return kind_of(point.metric) is Kind.COUNTER and min(point.values) < 0


@lru_cache(maxsize=MAX_SERIES)
def _is_own(metric: Metric) -> bool:
    return metric_name(metric).startswith(OWN_PREFIX)
