"""Draws the widgets of a stage's dashboard for which a local run has metrics.

As CloudWatch would: a point for each period, and the statistic that the widget asks for. What AWS
itself measures has no local metrics, so that those widgets are left out.
"""

import argparse
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devserver.command import run_command

COLUMNS: Final = 24
"""Of a dashboard. Source: "Dashboard body structure and syntax", Amazon CloudWatch."""

UNIT_INCHES: Final = 0.5
NAMESPACE: Final = "BroadcastSessions"
PREFIX: Final = "broadcast_sessions_"
QUANTILES: Final = {"p50": "0.5", "p95": "0.95", "p99": "0.99"}

Labels = frozenset[tuple[str, str]]
Moment = Mapping[tuple[str, Labels], float]
"""Each sample's value by its name and labels, without the stage."""


@dataclass(frozen=True)
class Line:
    label: str
    name: str
    statistic: str
    dimensions: Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """What was measured: the minutes, and what the samples were then."""

    minutes: list[float]
    moments: list[Moment]

    def draw(self, line: Line) -> list[float]:
        return [
            self._value(line, moment, before)
            for moment, before in zip(self.moments, [{}, *self.moments], strict=False)
        ]

    def values_of(self, name: str, label: str) -> list[str]:
        """List the values that a metric's label has had."""
        last = self.moments[-1]
        return sorted(
            value
            for sample, labels in last
            if sample == f"{PREFIX}{_snake_case(name)}_total"
            for key, value in labels
            if key == label
        )

    def _value(self, line: Line, moment: Moment, before: Moment) -> float:
        name = PREFIX + _snake_case(line.name)
        labels = {_snake_case(key): value for key, value in line.dimensions.items()}
        if line.statistic in QUANTILES:
            labels["quantile"] = QUANTILES[line.statistic]
            return moment.get((f"{name}_milliseconds", _frozen(labels)), float("nan"))
        if line.statistic == "Maximum":
            return moment.get((name, _frozen(labels)), float("nan"))
        return _total(moment, f"{name}_total", labels) - _total(before, f"{name}_total", labels)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.picture", description=__doc__)
    parser.add_argument("plan", type=Path, help="of a stage, as scripts.planning prints it")
    parser.add_argument("run", type=Path, help="as scripts.evening prints it")
    parser.add_argument("picture", type=Path, help="the file to write")
    options = parser.parse_args()
    planned = json.loads(options.plan.read_text())["aws_cloudwatch_dashboard"][0]
    run = read_run(options.run)
    widgets = [
        (widget, list(lines_of(widget["properties"], run)))
        for widget in json.loads(planned["dashboard_body"])["widgets"]
        if NAMESPACE in json.dumps(widget)
    ]
    draw(widgets, run, options.picture)
    return 0


def read_run(file: Path) -> Run:
    read = [json.loads(line) for line in file.read_text().splitlines()]
    return Run(
        minutes=[each["minute"] for each in read],
        moments=[
            {
                (sample["name"], _frozen(sample["labels"]) - {("stage", "local")}): sample["value"]
                for sample in each["samples"]
            }
            for each in read
        ],
    )


def lines_of(properties: Mapping[str, Any], run: Run) -> Iterator[Line]:
    """List a widget's lines that are ours, and of those that it searches the ones there are."""
    for metric in properties["metrics"]:
        if isinstance(metric[0], dict):
            yield from _searched(metric[0]["expression"], run)
        elif metric[0] == NAMESPACE:
            options = metric[-1] if isinstance(metric[-1], dict) else {}
            names = [each for each in metric[2:] if not isinstance(each, dict)]
            dimensions = dict(zip(names[::2], names[1::2], strict=True))
            del dimensions["Stage"]
            statistic = options.get("stat", properties["stat"])
            # What is counted is counted since the start: how often it was is not known.
            if statistic != "SampleCount":
                yield Line(options.get("label", metric[1]), metric[1], statistic, dimensions)


def _searched(expression: str, run: Run) -> Iterator[Line]:
    schema, name, statistic = re.findall(
        rf"{{{NAMESPACE},Stage,(\w+)}} MetricName=\"(\w+)\".*'(\w+)', \d+", expression
    )[0]
    for value in run.values_of(name, _snake_case(schema)):
        yield Line(value, name, statistic, {schema: value})


def draw(widgets: Sequence[tuple[Mapping[str, Any], list[Line]]], run: Run, file: Path) -> None:
    # Imported here, so that what reads a run can be tested without it.
    from matplotlib import pyplot

    height = max(widget["y"] + widget["height"] for widget, _ in widgets)
    figure = pyplot.figure(figsize=(COLUMNS * UNIT_INCHES, height * UNIT_INCHES), dpi=100)
    for widget, lines in widgets:
        place = (
            (widget["x"] + 0.9) / COLUMNS,
            1 - (widget["y"] + widget["height"] - 0.8) / height,
            (widget["width"] - 1.4) / COLUMNS,
            (widget["height"] - 1.6) / height,
        )
        axes = figure.add_axes(place)
        axes.set_title(widget["properties"]["title"], fontsize=10, loc="left")
        for line in lines:
            values = run.draw(line)
            if any(value for value in values if value == value):
                axes.plot(run.minutes, values, label=line.label, linewidth=1.4)
        axes.set_ylim(bottom=0)
        axes.set_xlim(0, run.minutes[-1])
        axes.tick_params(labelsize=8)
        axes.grid(visible=True, alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=7, loc="best")
        else:
            note = "none" if lines else "not known to the local server"
            axes.text(0.5, 0.5, note, transform=axes.transAxes, ha="center", color="grey")
    figure.savefig(file)


def _total(moment: Moment, name: str, labels: Mapping[str, str]) -> float:
    """Add up the samples that have those labels, whatever others they have."""
    wanted = _frozen(labels)
    return sum(
        value for (sample, held), value in moment.items() if sample == name and held >= wanted
    )


def _frozen(labels: Mapping[str, str]) -> Labels:
    return frozenset(labels.items())


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


if __name__ == "__main__":
    run_command(main)
