"""A project's own tables, first from functions that fail or don't respond."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway_support.serving import SECONDS, until
from local_gateway import panel
from local_gateway.panel import Panel, Table, find_function

HERE = __name__
CALLS: list[dict[str, str]] = []
RELEASED = threading.Event()


def raises(_environment: Any) -> Any:
    raise ConnectionResetError("secret")


def exits(_environment: Any) -> Any:
    raise SystemExit(3)


def returns_nothing(_environment: Any) -> Any:
    return None


def returns_too_few_cells(_environment: Any) -> Any:
    return [("title", ("a", "b"), [("1",)])]


def returns_no_table(_environment: Any) -> Any:
    return ["title"]


def hangs(_environment: Any) -> Any:
    RELEASED.wait(SECONDS)
    return []


def fails_once(environment: Any) -> Any:
    CALLS.append(environment)
    if len(CALLS) == 1:
        raise ValueError
    return [("calls", ("", "number"), [("made", len(CALLS))])]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Panel]]:
    monkeypatch.setattr(panel, "MIN_REST_SECONDS", 0.01)
    CALLS.clear()
    RELEASED.clear()
    started: list[Panel] = []

    def start(name: str, **environment: str) -> Panel:
        started.append(Panel(name, find_function(name), environment))
        started[-1].start()
        return started[-1]

    yield start
    RELEASED.set()
    for each in started:
        each.stop()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"{HERE}:raises", "ConnectionResetError"),
        (f"{HERE}:exits", "SystemExit"),
        (f"{HERE}:returns_nothing", "TypeError"),
        (f"{HERE}:returns_too_few_cells", "ValueError"),
        (f"{HERE}:returns_no_table", "TypeError"),
    ],
)
def test_a_failed_function_is_shown_with_its_error_type(
    run: Callable[..., Panel], name: str, expected: str
) -> None:
    running = run(name)
    until(lambda: bool(running.tables()))
    assert running.tables() == [Table(name, ("",), ((f"failed: {expected}",),))]


def test_a_slow_function_is_reported(
    run: Callable[..., Panel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panel, "SLOW_SECONDS", 0.05)
    running = run(f"{HERE}:hangs")
    until(lambda: bool(running.tables()))
    assert running.tables()[0].rows == (("doesn't respond",),)
    RELEASED.set()
    until(lambda: running.tables() == [])


def test_a_failed_function_is_called_again(run: Callable[..., Panel]) -> None:
    running = run(f"{HERE}:fails_once", AWS_ENDPOINT_URL="http://there")
    until(lambda: any(table.title == "calls" for table in running.tables()))
    (table,) = running.tables()
    assert table.columns == ("", "number")
    assert table.rows[0][0] == "made"
    assert CALLS[0] == {"AWS_ENDPOINT_URL": "http://there"}


def test_the_function_is_called_at_most_once_a_second() -> None:
    assert panel.MIN_REST_SECONDS >= 1
