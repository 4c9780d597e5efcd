"""The live view at the bottom of the terminal, which a thread draws once a second with rich.

The view doesn't hide the cursor or change terminal modes. If the gateway is killed, the terminal
still works. On a normal shutdown the view is erased.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.segment import SegmentLines
from rich.table import Table as RichTable
from rich.text import Text

from local_gateway.gateway import Gateway
from local_gateway.panel import Panel, Table
from local_gateway.terminal import Terminal
from local_gateway.view import GatewayView, View

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
        stack.enter_context(draw(terminal, GatewayView(gateway, panel)))
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
        thread.join(STOP_SECONDS)


def _draw_until(stopped: threading.Event, terminal: Terminal, view: Callable[[], View]) -> None:
    console = _Console(file=terminal.out, force_terminal=True)
    live = Live(
        console=console,
        get_renderable=lambda: _render(console, view()),
        refresh_per_second=1 / REFRESH_SECONDS,
        redirect_stdout=False,
        redirect_stderr=False,
        transient=True,
    )
    try:
        live.start(refresh=True)
        while not stopped.wait(LINES_SECONDS):
            if lines := terminal.take_lines():
                console.out(lines, end="", highlight=False)
        live.stop()
    finally:
        with suppress(OSError):
            terminal.end_view()


class _Console(Console):
    """A console that doesn't hide the cursor."""

    def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002
        return False


def _render(console: Console, view: View) -> SegmentLines:
    """Lay out the view with as many rows per table as fit, and cut off the rest."""
    width, height = console.size
    max_height = height - LOG_LINES if height >= 2 * LOG_LINES else height // 2
    is_wide = width >= WIDE_COLUMNS and bool(view.left and view.right)
    columns = [view.left, view.right] if is_wide else [[*view.left, *view.right]]
    fitting = (rows for rows in range(MAX_ROWS, 1, -1) if _height(columns, rows) <= max_height)
    layout = _layout(view.title, columns, next(fitting, 1))
    # Finished lines make it cheap to draw the view again below new log lines.
    lines = console.render_lines(layout, pad=False)[:max_height]
    return SegmentLines(lines, new_lines=True)


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
