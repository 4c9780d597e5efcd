"""What the README tells a user to run."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examples.demo import MAX_CLOCK_RATE
from tests.stories.target import GENEROUS, Target, local_server


def test_the_code_lets_a_speaker_and_a_listener_meet_as_it_is_written(
    served: Target, tmp_path: Path
) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", Path("README.md").read_text(), re.DOTALL)
    assert len(lines.splitlines()) <= 12
    # The environment is there: these tests run in it.
    make = tmp_path / "make"
    options = f"--old-file .venv/.installed BIN={Path(sys.executable).parent}"
    make.write_text(f'#!/bin/sh\nexec {shutil.which("make")} {options} "$@"\n')
    make.chmod(0o755)
    nowhere = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy"), "http://127.0.0.1:9")
    port = served.url.rpartition(":")[2].partition("/")[0]
    kept = {name: it for name, it in os.environ.items() if name.lower() != "no_proxy"}
    path = f"{tmp_path}:{os.environ['PATH']}"
    run = subprocess.run(
        [sys.executable, "-c", lines],
        env={**kept, **nowhere, "PATH": path, "PORT": port},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (run.returncode, run.stderr) == (0, "")
    joined, ended = run.stdout.splitlines()
    assert '"type":"sessionJoined"' in joined
    assert '"type":"sessionEnded"' in ended


def play_demo(target: Target, *options: str) -> "subprocess.CompletedProcess[str]":
    port = target.url.rpartition(":")[2].partition("/")[0]
    return subprocess.run(
        [sys.executable, "-m", "examples.demo", "--port", port, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_demo_plays_to_its_end(served: Target) -> None:
    run = play_demo(served, "--fast")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("sessionInterrupted") == 5
    assert run.stdout.count("sessionEnded") == 6
    assert "listenerCount=5  languages={'de': 1, 'es': 1, 'fr': 2, 'it': 1}" in run.stdout


def test_the_demo_takes_long_enough_to_be_watched(served: Target) -> None:
    started = time.monotonic()
    run = play_demo(served)
    assert (run.returncode, run.stderr) == (0, "")
    assert time.monotonic() - started > 10


def test_the_demo_plays_to_its_end_on_the_fastest_clock_that_it_accepts() -> None:
    # Seconds more than the defaults leave, for a test machine that is very busy.
    slack = {
        "HEARTBEAT_TIMEOUT_SECONDS": "600",
        "SPEAKER_GRACE_SECONDS": "600",
    }
    with local_server("--clock-rate", str(MAX_CLOCK_RATE), **GENEROUS, **slack) as hurried:
        run = play_demo(hurried, "--fast")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("sessionInterrupted") == 5
    assert run.stdout.count("sessionEnded") == 6
    assert "listenerCount=5  languages={'de': 1, 'es': 1, 'fr': 2, 'it': 1}" in run.stdout


def test_the_demo_says_when_the_clock_is_too_fast_for_it() -> None:
    with local_server("--clock-rate", "1200") as hurried:
        run = play_demo(hurried)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "the demo can't continue: the server's clock runs 1200 times faster; "
        "start it with a --clock-rate of at most 60\n"
    )


def test_the_token_verb_prints_a_token_and_nothing_else(served: Target) -> None:
    port = served.url.rpartition(":")[2].partition("/")[0]
    command = [sys.executable, "-m", "devserver.user_token", "--port", port]
    run = subprocess.run(
        [*command, "--username", "new@example.com"], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", run.stdout)


@pytest.mark.parametrize(
    ("username", "why"), [("", "the username is empty"), ("anna", "Username should be an email")]
)
def test_the_token_verb_says_why_it_has_no_token(served: Target, username: str, why: str) -> None:
    port = served.url.rpartition(":")[2].partition("/")[0]
    command = [sys.executable, "-m", "devserver.user_token", "--port", port]
    run = subprocess.run([*command, "--username", username], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"no token for {username!r}: {why}")
    assert run.stderr.count("\n") == 1


def test_the_token_verb_says_when_no_server_answers() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "devserver.user_token", "--port", "9"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert run.stdout == ""
    assert "no local server answers on port 9" in run.stderr
