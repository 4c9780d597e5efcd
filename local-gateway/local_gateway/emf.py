"""A parser for CloudWatch's embedded metric format (EMF), which carries metrics in log lines.

Source: "Specification: Embedded metric format" and MetricDatum, Amazon CloudWatch.
"""

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any, Final, NamedTuple, NoReturn

MARK: Final = '"_aws"'
"""A substring of every line that contains metrics."""

MAX_NAME_CHARACTERS: Final = 1024
"""Maximum length of a namespace, a name or a dimension's value. Stricter limits aren't checked."""

MAX_VALUES: Final = 100
"""Maximum number of values of one metric in one line."""

_PREFIXES: Final = ("Kilo", "Mega", "Giga", "Tera")
_SIZES: Final = (
    "Bits",
    "Bytes",
    *(prefix + size for prefix in _PREFIXES for size in ("bits", "bytes")),
)
UNITS: Final = frozenset(
    {"Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "None", *_SIZES}
    | {f"{size}/Second" for size in ("Count", *_SIZES)}
)

Labels = tuple[tuple[str, str], ...]
"""Pairs of a dimension's name and value, in the order of the line."""


class InvalidEmf(Exception):
    """The line contains no metrics, or CloudWatch would reject them. The message explains why."""


class Metric(NamedTuple):
    """A metric's identity, without its dimensions."""

    namespace: str
    name: str
    unit: str


class Point(NamedTuple):
    """A metric's values in one line, with all of its dimensions.

    If the line has several sets of dimensions (by stage, by stage and code), the labels contain
    all of them. Each value is then counted once, and totals by stage are sums over the codes.
    """

    metric: Metric
    labels: Labels
    values: tuple[float, ...]


def parse(line: str) -> list[Point]:
    """Parse all metrics of a line.

    Raises:
        InvalidEmf: The line isn't valid EMF.
    """
    try:
        root = _decode(line)
        return list(_points(root, root["_aws"]))
    except (KeyError, TypeError) as error:
        raise InvalidEmf(f"a member is missing or has the wrong type: {error}") from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise InvalidEmf(str(error)) from None


def _points(root: dict[str, Any], metadata: dict[str, Any]) -> Iterator[Point]:
    _number(metadata["Timestamp"])
    for directive in metadata["CloudWatchMetrics"]:
        namespace = _name(directive["Namespace"])
        labels = _labels(root, directive["Dimensions"])
        for definition in directive["Metrics"]:
            metric = Metric(namespace, _name(definition["Name"]), definition.get("Unit", "None"))
            if metric.unit not in UNITS:
                raise InvalidEmf(f"the unit of {metric.name} isn't a CloudWatch unit")
            yield Point(metric, labels, _values(root[metric.name]))


def _labels(root: dict[str, Any], sets: list[list[str]]) -> Labels:
    names = dict.fromkeys(_name(name) for names in sets for name in names)
    return tuple((name, _name(root[name])) for name in names)


def _values(member: Any) -> tuple[float, ...]:
    values = tuple(map(_number, member)) if isinstance(member, list) else (_number(member),)
    if not 0 < len(values) <= MAX_VALUES:
        raise InvalidEmf(f"a metric must have 1 to {MAX_VALUES} values")
    return values


def _number(member: Any) -> float:
    if isinstance(member, bool) or not isinstance(member, int | float):
        raise InvalidEmf("a value isn't a number")
    number = float(member)
    if not isfinite(number):
        raise InvalidEmf("a value is too large")
    return number


def _name(member: Any) -> str:
    if not isinstance(member, str) or not 0 < len(member) <= MAX_NAME_CHARACTERS:
        raise InvalidEmf(
            f"a name and a dimension's value must have 1 to {MAX_NAME_CHARACTERS} characters"
        )
    return member


def _reject_constant(constant: str) -> NoReturn:
    raise InvalidEmf(f"{constant} isn't valid JSON")


_decode: Final = json.JSONDecoder(parse_constant=_reject_constant).decode
