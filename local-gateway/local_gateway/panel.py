"""The panel, which shows a project's own tables in the live view.

A function of the project, given as `module:function`, returns the tables. It receives the
environment variables of the embedded AWS. Each table is a title, a list of columns, and a list of
rows with one value per column. A thread calls the function repeatedly.
"""

import importlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

MIN_REST_SECONDS: Final = 1.0
REST_FACTOR: Final = 4
"""Pause between two calls, as a multiple of the last call's duration.

The function shares the interpreter with the gateway. The pause leaves most of the time to the
gateway.
"""

SLOW_SECONDS: Final = 5
"""Duration of a call after which the view reports that the function doesn't respond."""


PanelFunction = Callable[[Mapping[str, str]], Any]


class PanelNotFound(Exception):
    """There is no such function. The message explains why in one line."""


class Table(NamedTuple):
    """A table of the view. Each row has one cell per column."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def make_table(title: Any, columns: Any, rows: Any) -> Table:
    """Convert a table that a panel's function returned.

    Raises:
        TypeError: The columns or rows aren't iterable.
        ValueError: The number of cells in a row differs from the number of columns.
    """
    table = Table(str(title), tuple(map(str, columns)), tuple(tuple(map(str, row)) for row in rows))
    if any(len(row) != len(table.columns) for row in table.rows):
        raise ValueError("each row must have one cell per column")
    return table


class Panel:
    """Calls a panel's function repeatedly and stores its latest tables."""

    def __init__(self, name: str, function: PanelFunction, environment: Mapping[str, str]) -> None:
        """Prepare the calls; `start` begins.

        Args:
            name: The function's name for messages.
            function: The function.
            environment: Passed to the function.
        """
        self._name = name
        self._function = function
        self._environment = dict(environment)
        self._tables: list[Table] = []
        self._called_at: float | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start the thread that calls the function."""
        threading.Thread(target=self._run, name="panel", daemon=True).start()

    def stop(self) -> None:
        """Stop calling the function. Doesn't wait for a running call."""
        self._stopped.set()

    def tables(self) -> list[Table]:
        """Return the latest tables. Includes a message if the function is slow or failed."""
        called_at = self._called_at
        if called_at is not None and time.monotonic() - called_at > SLOW_SECONDS:
            return [*self._tables, self._message("doesn't respond")]
        return self._tables

    def _run(self) -> None:
        while not self._stopped.is_set():
            started = self._called_at = time.monotonic()
            try:
                self._tables = [make_table(*it) for it in self._function(self._environment)]
            except (Exception, SystemExit) as error:
                self._tables = [self._message(f"failed: {type(error).__name__}")]
            self._called_at = None
            took_seconds = time.monotonic() - started
            self._stopped.wait(max(MIN_REST_SECONDS, REST_FACTOR * took_seconds))

    def _message(self, text: str) -> Table:
        return Table(self._name, ("",), ((text,),))


def find_function(name: str) -> PanelFunction:
    """Import the function `module:function`. The exceptions of its module pass through.

    Raises:
        PanelNotFound: The module or the function doesn't exist.
    """
    module_name, _, function_name = name.partition(":")
    try:
        function: PanelFunction = getattr(importlib.import_module(module_name), function_name)
    except ModuleNotFoundError as error:
        raise PanelNotFound(str(error)) from None
    except AttributeError as error:
        if error.name != function_name:
            raise
        raise PanelNotFound(str(error)) from None
    if not callable(function):
        raise PanelNotFound("it isn't a function")
    return function
