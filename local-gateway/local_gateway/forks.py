"""Processes that the application forks, such as multiprocessing's.

A forked process inherits all descriptors. Without this module, it would keep ports and connections
open that the gateway has closed, and signals to it would stop the gateway.
"""

import os
import signal
from typing import Protocol
from weakref import WeakSet


class Closable(Protocol):
    """A socket or a file."""

    def close(self) -> None:
        """Close the descriptor."""


_ours: WeakSet[Closable] = WeakSet()


def close_in_forks(resource: Closable) -> None:
    """Let processes that are forked from now on close their copy of a descriptor."""
    _ours.add(resource)


def _after_fork() -> None:
    for resource in list(_ours):
        resource.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


os.register_at_fork(after_in_child=_after_fork)
