"""Commands behind an unreachable proxy, and with an output pipe that closes early."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from gateway_support.serving import Server, serving
from tests.make import ROOT

NOWHERE = "http://127.0.0.1:9"
PROXIES = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NOWHERE),
    "ALL_PROXY": "socks5h://127.0.0.1:9",
    "all_proxy": "socks5h://127.0.0.1:9",
    "NO_PROXY": "a.example",
    "no_proxy": "a.example",
}


@pytest.fixture(scope="module")
def proxied_server() -> Iterator[Server]:
    with serving(ROOT, "--no-reload", has_aws=True, **PROXIES) as server:
        yield server


def command(module: str, *arguments: str, **options: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **PROXIES, **options.pop("environment", {})},
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("local_gateway.user_token",),
        ("examples.demo", "--fast"),
        ("operations.operate", "sessions"),
    ],
)
def test_commands_reach_the_local_server_behind_a_proxy(
    proxied_server: Server, arguments: tuple[str, ...]
) -> None:
    port = str(proxied_server.address[1])
    process = command(*arguments, "--port", port, stdout=subprocess.DEVNULL)
    assert (process.wait(60), "Traceback" in process.communicate()[1]) == (0, False)


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("environment", [{}, {"PYTHONUNBUFFERED": "1"}])
@pytest.mark.parametrize(
    "arguments",
    [
        ("local_gateway.user_token", "--port", "PORT"),
        ("examples.demo", "--fast", "--port", "PORT"),
    ],
)
def test_a_command_exits_quietly_if_its_output_is_closed(
    proxied_server: Server, arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    port, writer = str(proxied_server.address[1]), closed_pipe()
    named = [port if argument == "PORT" else argument for argument in arguments]
    process = command(*named, stdout=writer, environment=environment)
    os.close(writer)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode in (0, 1, 128 + signal.SIGPIPE)
