"""The entry point of commands, which bypasses proxies for requests to this machine."""

import os
import signal
import sys
import threading
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Final, NoReturn

from local_gateway.output_pipes import discard_output, is_reader_gone, output_pipes

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
