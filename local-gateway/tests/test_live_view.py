"""The live view of a local server in a terminal."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from gateway_support.emf_lines import emf
from gateway_support.pseudo_terminal import PseudoTerminal, address_of, gateway_in_terminal
from gateway_support.serving import APPS, SECONDS, Server, serving

PRINTER = ("--no-aws", "--no-reload", "--project", str(APPS / "printer"))
TITLE = r"up \d+:\d\d:\d\d, \d+ connections, http://127\.0\.0\.1:\d+/local/metrics"
ESCAPE = b"\x1b"

PANEL = """
NUMBER = 5

def tables(environment):
    return [("guests", ("", "table"), [("Anna", 7), ("[bold]Bert", 8)])]

def fail(environment):
    raise LookupError("secret")
"""


def send_commands(terminal: PseudoTerminal, *commands: str) -> None:
    with connect(address_of(terminal)) as client:
        for command in commands:
            client.send(command)
            assert client.recv() == "done"


@pytest.fixture
def panel(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """Return the options for a project with a module of panels."""
    (tmp_path / ".chalice").mkdir()
    for name in ("app.py", ".chalice/config.json"):
        (tmp_path / name).write_text((APPS / "printer" / name).read_text())
    (tmp_path / "own_panel.py").write_text(PANEL)
    return ("--no-aws", "--no-reload", "--project", str(tmp_path))


# Without a view.


@pytest.mark.parametrize("options", [["--no-live"], ["--quiet"], ["--no-live", "--quiet"]])
def test_options_disable_the_view(options: list[str]) -> None:
    with gateway_in_terminal(*PRINTER, *options) as terminal:
        url = address_of(terminal)
        send_commands(terminal, "write a line\n", "complain another", "log " + emf({"Hits": 1}))
        assert terminal.stop() == 0
    assert ESCAPE not in terminal.written
    lines = [line for line in terminal.lines() if not re.match(r"\d\d:\d\d:\d\d #1 ", line)]
    assert lines == [f"ready: {url}", "a line", "another"]


def test_a_dumb_terminal_has_no_view() -> None:
    with gateway_in_terminal(*PRINTER, TERM="dumb") as terminal:
        send_commands(terminal, "write a line\n")
        terminal.stop()
    assert ESCAPE not in terminal.written


def test_a_pipe_has_no_view() -> None:
    with serving("printer", "--no-reload") as server:
        with server.connect() as client:
            client.send("write a line\n")
            client.recv()
        server.stop()
    said = "".join(server.out.lines)
    assert "\x1b" not in said
    assert "connections" not in said
    assert server.err.join() == ""


@pytest.mark.parametrize("name", ["", "module", "module:", ":function", "a-b:c", "a..b:c"])
def test_an_invalid_panel_name_is_refused(name: str) -> None:
    with gateway_in_terminal(*PRINTER, "--panel", name) as terminal:
        terminal.wait_for("must be MODULE:FUNCTION")
        assert terminal.process.wait(10) == 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no_such:panel", "No module named 'no_such'"),
        ("own_panel:nope", "module 'own_panel' has no attribute 'nope'"),
        ("own_panel:NUMBER", "it isn't a function"),
        ("refusing:panel", "NameError: name 'nowhere' is not defined"),
    ],
)
def test_a_panel_that_cannot_be_imported_prevents_the_start(
    panel: tuple[str, ...], name: str, reason: str
) -> None:
    Path(panel[-1], "refusing.py").write_text("nowhere")
    server = Server(Path(panel[-1]), "--no-reload", "--panel", name)
    assert server.process.wait(SECONDS) == 1
    assert server.out.join() == ""
    line, *frames = server.err.join().splitlines()
    assert line == f"chalice-local-gateway: --panel {name}: {reason}"
    if name.startswith("refusing"):
        assert "refusing.py" in frames.pop(1)
    else:
        assert frames == []


# With a view.


def test_metrics_are_shown() -> None:
    by_code = [["Stage"], ["Stage", "Code"]]
    with gateway_in_terminal(*PRINTER) as terminal:
        send_commands(
            terminal,
            "log " + emf({"Errors": 3}, "Count", by_code, Code="NOT_FOUND"),
            "log " + emf({"Wait": list(range(1, 101))}, "Milliseconds"),
            "log " + emf({"Load": 12}, "None"),
        )
        terminal.wait_for(TITLE)
        terminal.wait_for(r"\$default replied +3 +")
        terminal.wait_for(r"Errors NOT_FOUND +3 +")
        terminal.wait_for(r"Wait +ms +50 +95 +99 +")
        terminal.wait_for(r"Load +12\n?")


def test_the_projects_tables_are_shown_beside_the_metrics(panel: tuple[str, ...]) -> None:
    with gateway_in_terminal(*panel, "--panel", "own_panel:tables", columns=130) as terminal:
        send_commands(terminal, "log " + emf({"Load": 12}, "None"))
        terminal.wait_for(r"guests +table +events")
        terminal.wait_for(r"Anna +7 +\$connect 200")
        terminal.wait_for(r"\[bold\]Bert +8 ")


def test_a_failed_panel_shows_its_error_and_the_server_continues(
    panel: tuple[str, ...],
) -> None:
    with gateway_in_terminal(*panel, "--panel", "own_panel:fail") as terminal:
        terminal.wait_for(r"own_panel:fail\n(.*\n)?failed: LookupError")
        send_commands(terminal, "write still here\n")
        terminal.wait_for("still here")
        assert b"secret" not in terminal.written
        assert terminal.stop() == 0


def test_lines_scroll_above_the_view() -> None:
    sent = [f"number {number} " + "x" * (number % 90) for number in range(300)]
    with gateway_in_terminal(*PRINTER, rows=24, columns=100) as terminal:
        terminal.wait_for(TITLE)
        send_commands(terminal, *(f"write {line}\n" for line in sent))
        terminal.wait_for(r"\$default replied +300 ")
        assert terminal.shown().count("connections, http") == 1
        assert terminal.stop() == 0
    assert [line for line in terminal.lines() if line.startswith("number ")] == [
        line.rstrip() for line in sent
    ]
    assert "connections, http" not in "\n".join(terminal.lines())


def test_a_terminal_that_accepts_no_output_does_not_block_the_server() -> None:
    with gateway_in_terminal(*PRINTER) as terminal:
        terminal.wait_for(TITLE)
        terminal.accepts_output.clear()
        send_commands(terminal, *[f"write {'x' * 1000}\n"] * 100, "write the end\n")
        terminal.accepts_output.set()
        terminal.wait_until(lambda: b"the end" in terminal.written)
        assert terminal.stop() == 0


def test_a_small_terminal_has_space_for_lines() -> None:
    with gateway_in_terminal(*PRINTER, rows=10, columns=40) as terminal:
        send_commands(terminal, *(f"log {emf({name * 30: 1})}" for name in "abcdefgh"))
        terminal.wait_for(r"\d #1 \$default replied .*\nup 0(.*\n)+counte")
        assert terminal.shown().count("\n") == 9


def test_no_color_disables_colors() -> None:
    with gateway_in_terminal(*PRINTER, NO_COLOR="1") as terminal:
        terminal.wait_for(TITLE)
        terminal.stop()
    assert not re.search(rb"\x1b\[[0-9;]*[34][0-9]", terminal.written)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_removes_the_view_and_keeps_the_lines(number: int) -> None:
    with gateway_in_terminal(*PRINTER) as terminal:
        with connect(address_of(terminal)) as client:
            client.send("write kept\n")
            client.recv()
            terminal.wait_for(TITLE)
            assert terminal.stop(number) == 0
        lines = terminal.lines()
    assert [line.partition(" ")[0] for line in lines if not re.match(r"\d", line)] == [
        "ready:",
        "kept",
    ]
    assert_terminal_modes_unchanged(terminal)


def test_the_terminal_works_after_the_server_is_killed() -> None:
    with gateway_in_terminal(*PRINTER) as terminal:
        terminal.wait_for(TITLE)
        assert terminal.stop(signal.SIGKILL) == -signal.SIGKILL
    assert_terminal_modes_unchanged(terminal)


def assert_terminal_modes_unchanged(terminal: PseudoTerminal) -> None:
    assert re.findall(rb"\x1b\[\?[0-9;]+[hl]", terminal.written) == []
