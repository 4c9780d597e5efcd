"""Ctrl-C before the gateway is ready, at chosen points of the start."""

import os
import signal
from pathlib import Path

import pytest

from gateway_support.serving import SECONDS, Server, write_project

APP = "import colorsys\nfrom chalice import Chalice\napp = Chalice('x')\n"
"""An application that imports a module that nothing else imports."""

INTERRUPTS_ITSELF = """
import os, signal, sys

def interrupt(event, arguments):
    if " ".join([event, *map(str, arguments)]).startswith(POINT):
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(interrupt)
"""
"""A sitecustomize.py that sends SIGINT to its own process when Python reports an audit event."""


@pytest.mark.parametrize(
    "point",
    [
        "import local_gateway.command ",
        "import argparse ",
        "import asyncio ",
        "import chalice.app ",
        "import httptools ",
        "import websockets.protocol ",
        "import watchfiles ",
        "import local_gateway.panel ",
        "socket.bind",
        "import colorsys ",
    ],
)
def test_an_interrupt_ends_the_start_without_a_traceback(tmp_path: Path, point: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"POINT = {point!r}{INTERRUPTS_ITSELF}")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    server = Server(write_project(tmp_path, APP), PYTHONPATH=path)
    assert server.process.wait(SECONDS) == 128 + signal.SIGINT
    assert server.out.join() == server.err.join() == ""
