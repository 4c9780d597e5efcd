"""The live view at the bottom of the terminal, which a thread draws once a second with rich.

The view doesn't hide the cursor or change terminal modes. If the server is killed, the terminal
still works. On a normal shutdown the view is erased.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.rule import Rule
from rich.segment import Segment
from rich.table import Table as RichTable
from rich.text import Text

from local_gateway.gateway import Gateway
from local_gateway.panel import Panel, Table
from local_gateway.terminal import Terminal
from local_gateway.view import ServerView, View

REFRESH_SECONDS: Final = 1.0

LINES_SECONDS: Final = 0.05
"""Interval at which log lines are printed. Each batch requires a redraw of the view below it."""

LOG_LINES: Final = 8
"""Number of terminal lines reserved for the log, if the terminal has at least twice as many."""

WIDE_COLUMNS: Final = 130
"""Terminal width from which the tables are shown in two columns."""

RATIOS: Final = (4, 5)
"""Relative widths of the two columns. The right one has the longer names."""

MAX_ROWS: Final = 12
"""Maximum number of rows of a table. A small terminal gets fewer rows."""

STOP_SECONDS: Final = 2
"""How long to wait, at the end, for a terminal that accepts no output."""


@contextmanager
def draw_gateway(terminal: Terminal, panel: Panel | None, gateway: Gateway) -> Iterator[None]:
    """Draw the view of a gateway and of the project's panel until the context ends."""
    with ExitStack() as stack:
        if panel is not None:
            panel.start()
            stack.callback(panel.stop)
        stack.enter_context(draw(terminal, ServerView(gateway, panel)))
        yield


@contextmanager
def draw(terminal: Terminal, view: Callable[[], View]) -> Iterator[None]:
    """Draw a view until the context ends.

    Args:
        terminal: The terminal.
        view: Returns the current content for each refresh.
    """
    stopped = threading.Event()
    thread = threading.Thread(
        target=_draw_until, args=(stopped, terminal, view), name="view", daemon=True
    )
    terminal.start_view()
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        terminal.has_lines.set()
        thread.join(STOP_SECONDS)


def _draw_until(stopped: threading.Event, terminal: Terminal, view: Callable[[], View]) -> None:
    try:
        console = _Console(file=terminal.out, force_terminal=True)
        live = Live(
            console=console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
        )
        with live:
            try:
                _refresh_until(stopped, terminal, view, live)
            finally:
                live.update("")
    except Exception as error:
        with suppress(OSError):
            terminal.end_view()
            print(f"the live view failed: {type(error).__name__}", file=sys.stderr)
    else:
        with suppress(OSError):
            terminal.end_view()


def _refresh_until(
    stopped: threading.Event, terminal: Terminal, view: Callable[[], View], live: Live
) -> None:
    due_at = 0.0
    while not stopped.is_set():
        if time.monotonic() >= due_at:
            due_at = time.monotonic() + REFRESH_SECONDS
            live.update(_render(live.console, view()), refresh=True)
        if lines := terminal.take_lines():
            live.console.print(_Raw(lines), end="", crop=False)
        if not stopped.wait(LINES_SECONDS):
            terminal.has_lines.wait(max(0.0, due_at - time.monotonic()))


class _Console(Console):
    """A console that doesn't hide the cursor."""

    def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002
        return False


class _Raw:
    """Unmodified lines. The terminal wraps long ones, as it does without a view."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        yield Segment(self._text)


class _Rendered:
    """Lines with a finished layout, which makes redrawing them cheap."""

    def __init__(self, lines: Sequence[list[Segment]]) -> None:
        self._lines = lines

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        for number, line in enumerate(self._lines):
            if number:
                yield Segment.line()
            yield from line


def _render(console: Console, view: View) -> _Rendered:
    """Lay out the view with as many rows per table as fit, and cut off the rest."""
    width, height = console.size
    max_height = height - LOG_LINES if height >= 2 * LOG_LINES else height // 2
    is_wide = width >= WIDE_COLUMNS and bool(view.left and view.right)
    columns = [view.left, view.right] if is_wide else [[*view.left, *view.right]]
    fitting = (rows for rows in range(MAX_ROWS, 1, -1) if _height(columns, rows) <= max_height)
    layout = _layout(view.title, columns, next(fitting, 1))
    return _Rendered(console.render_lines(layout, pad=False)[:max_height])


def _height(columns: list[list[Table]], rows: int) -> int:
    """Count the lines of a layout. Each table has a heading and a line for omitted rows."""
    heights = [sum(1 + min(len(table.rows), rows + 1) for table in tables) for tables in columns]
    return 1 + max(heights)


def _layout(title: str, columns: list[list[Table]], rows: int) -> RenderableType:
    grid = RichTable.grid(expand=True, padding=(0, 2))
    for ratio in RATIOS[-len(columns) :]:
        grid.add_column(ratio=ratio)
    grid.add_row(*(Group(*(_rich_table(table, rows) for table in tables)) for tables in columns))
    return Group(Rule(Text(_printable(title)), align="left", style="dim", characters="-"), grid)


def _rich_table(table: Table, max_rows: int) -> RichTable:
    shown = RichTable(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, column in enumerate(table.columns):
        is_numbers = all(row[number][:1].isdigit() or row[number] == "-" for row in table.rows)
        heading = f"{table.title} {column}".strip() if number == 0 else column
        shown.add_column(
            _cell(heading),
            justify="right" if number and is_numbers else "left",
            no_wrap=number > 0,  # On a narrow terminal, only the first column shrinks.
        )
    for row in table.rows[:max_rows]:
        shown.add_row(*map(_cell, row))
    omitted = len(table.rows) - max_rows
    if omitted > 0:
        shown.add_row(_cell(f"and {omitted} more", "dim"))
    elif not table.rows:
        shown.add_row(_cell("none", "dim"))
    return shown


def _cell(text: str, style: str = "") -> Text:
    return Text(_printable(text), style=style, no_wrap=True, overflow="ellipsis")


def _printable(text: str) -> str:
    """Replace control characters, which labels from untrusted sources can contain."""
    return "".join(character if character.isprintable() else "?" for character in text)
