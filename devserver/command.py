"""Runs a command of this project: behind a proxy, and into a pipe that closes early."""

import asyncio
import os
import select
import signal
import stat
import sys
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Final, NoReturn

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "::1")

CLOSED_PIPE_EXIT_CODE: Final = 128 + signal.SIGPIPE
"""The exit code that shells report for a program that SIGPIPE has ended."""


def run_command(main: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit with its code.

    Requests to this machine go to no proxy, from this process or its children. If the reader of
    the command's output leaves, the command ends without a traceback.
    """
    bypass_proxies(os.environ)
    try:
        code = main()
        print(end="", flush=True)
    except BrokenPipeError:
        if not is_reader_gone():
            raise
        code = CLOSED_PIPE_EXIT_CODE
    finally:
        if is_reader_gone():
            discard_output()
    sys.exit(code)


def bypass_proxies(environment: MutableMapping[str, str]) -> None:
    """Except this machine from the proxies that an environment names.

    The lower-case name wins in Python, the upper-case one in other programs, so both are set.
    """
    named = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    names = [name.strip() for name in named.split(",") if name.strip()]
    if names != ["*"]:
        names += [name for name in LOOPBACK_NAMES if name not in names]
    environment["no_proxy"] = environment["NO_PROXY"] = ",".join(names)


def output_pipes() -> list[int]:
    """List which of standard output and standard error are pipes, by their descriptors."""
    pipes = []
    for number in (1, 2):
        with suppress(OSError):  # It is closed.
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                pipes.append(number)
    return pipes


def is_reader_gone() -> bool:
    """Say whether a pipe that takes this process's output has lost its reader."""
    poll = select.poll()
    for number in output_pipes():
        poll.register(number, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def watch_output(loop: asyncio.AbstractEventLoop, reader_gone: Callable[[], None]) -> None:
    """Call back once if a reader of this process's output leaves; further output goes nowhere."""
    pipes = output_pipes()

    def stop_watching() -> None:
        for number in pipes:
            loop.remove_reader(number)
        discard_output()
        reader_gone()

    for number in pipes:
        # A pipe's end for writing becomes readable when the other end closes.
        loop.add_reader(number, stop_watching)


def discard_output() -> None:
    """Send what goes into pipes nowhere from now on, buffered output included."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in output_pipes():
        os.dup2(nowhere, number)
    os.close(nowhere)
