"""What a project adds to the view: tables that a function of its own makes, in a thread.

The function is named `module:function`. It is given the environment that leads to the embedded
AWS, and returns tables: each a title, columns, and rows of as many values.
"""

import importlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

MIN_REST_SECONDS: Final = 1.0
REST_FACTOR: Final = 4
"""Between two calls is a rest: so many times as long as the last took, that the server, which it
shares an interpreter with, keeps most of the time.
"""

PATIENCE_SECONDS: Final = 5
"""After which the view says that the function does not answer."""


class Table(NamedTuple):
    """What the view shows: rows have as many cells as there are columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def make_table(title: Any, columns: Any, rows: Any) -> Table:
    """Make a table of what a panel has returned. Raises: ValueError if a row is too long or short.

    Raises TypeError, too, for what are no columns or rows.
    """
    table = Table(str(title), tuple(map(str, columns)), tuple(tuple(map(str, row)) for row in rows))
    if any(len(row) != len(table.columns) for row in table.rows):
        raise ValueError("a row has not as many cells as there are columns")
    return table


class Panel:
    """Calls a panel's function again and again, and keeps what it has returned last."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self._name = name
        self._environment = dict(environment)
        self._tables: list[Table] = []
        self._called_at: float | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Call the function in a thread from now on."""
        threading.Thread(target=self._run, name="panel", daemon=True).start()

    def stop(self) -> None:
        """Call it no more; a call that is under way is not waited for."""
        self._stopped.set()

    def tables(self) -> list[Table]:
        """Return the latest tables, or what has become of the function."""
        called_at = self._called_at
        if called_at is not None and time.monotonic() - called_at > PATIENCE_SECONDS:
            return [*self._tables, self._say("does not answer")]
        return self._tables

    def _run(self) -> None:
        function: Callable[[Mapping[str, str]], Any] | None = None
        while not self._stopped.is_set():
            started = self._called_at = time.monotonic()
            try:
                function = function or find_function(self._name)
                self._tables = [make_table(*table) for table in function(self._environment)]
            except (Exception, SystemExit) as error:
                self._tables = [self._say(f"failed: {type(error).__name__}")]
            self._called_at = None
            took_seconds = time.monotonic() - started
            self._stopped.wait(max(MIN_REST_SECONDS, REST_FACTOR * took_seconds))

    def _say(self, text: str) -> Table:
        return Table(self._name, ("",), ((text,),))


def find_function(name: str) -> Callable[[Mapping[str, str]], Any]:
    """Import what `module:function` names; raises whatever the module raises."""
    module, _, function = name.partition(":")
    found: Callable[[Mapping[str, str]], Any] = getattr(importlib.import_module(module), function)
    return found
