"""Output to a terminal with a live view."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper

import pytest

from gateway_support.serving import until
from local_gateway import terminal
from local_gateway.live_view import draw
from local_gateway.panel import Table
from local_gateway.terminal import Terminal, TerminalStream, shared_terminal, supports_view
from local_gateway.view import View


class Tty(StringIO):
    """A terminal that accepts all output."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def tty() -> Tty:
    return Tty()


@contextmanager
def sharing(tty: Tty) -> Iterator[Terminal]:
    with redirect_stdout(tty), redirect_stderr(tty), shared_terminal() as shared:
        yield shared


def view() -> View:
    return View("title", [Table("mine", ("", "n"), (("\x1b[31mred\n", "1"),))], [])


@pytest.mark.parametrize("name", ["dumb", "unknown", "", None])
def test_a_view_needs_a_terminal_that_can_move_its_cursor(name: str | None) -> None:
    assert not supports_view(Tty(), {} if name is None else {"TERM": name})
    assert not supports_view(StringIO(), {"TERM": "xterm"})
    assert supports_view(Tty(), {"TERM": "xterm"})


def test_a_failed_view_loses_no_lines(tty: Tty) -> None:
    def fail() -> View:
        print("before")
        raise ZeroDivisionError("secret")

    with sharing(tty) as shared:
        with draw(shared, fail):
            pass
        print("after")
    assert tty.getvalue().endswith("before\nthe live view failed: ZeroDivisionError\nafter\n")
    assert not shared.has_view


def test_a_crash_restores_the_terminal(tty: Tty) -> None:
    def crash() -> None:
        with shared_terminal() as shared, draw(shared, view):
            print("a line")
            print("the begin of one", end="")
            print("an error", file=sys.stderr)
            raise RuntimeError("crash")

    with redirect_stdout(tty), redirect_stderr(tty):
        with pytest.raises(RuntimeError, match="crash"):
            crash()
        assert (sys.stdout, sys.stderr) == (tty, tty)
    assert "a line\nan error\n" in tty.getvalue()
    assert tty.getvalue().endswith("the begin of one")
    assert "\x1b[?" not in tty.getvalue()


def test_labels_cannot_control_the_terminal(tty: Tty) -> None:
    with sharing(tty) as shared, draw(shared, view):
        until(lambda: "red" in tty.getvalue())
    assert "?[31mred?" in tty.getvalue()


def test_unsupported_characters_are_replaced() -> None:
    written = BytesIO()
    shared = Terminal(TextIOWrapper(written, encoding="ascii", write_through=True))
    shared.start_view()
    stream = TerminalStream(shared, shared.out)
    assert stream.write("é \udc80\n") == 4
    shared.end_view()
    assert written.getvalue() == b"? ?\n"


def test_a_terminal_that_accepts_no_output_does_not_block(
    tty: Tty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "MAX_WAITING_WRITES", 3)
    shared = Terminal(tty)
    stream = TerminalStream(shared, tty)
    shared.start_view()
    for number in range(5):
        stream.write(f"{number}\n")
        stream.flush()
    assert tty.getvalue() == ""
    shared.end_view()
    assert tty.getvalue() == "... 2 lines dropped\n2\n3\n4\n"


def test_a_line_is_queued_when_it_is_complete(tty: Tty) -> None:
    shared = Terminal(tty)
    one, other = TerminalStream(shared, tty), TerminalStream(shared, tty)
    shared.start_view()
    one.write("a")
    other.write("b\nc")
    one.write("d\n")
    assert shared.take_lines() == "b\nad\n"
    assert shared.take_lines() == ""
    shared.end_view()
    other.flush()
    assert tty.getvalue() == "c"


def test_without_a_view_output_is_not_buffered(tty: Tty) -> None:
    with sharing(tty):
        print("a", end="")
        assert tty.getvalue() == "a"
        print("b", file=sys.stderr)
        assert tty.getvalue() == "ab\n"
