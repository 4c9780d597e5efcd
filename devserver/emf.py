"""CloudWatch's embedded metric format: metrics as they stand in a line of a log. Pure.

Source: "Specification: Embedded metric format" and MetricDatum, Amazon CloudWatch.
"""

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any, Final, NamedTuple, NoReturn

MARK: Final = '"_aws"'
"""What stands in every line that holds metrics."""

MAX_NAME_CHARACTERS: Final = 1024
"""Of a namespace, a metric or a dimension's value; the shorter bounds of some are not checked."""

MAX_VALUES: Final = 100
"""Of one metric in one line."""

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
"""Dimensions by name and value, in the order in which the line has them."""


class InvalidEmf(Exception):
    """The line holds no metrics, or CloudWatch would not take them; the message says why."""


class Metric(NamedTuple):
    """What values are of. CloudWatch has it for each combination of dimensions."""

    namespace: str
    name: str
    unit: str


class Point(NamedTuple):
    """A metric's values in one line, with all of its dimensions.

    That of several sets of dimensions (by stage; by stage and code) all are taken together keeps
    sums right: whoever wants them by stage alone adds up.
    """

    metric: Metric
    labels: Labels
    values: tuple[float, ...]


def parse(line: str) -> list[Point]:
    """Read all metrics of a line. Raises: InvalidEmf, if one of them is not as specified."""
    try:
        root = _decode(line)
        return list(_points(root, root["_aws"]))
    except (KeyError, TypeError) as error:
        raise InvalidEmf(f"a member is missing or of a wrong type: {error}") from None
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
                raise InvalidEmf(f"{metric.name} is of no unit of CloudWatch's")
            yield Point(metric, labels, _values(root[metric.name]))


def _labels(root: dict[str, Any], sets: list[list[str]]) -> Labels:
    names = dict.fromkeys(_name(name) for names in sets for name in names)
    return tuple((name, _name(root[name])) for name in names)


def _values(held: Any) -> tuple[float, ...]:
    values = tuple(map(_number, held)) if isinstance(held, list) else (_number(held),)
    if not 0 < len(values) <= MAX_VALUES:
        raise InvalidEmf(f"a metric has 1 to {MAX_VALUES} values")
    return values


def _number(held: Any) -> float:
    if isinstance(held, bool) or not isinstance(held, int | float):
        raise InvalidEmf("a value is no number")
    number = float(held)
    if not isfinite(number):
        raise InvalidEmf("a value is out of bounds")
    return number


def _name(held: Any) -> str:
    if not isinstance(held, str) or not 0 < len(held) <= MAX_NAME_CHARACTERS:
        raise InvalidEmf(f"a name or a dimension's value has 1 to {MAX_NAME_CHARACTERS} characters")
    return held


def _refuse(constant: str) -> NoReturn:
    raise InvalidEmf(f"{constant} is no JSON")


_decode: Final = json.JSONDecoder(parse_constant=_refuse).decode
