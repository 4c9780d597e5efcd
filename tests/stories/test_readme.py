"""What the README tells a user to run."""

import re
import subprocess
import sys
from pathlib import Path

from tests.stories.target import Target


def test_the_ten_lines_let_a_speaker_and_a_listener_meet(served: Target) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", Path("README.md").read_text(), re.DOTALL)
    assert len(lines.splitlines()) <= 12
    lines = lines.replace("ws://127.0.0.1:8000/local", served.url)
    asks_for_a_token = 'subprocess.check_output(["make", "-s", "token"], text=True)'
    assert asks_for_a_token in lines
    lines = lines.replace(asks_for_a_token, repr(served.tokens()["IdToken"]))
    run = subprocess.run(
        [sys.executable, "-c", lines], capture_output=True, text=True, timeout=30, check=True
    )
    joined, ended = run.stdout.splitlines()
    assert '"type":"sessionJoined"' in joined
    assert '"type":"sessionEnded"' in ended


def test_the_demo_plays_to_its_end(served: Target) -> None:
    port = served.url.rpartition(":")[2].partition("/")[0]
    run = subprocess.run(
        [sys.executable, "-m", "examples.demo", "--port", port],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert run.stdout.count("sessionEnded") == 6
    assert "listenerCount=5  languages={'de': 1, 'es': 1, 'fr': 2, 'it': 1}" in run.stdout


def test_the_token_verb_prints_a_token_and_nothing_else(served: Target) -> None:
    port = served.url.rpartition(":")[2].partition("/")[0]
    command = [sys.executable, "-m", "devserver.user_token", "--port", port]
    run = subprocess.run(
        [*command, "--username", "new@example.com"], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", run.stdout)


def test_the_token_verb_says_when_no_server_answers() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "devserver.user_token", "--port", "9"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert run.stdout == ""
    assert "no local server answers on port 9" in run.stderr
