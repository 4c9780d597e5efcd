"""Accepts TCP connections, with a pause while the process is out of file descriptors.

asyncio's own server retries once per backlog entry in that situation, and logs a traceback each
time. Source: asyncio.selector_events, _accept_connection, in Python 3.11.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable

from local_gateway import descriptors, forks, own_output

PAUSE_SECONDS = 1.0
"""Time until the next attempt when no file descriptor is free."""

RESERVED_DESCRIPTORS = 64
"""File descriptors reserved for the files and connections that the application's functions open."""

MAX_ACCEPTS_AT_ONCE = 256
"""Connections accepted in one turn, before the event loop does other work."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Accepts connections on the event loop, and attaches a protocol to each one."""

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.BaseProtocol],
        warn: Callable[[str], None],
    ) -> None:
        """Prepare to accept connections; `start` begins.

        Args:
            listener: A listening socket.
            make_protocol: Returns the protocol of a new connection.
            warn: Receives a message when the process is out of file descriptors.
        """
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._make_protocol = make_protocol
        self._warn = warn
        self._timer: asyncio.TimerHandle | None = None
        self._starting: set[asyncio.Task[object]] = set()
        listener.setblocking(False)
        forks.close_in_forks(listener)

    def start(self) -> None:
        """Start to accept connections, including those that are already waiting."""
        self._loop.add_reader(self._listener, self._accept_waiting)

    def stop(self) -> None:
        """Stop accepting connections and close the socket."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _accept_waiting(self) -> None:
        for _ in range(MAX_ACCEPTS_AT_ONCE):
            try:
                self._check_descriptors()
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._pause(error)
                return
            self._start_protocol(connection)

    def _check_descriptors(self) -> None:
        """Raise OSError (EMFILE) if only reserved file descriptors are free.

        If a function has closed a standard stream, its descriptor is filled first. Otherwise the
        next connection would receive all that the application writes to the stream.
        """
        lowest_free = os.dup(self._listener.fileno())
        os.close(lowest_free)
        if lowest_free <= own_output.LAST_STANDARD_DESCRIPTOR:
            own_output.fill_standard_descriptors()
        limit = descriptors.limit()
        if limit is not None and lowest_free >= limit - min(RESERVED_DESCRIPTORS, limit // 4):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def _start_protocol(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        forks.close_in_forks(connection)
        connecting = self._loop.connect_accepted_socket(self._make_protocol, connection)
        task = self._loop.create_task(connecting)
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    def _pause(self, error: OSError) -> None:
        self._warn(
            f"the gateway can't open more connections ({error.strerror}); new connections wait. "
            f"Raise the limit of {descriptors.limit()} file descriptors with `ulimit -n`."
        )
        self._loop.remove_reader(self._listener)
        self._timer = self._loop.call_later(PAUSE_SECONDS, self.start)
