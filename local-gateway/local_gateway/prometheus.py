"""The metrics' types and names in Prometheus.

Source: "Metric and label naming", Prometheus.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from local_gateway.emf import Labels, Metric

QUANTILES: Final = (0.5, 0.95, 0.99)

_WORD_STARTS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_INVALID_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")


class Kind(StrEnum):
    """A metric's type, which decides how its values are aggregated."""

    COUNTER = "counter"
    GAUGE = "gauge"
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True)
class Reading:
    """The current state of a series.

    Attributes:
        labels: The series' labels.
        value: A counter's total, a gauge's latest value or a summary's sum.
        count: The number of values.
        quantiles: The values at QUANTILES, NaN if the window is empty.
        rates: Per second, one for each of the collector's windows. For a counter the increase of
            the total, otherwise the number of values.
    """

    labels: Labels
    value: float
    count: int
    quantiles: tuple[float, ...]
    rates: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with all of its series."""

    metric: Metric
    kind: Kind
    readings: list[Reading]


def kind_of(metric: Metric) -> Kind:
    """Return a metric's type, which follows from its CloudWatch unit.

    A Count is a counter, a metric without a unit is a gauge, and all others are summaries.
    """
    return {"Count": Kind.COUNTER, "None": Kind.GAUGE}.get(metric.unit, Kind.SUMMARY)


def metric_name(metric: Metric) -> str:
    """Return a name such as `shop_checkout_latency_milliseconds`.

    It consists of the namespace, the metric's name and the unit.
    """
    unit = {Kind.COUNTER: "total", Kind.GAUGE: ""}.get(kind_of(metric), metric.unit)
    name = "_".join(filter(None, map(_snake_case, (metric.namespace, metric.name, unit))))
    return _with_valid_start(name)


def label_name(dimension: str) -> str:
    """Return a label such as `close_code` for `CloseCode`.

    Prometheus reserves the label `quantile` for summaries, so it becomes `quantile_`.
    """
    name = _with_valid_start(_snake_case(dimension))
    return "quantile_" if name == "quantile" else name


def sample_names(metric: Metric) -> list[str]:
    """List the names of all samples of a metric."""
    name = metric_name(metric)
    return [name, f"{name}_sum", f"{name}_count"] if kind_of(metric) is Kind.SUMMARY else [name]


def _snake_case(text: str) -> str:
    return _INVALID_IN_NAMES.sub("_", _WORD_STARTS.sub("_", text).lower()).strip("_")


def _with_valid_start(text: str) -> str:
    return text if text[:1].isalpha() else f"_{text}"
