"""The README's code example and commands."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examples.demo import MAX_CLOCK_RATE
from tests.make import put_make
from tests.stories.target import HIGH_LIMITS, Target, local_server


def test_the_code_example_runs(served: Target, tmp_path: Path) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", Path("README.md").read_text(), re.DOTALL)
    assert len(lines.splitlines()) <= 14
    nowhere = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy"), "http://127.0.0.1:9")
    port = served.url.rpartition(":")[2].partition("/")[0]
    kept = {name: it for name, it in os.environ.items() if name.lower() != "no_proxy"}
    run = subprocess.run(
        [sys.executable, "-c", lines],
        env={
            **kept,
            **nowhere,
            "NO_PROXY": "127.0.0.1",
            "PATH": put_make(tmp_path),
            "PORT": port,
        },
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines() == [
        "StateChanged(state='connecting', reason=None, retry_in_seconds=None)",
        "StateChanged(state='joined', reason=None, retry_in_seconds=None)",
        "SessionEnded(state='ended', reason='speakerEnded', retry_in_seconds=None)",
    ]


def play_demo(target: Target, *options: str) -> "subprocess.CompletedProcess[str]":
    port = target.url.rpartition(":")[2].partition("/")[0]
    return subprocess.run(
        [sys.executable, "-m", "examples.demo", "--port", port, *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_demo_completes(served: Target) -> None:
    run = play_demo(served, "--fast")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("sessionInterrupted") == 5
    assert run.stdout.count("sessionEnded") == 6
    assert "listenerCount=5  languages={'de': 1, 'es': 1, 'fr': 2, 'it': 1}" in run.stdout


def test_the_demo_takes_more_than_10_seconds(served: Target) -> None:
    started = time.monotonic()
    run = play_demo(served)
    assert (run.returncode, run.stderr) == (0, "")
    assert time.monotonic() - started > 10


def test_the_demo_completes_with_the_fastest_accepted_clock() -> None:
    # Longer than the defaults, for a very busy test machine.
    slack = {
        "HEARTBEAT_TIMEOUT_SECONDS": "600",
        "SPEAKER_GRACE_SECONDS": "600",
    }
    with local_server("--clock-rate", str(MAX_CLOCK_RATE), **HIGH_LIMITS, **slack) as fast_server:
        run = play_demo(fast_server, "--fast")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("sessionInterrupted") == 5
    assert run.stdout.count("sessionEnded") == 6
    assert "listenerCount=5  languages={'de': 1, 'es': 1, 'fr': 2, 'it': 1}" in run.stdout


def test_the_demo_refuses_a_faster_clock() -> None:
    with local_server("--clock-rate", "1200") as fast_server:
        run = play_demo(fast_server)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "the demo can't continue: the server's clock runs 1200 times faster; "
        "start it with a --clock-rate of at most 60\n"
    )


def test_make_token_prints_only_a_token(served: Target) -> None:
    port = served.url.rpartition(":")[2].partition("/")[0]
    command = [sys.executable, "-m", "local_gateway.user_token", "--port", port]
    run = subprocess.run(
        [*command, "--username", "new@example.com"], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", run.stdout)


@pytest.mark.parametrize(
    ("username", "why"), [("", "the username is empty"), ("anna", "Username should be an email")]
)
def test_make_token_explains_why_there_is_no_token(served: Target, username: str, why: str) -> None:
    port = served.url.rpartition(":")[2].partition("/")[0]
    command = [sys.executable, "-m", "local_gateway.user_token", "--port", port]
    run = subprocess.run([*command, "--username", username], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"no token for {username!r}: {why}")
    assert run.stderr.count("\n") == 1


def test_make_token_reports_that_no_server_is_running() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "local_gateway.user_token", "--port", "9"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert run.stdout == ""
    assert "no local gateway responds on port 9" in run.stderr
