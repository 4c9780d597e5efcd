"""The metrics in Prometheus' text format, which prometheus_client encodes."""

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from local_gateway.prometheus import QUANTILES, Family, Kind, label_name, metric_name

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class _Families(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return map(_convert, self._families)


def encode(families: Iterable[Family]) -> bytes:
    """Encode metrics as text, with one sample for each combination of labels."""
    return generate_latest(_Families(families))


def _convert(family: Family) -> Metric:
    own, name = family.metric, metric_name(family.metric)
    unit = "" if own.unit == "None" else f", in {own.unit}"
    text = _encodable(f"{own.name} of {own.namespace}{unit}")
    # The encoder appends "_total" to the names of counters.
    listed = name.removesuffix("_total") if family.kind is Kind.COUNTER else name
    metric = Metric(listed, text, family.kind)
    for reading in family.readings:
        labels = {label_name(key): _encodable(value) for key, value in reading.labels}
        if family.kind is Kind.SUMMARY:
            for share, value in zip(QUANTILES, reading.quantiles, strict=True):
                metric.add_sample(name, {**labels, "quantile": str(share)}, value)
            metric.add_sample(f"{name}_sum", labels, reading.value)
            metric.add_sample(f"{name}_count", labels, reading.count)
        else:
            metric.add_sample(name, labels, reading.value)
    return metric


def _encodable(text: str) -> str:
    """Replace lone surrogates, which JSON can contain."""
    return text.encode(errors="replace").decode()
