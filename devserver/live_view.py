"""The view at the end of the terminal, drawn with rich once a second, in a thread of its own.

It hides no cursor and sets no mode of the terminal, so that whatever ends the server leaves a
terminal that works; when the view ends as it should, nothing of it stays.
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

from devserver.gateway import Gateway
from devserver.panel import Panel, Table
from devserver.terminal import Terminal
from devserver.view import ServerView, View

REFRESH_SECONDS: Final = 1.0

LINES_SECONDS: Final = 0.05
"""Lines are shown together, for what is drawn below them is drawn again each time."""

LOG_LINES: Final = 8
"""How many lines of the terminal are left to the log, if it has twice as many."""

WIDE_COLUMNS: Final = 130
"""From here on tables stand side by side."""

RATIOS: Final = (4, 5)
"""Of the two columns' widths: what was measured has long names."""

MAX_ROWS: Final = 12
"""Of a table; fewer where not everything fits."""

STOP_SECONDS: Final = 2
"""How long a terminal that takes nothing in is waited for."""


@contextmanager
def drawn_of(terminal: Terminal, panel: Panel | None, gateway: Gateway) -> Iterator[None]:
    """Draw the view of a gateway, with the project's panel, until the context ends."""
    with ExitStack() as stack:
        if panel is not None:
            panel.start()
            stack.callback(panel.stop)
        stack.enter_context(drawn(terminal, ServerView(gateway, panel)))
        yield


@contextmanager
def drawn(terminal: Terminal, view: Callable[[], View]) -> Iterator[None]:
    """Draw the view, which is asked for each time, until the context ends."""
    stopped = threading.Event()
    thread = threading.Thread(
        target=_draw_until, args=(stopped, terminal, view), name="view", daemon=True
    )
    terminal.begin()
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        terminal.written.set()
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
                _draw(stopped, terminal, view, live)
            finally:
                live.update("")
    except Exception as error:
        with suppress(OSError):
            terminal.end()
            print(f"the view has ended: {type(error).__name__}", file=sys.stderr)
    else:
        with suppress(OSError):
            terminal.end()


def _draw(
    stopped: threading.Event, terminal: Terminal, view: Callable[[], View], live: Live
) -> None:
    due_at = 0.0
    while not stopped.is_set():
        if time.monotonic() >= due_at:
            due_at = time.monotonic() + REFRESH_SECONDS
            live.update(_render(live.console, view()), refresh=True)
        if lines := terminal.take():
            live.console.print(_Raw(lines), end="", crop=False)
        if not stopped.wait(LINES_SECONDS):
            terminal.written.wait(max(0.0, due_at - time.monotonic()))


class _Console(Console):
    """A console that leaves the cursor as it is."""

    def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002
        return False


class _Raw:
    """Lines as they stand, however long: the terminal breaks them, as it does without a view."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        yield Segment(self._text)


class _Rendered:
    """Lines that were laid out before: to draw them again costs next to nothing."""

    def __init__(self, lines: Sequence[list[Segment]]) -> None:
        self._lines = lines

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        for number, line in enumerate(self._lines):
            if number:
                yield Segment.line()
            yield from line


def _render(console: Console, view: View) -> _Rendered:
    """Lay the view out with as many rows as fit; if none do, its end is cut off."""
    width, height = console.size
    room = height - LOG_LINES if height >= 2 * LOG_LINES else height // 2
    is_wide = width >= WIDE_COLUMNS and bool(view.left and view.right)
    columns = [view.left, view.right] if is_wide else [[*view.left, *view.right]]
    rows = next((rows for rows in range(MAX_ROWS, 1, -1) if _height(columns, rows) <= room), 1)
    return _Rendered(console.render_lines(_layout(view.title, columns, rows), pad=False)[:room])


def _height(columns: list[list[Table]], rows: int) -> int:
    """Count the lines of a layout: each table has a heading, and says what it leaves out."""
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
            no_wrap=number > 0,  # Where there is too little room, the first column gives way.
        )
    for row in table.rows[:max_rows]:
        shown.add_row(*map(_cell, row))
    left_out = len(table.rows) - max_rows
    if left_out > 0:
        shown.add_row(_cell(f"and {left_out} more", "dim"))
    elif not table.rows:
        shown.add_row(_cell("none", "dim"))
    return shown


def _cell(text: str, style: str = "") -> Text:
    return Text(_printable(text), style=style, no_wrap=True, overflow="ellipsis")


def _printable(text: str) -> str:
    """Replace what would move the cursor or change the terminal: labels come from anywhere."""
    return "".join(character if character.isprintable() else "?" for character in text)
