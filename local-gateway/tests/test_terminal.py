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
from local_gateway.terminal import Terminal, shared_terminal, supports_view
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


def test_a_crash_restores_the_terminal(tty: Tty) -> None:
    def crash() -> None:
        with shared_terminal() as shared, draw(shared, view):
            print("an error", file=sys.stderr)
            print("the begin of a line", end="")
            raise RuntimeError("crash")

    with redirect_stdout(tty), redirect_stderr(tty):
        with pytest.raises(RuntimeError, match="crash"):
            crash()
        assert (sys.stdout, sys.stderr) == (tty, tty)
    assert tty.getvalue().endswith("an error\nthe begin of a line")
    assert "\x1b[?" not in tty.getvalue()


def test_labels_cannot_control_the_terminal(tty: Tty) -> None:
    with sharing(tty) as shared, draw(shared, view):
        until(lambda: "red" in tty.getvalue())
    assert "?[31mred?" in tty.getvalue()


def test_unsupported_characters_are_replaced() -> None:
    written = BytesIO()
    out = TextIOWrapper(written, encoding="ascii")
    with redirect_stdout(out), redirect_stderr(StringIO()), shared_terminal():
        print("é \udc80", flush=True)
        assert written.getvalue() == b"? ?\n"


def test_a_terminal_that_accepts_no_output_does_not_block(
    tty: Tty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "MAX_WAITING_WRITES", 3)
    shared = Terminal(tty)
    shared.start_view()
    for number in range(5):
        shared.write(f"{number}\n")
        shared.flush()
    assert tty.getvalue() == ""
    shared.end_view()
    assert tty.getvalue() == "2\n3\n4\n"


def test_a_line_is_taken_when_it_is_complete(tty: Tty) -> None:
    shared = Terminal(tty)
    shared.start_view()
    shared.writelines(["a", "b\nc"])
    assert shared.take_lines() == "ab\n"
    shared.write("d\n")
    assert shared.take_lines() == "cd\n"
    shared.write("e")
    assert shared.take_lines() == ""
    shared.end_view()
    assert tty.getvalue() == "e"


def test_without_a_view_output_is_not_buffered(tty: Tty) -> None:
    with sharing(tty):
        print("a", end="")
        assert tty.getvalue() == "a"
        print("b", file=sys.stderr)
        assert tty.getvalue() == "ab\n"
