"""What the picture of the dashboard takes from a widget and from a local run."""

import json
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from scripts.picture import Line, Run, lines_of, read_run


def sample(name: str, value: float, **labels: str) -> dict[str, Any]:
    return {
        "name": f"broadcast_sessions_{name}",
        "labels": {"stage": "local", **labels},
        "value": value,
    }


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Two periods: six errors in the first, one more in the second."""
    periods = [
        [
            sample("connection_errors_total", 4, code="CONFLICT"),
            sample("connection_errors_total", 2, code="SESSION_FULL"),
            sample("active_sessions", 3),
        ],
        [
            sample("connection_errors_total", 5, code="CONFLICT"),
            sample("connection_errors_total", 2, code="SESSION_FULL"),
            sample("active_sessions", 1),
            sample("heartbeat_latency_milliseconds", 12.5, quantile="0.95"),
        ],
    ]
    file = tmp_path / "run.jsonl"
    lines = [{"minute": 5 * (n + 1), "samples": samples} for n, samples in enumerate(periods)]
    file.write_text("\n".join(map(json.dumps, lines)))
    return read_run(file)


def test_a_counter_is_drawn_by_what_each_period_has_added(run: Run) -> None:
    assert run.minutes == [5, 10]
    assert run.draw(Line("", "ConnectionErrors", "Sum", {"Code": "CONFLICT"})) == [4, 1]
    assert run.draw(Line("", "ConnectionErrors", "Sum", {})) == [6, 1]
    assert run.draw(Line("", "RefreshesCompleted", "Sum", {})) == [0, 0]


def test_a_gauge_is_drawn_as_it_was_and_a_percentile_from_when_it_is_there(run: Run) -> None:
    assert run.draw(Line("", "ActiveSessions", "Maximum", {})) == [3, 1]
    first, second = run.draw(Line("", "HeartbeatLatency", "p95", {}))
    assert isnan(first)
    assert second == 12.5


def test_a_widget_has_the_lines_that_are_ours(run: Run) -> None:
    properties = {
        "stat": "Sum",
        "metrics": [
            ["AWS/Lambda", "Errors", "FunctionName", "f"],
            ["BroadcastSessions", "RefreshesCompleted", "Stage", "dev", {"label": "completed"}],
            [
                "BroadcastSessions",
                "FanoutDuration",
                "Stage",
                "dev",
                {"label": "p50", "stat": "p50"},
            ],
        ],
    }
    assert list(lines_of(properties, run)) == [
        Line("completed", "RefreshesCompleted", "Sum", {}),
        Line("p50", "FanoutDuration", "p50", {}),
    ]


def test_a_widget_that_searches_has_a_line_for_each_word_that_came(run: Run) -> None:
    named = 'MetricName="ConnectionErrors" Stage="dev"'
    searched = f"SEARCH('{{BroadcastSessions,Stage,Code}} {named}', 'Sum', 300)"
    properties = {"stat": "Sum", "metrics": [[{"expression": searched}]]}
    assert [line.label for line in lines_of(properties, run)] == ["CONFLICT", "SESSION_FULL"]
