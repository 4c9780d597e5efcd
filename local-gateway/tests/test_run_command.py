"""Commands behind a proxy, and with an output pipe that closes early."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_support.serving import APPS, SECONDS, write_project
from local_gateway.command import bypass_proxies


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": ""}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "a.example, localhost"}, "a.example,localhost,127.0.0.1,::1"),
        ({"no_proxy": "a.example", "NO_PROXY": "b.example"}, "a.example,127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "*"}, "*"),
    ],
)
def test_this_machine_is_added_to_the_proxy_exceptions(before: dict[str, str], after: str) -> None:
    bypass_proxies(before)
    assert before == {"NO_PROXY": after, "no_proxy": after}


def command(*arguments: str, stdout: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "local_gateway", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_help_exits_quietly_if_its_output_is_closed() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = command("--help", stdout=writer)
    os.close(writer)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode in (0, 128 + signal.SIGPIPE)


def test_the_server_exits_quietly_if_its_output_is_closed_before_it_is_ready(
    tmp_path: Path,
) -> None:
    app = "import sys\nfrom chalice import Chalice\nprint('loading', flush=True)\n"
    project = write_project(tmp_path, f"{app}sys.stdin.readline()\napp = Chalice('x')\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "local_gateway", "--port", "0", "--project", str(project)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "loading\n"
    process.stdout.close()
    assert process.communicate("\n", timeout=SECONDS)[1] == ""
    assert process.returncode in (0, 128 + signal.SIGPIPE)


def test_the_server_exits_quietly_if_its_output_is_closed() -> None:
    options = ("--port", "0", "--project", str(APPS / "one_way"))
    process = command("--no-aws", *options, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready: ")
    process.stdout.close()
    assert process.wait(SECONDS) == 0
    assert process.communicate()[1] == ""
