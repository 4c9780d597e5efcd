"""The entry point of commands, which handles proxies and closed output pipes."""

import asyncio
import os
import select
import signal
import stat
import sys
import threading
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Final, NoReturn

from local_gateway import own_output

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "::1")

CLOSED_PIPE_EXIT_CODE: Final = 128 + signal.SIGPIPE
"""The exit code that shells report for a program that SIGPIPE terminated."""

EXIT_SECONDS: Final = 2
"""How long threads, child processes and exit functions can delay the exit."""


def run_command(main: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit with its exit code.

    Requests from this process and its children to this machine bypass any proxy. If the reader of
    the command's output closes the pipe, the command exits without a traceback. If threads or
    child processes still run, it exits EXIT_SECONDS after the end of `main`.
    """
    bypass_proxies(os.environ)
    try:
        code = main()
        print(end="", flush=True)
    except BrokenPipeError:
        if output_pipes() and not is_reader_gone():  # discard_output leaves no pipes.
            raise
        code = CLOSED_PIPE_EXIT_CODE
    finally:
        if is_reader_gone():
            discard_output()
    _exit(code or 0)


def _exit(code: int) -> NoReturn:
    """Exit as usual, which waits for threads and child processes, or else after EXIT_SECONDS."""
    timer = threading.Timer(EXIT_SECONDS, os._exit, [code])
    timer.daemon = True
    with suppress(RuntimeError):  # The application's threads use up the system's limit.
        timer.start()
    sys.exit(code)


def bypass_proxies(environment: MutableMapping[str, str]) -> None:
    """Add this machine to the environment's proxy exceptions.

    Sets both `no_proxy` and `NO_PROXY`, because Python prefers the first and other programs prefer
    the second.
    """
    named = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    names = [name.strip() for name in named.split(",") if name.strip()]
    if names != ["*"]:
        names += [name for name in LOOPBACK_NAMES if name not in names]
    environment["no_proxy"] = environment["NO_PROXY"] = ",".join(names)


def output_pipes() -> list[int]:
    """List the file descriptors of the output that are pipes."""
    pipes = []
    for number in own_output.descriptors:
        with suppress(OSError):  # The descriptor is closed.
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                pipes.append(number)
    return pipes


def is_reader_gone() -> bool:
    """Return whether the reader of an output pipe has closed it."""
    poll = select.poll()
    for number in output_pipes():
        poll.register(number, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def watch_output(loop: asyncio.AbstractEventLoop, reader_gone: Callable[[], None]) -> None:
    """Call `reader_gone` once if the reader closes an output pipe. Later output is discarded."""
    pipes = output_pipes()

    def stop_watching() -> None:
        for number in pipes:
            loop.remove_reader(number)
        discard_output()
        reader_gone()

    for number in pipes:
        # The write end of a pipe becomes readable when the read end closes.
        loop.add_reader(number, stop_watching)


def discard_output() -> None:
    """Redirect output pipes to the null device. Buffered output is discarded, too."""
    null_device = os.open(os.devnull, os.O_WRONLY)
    for number in output_pipes():
        os.dup2(null_device, number)
    os.close(null_device)
