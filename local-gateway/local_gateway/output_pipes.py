"""The pipes that a command writes its output to, whose reader can close them."""

import asyncio
import os
import select
import stat
from collections.abc import Callable
from contextlib import suppress

from local_gateway import own_output


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
