"""The clients in examples/, started by the commands in the README."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.make import ROOT, put_make
from tests.stories.gate import Gate
from tests.stories.target import HIGH_LIMITS, Target, local_server
from tests.terraform.requirements import lacks

COMMAND = re.compile(r"^(\S+ .*examples/(\w+)-client/(\w+)\.\w+ .*)$", re.MULTILINE)
COMMANDS = {
    (language, role): shlex.split(command)
    for command, language, role in COMMAND.findall((ROOT / "README.md").read_text())
}
LANGUAGES = ("python", "javascript")

Process = subprocess.Popen[str]


@pytest.fixture(scope="module")
def server() -> Iterator[Target]:
    """Serve the application with heartbeats that soon tell the speaker about listeners."""
    with local_server(**HIGH_LIMITS, HEARTBEAT_INTERVAL_SECONDS="1") as target:
        yield target


@pytest.fixture
def quick(server: Target) -> Iterator[Target]:
    """Return the server behind a gate, which checks all messages at the end of the test."""
    with Gate(server.url).serving_in_thread() as gate:
        yield replace(server, url=gate.url)
    gate.check_messages()


def example(
    target: Target, folder: Path, language: str, role: str, session: str = ""
) -> AbstractContextManager[Process]:
    """Run a client by its command in the README, for a session."""
    if language == "javascript" and shutil.which("node") is None:
        lacks("node")
    command = [session if it == "golden-eagle-427" else it for it in COMMANDS[language, role]]
    return run(target, folder, *command)


@contextmanager
def run(target: Target, folder: Path, *command: str) -> Iterator[Process]:
    """Run a command with the target's port in its environment."""
    port = target.url.rpartition(":")[2].partition("/")[0]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PATH": put_make(folder), "PORT": port, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Ctrl-C is ignored in a background job, and programs inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: Process, pattern: str) -> str:
    """Read lines up to one that matches, and return its group."""
    assert process.stdout
    read = []
    for line in process.stdout:
        read.append(line.rstrip())
        if found := re.fullmatch(pattern, read[-1]):
            return found[1]
    raise AssertionError(f"no line matches {pattern}: {read}")


def say(process: Process, line: str) -> None:
    assert process.stdin
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


@pytest.mark.parametrize("of_listener", LANGUAGES)
@pytest.mark.parametrize("of_speaker", LANGUAGES)
def test_a_listener_joins_a_speaker_and_stays_to_the_end(
    quick: Target, tmp_path: Path, of_speaker: str, of_listener: str
) -> None:
    with example(quick, tmp_path, of_speaker, "speaker") as speaker:
        session = read_until(speaker, r"session: (\w+-\w+-\d+)")
        link = read_until(speaker, rf"link: (https://listen\.example\.org/#{session}/\S+)")
        with (
            example(quick, tmp_path, of_listener, "listener", session) as by_id,
            example(quick, tmp_path, of_listener, "listener", link) as by_link,
        ):
            for listener in (by_id, by_link):
                read_until(listener, f"(you hear es in {session}, spoken in en)")
            read_until(speaker, r"listeners: (2) .*es.*2.*")
            speaker.send_signal(signal.SIGINT)
            for process in (speaker, by_id, by_link):
                read_until(process, r"ended \((speakerEnded)\)")
                assert process.wait() == 0


def test_typed_commands_control_the_javascript_clients(quick: Target, tmp_path: Path) -> None:
    with example(quick, tmp_path, "javascript", "speaker") as speaker:
        session = read_until(speaker, r"session: (\w+-\w+-\d+)")
        with example(quick, tmp_path, "javascript", "listener", session) as listener:
            read_until(listener, "(you hear es) in .*")
            say(listener, "fr")
            read_until(listener, "you hear (fr)")
            say(speaker, "Good morning")
            read_until(listener, r"(\[fr\] Good morning)")
            say(speaker, "pause")
            read_until(speaker, "pause: (done)")
            read_until(listener, r"paused \((speakerPaused)\)")
            say(speaker, "end")
            read_until(speaker, "end: (done)")
            assert (speaker.wait(), listener.wait()) == (0, 0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_listener_explains_why_it_cannot_join(
    quick: Target, tmp_path: Path, language: str
) -> None:
    with example(quick, tmp_path, language, "listener", "golden-eagle-999") as listener:
        assert listener.wait() == 1
        assert listener.stderr
        assert listener.stderr.read().splitlines()[-1].startswith("SESSION_NOT_FOUND: ")


def test_the_examples_of_the_python_package_run(quick: Target, tmp_path: Path) -> None:
    page = (ROOT / "clients" / "python" / "README.md").read_text()
    listen, speak, *_ = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    listen = re.sub('wss://[^"]+', quick.url, listen)
    with example(quick, tmp_path, "python", "speaker") as speaker:
        session = read_until(speaker, r"session: (\w+-\w+-\d+)")
        command = (sys.executable, "-c", listen, session, "es-AR")
        with run(quick, tmp_path, *command) as listener:
            read_until(listener, "(joined)")
            speaker.send_signal(signal.SIGINT)
            read_until(listener, "ended (speakerEnded)")
            assert listener.wait() == 0
    token = quick.tokens()["IdToken"]
    speak += f"\nimport asyncio\nasyncio.run(speak({quick.url!r}, lambda: {token!r}))"
    with run(quick, tmp_path, sys.executable, "-c", speak) as speaker:
        read_until(speaker, r"(https://listen\.example\.org/#\S+)")
        read_until(speaker, "(live)")


CAPTIONS = (sys.executable, "-m", "examples.captions")


def test_the_captions_example_goes_on_after_a_line_that_is_refused(
    server: Target, tmp_path: Path
) -> None:
    with run(server, tmp_path, *CAPTIONS) as process:
        read_until(process, r"(\w+-\w+-\d+): type .*")
        said, complaints = process.communicate(f"\n{'x' * 1001}\nGood morning.", timeout=60)
    assert complaints == "not published: text may have 1000 characters at most.\n"
    lines = said.splitlines()
    assert "   English   1  Good morning." in lines
    assert " Ukrainian   1  [uk] Good morning." in lines
    assert [line for line in lines if line.startswith("   Spanish   1  [es] Good morning.")]
    assert process.returncode == 0


def test_ctrl_c_ends_the_captions_example_while_it_waits_for_a_line(
    server: Target, tmp_path: Path
) -> None:
    with run(server, tmp_path, *CAPTIONS) as process:
        read_until(process, r"(\w+-\w+-\d+): type .*")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr
        assert process.stderr.read() == ""


def test_the_captions_example_says_that_no_server_runs(server: Target, tmp_path: Path) -> None:
    absent = replace(server, url="ws://127.0.0.1:9/local")
    with run(absent, tmp_path, *CAPTIONS) as process:
        said, complaints = process.communicate(timeout=30)
    assert said == ""
    assert complaints.startswith("the example can't continue: ")
    assert "no local gateway responds on port 9" in complaints
    assert complaints.count("\n") == 1
    assert process.returncode == 1
