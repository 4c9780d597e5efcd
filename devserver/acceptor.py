"""Accepts connections, and pauses while the process is out of file descriptors.

asyncio's own server tries to accept as often as its backlog is long then, and logs a traceback each
time. Source: asyncio.selector_events, _accept_connection, in Python 3.11.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable

from devserver import descriptors

PAUSE_SECONDS = 1.0

RESERVED_DESCRIPTORS = 64
"""Kept for the application's functions, which open files and connections of their own."""

MAX_ACCEPTS_AT_ONCE = 256
"""Connections that are accepted before other work on the event loop has its turn."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Gives each connection to a bound socket a protocol, on the event loop."""

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.BaseProtocol],
        warn: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._make_protocol = make_protocol
        self._warn = warn
        self._timer: asyncio.TimerHandle | None = None
        self._beginning: set[asyncio.Task[object]] = set()
        listener.setblocking(False)

    def start(self) -> None:
        """Accept connections, those that already wait among them."""
        self._loop.add_reader(self._listener, self._accept_waiting)

    def stop(self) -> None:
        """Accept no more connections, and close the socket."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _accept_waiting(self) -> None:
        for _ in range(MAX_ACCEPTS_AT_ONCE):
            try:
                self._check_room()
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._pause(error)
                return
            self._begin(connection)

    def _check_room(self) -> None:
        """Raises: OSError (EMFILE) if the lowest free descriptor is a reserved one."""
        limit = descriptors.limit()
        if limit is None:
            return
        lowest_free = os.dup(self._listener.fileno())
        os.close(lowest_free)
        if lowest_free >= limit - min(RESERVED_DESCRIPTORS, limit // 4):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def _begin(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        making = self._loop.connect_accepted_socket(self._make_protocol, connection)
        task = self._loop.create_task(making)
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    def _pause(self, error: OSError) -> None:
        self._warn(
            f"no more connections can be opened for now ({error.strerror}); new ones wait. "
            f"Allow more with `ulimit -n`; the limit is {descriptors.limit()}."
        )
        self._loop.remove_reader(self._listener)
        self._timer = self._loop.call_later(PAUSE_SECONDS, self.start)
