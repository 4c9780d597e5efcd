"""The state that all connections of the local API Gateway share."""

import asyncio
import json
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from local_gateway.application import Application
from local_gateway.collector import Collector
from local_gateway.events import Api, Event
from local_gateway.faults import FaultInjector, Faults, Throttled
from local_gateway.functions import Function
from local_gateway.local_only import LOOPBACK_HOSTS
from local_gateway.log import Log
from local_gateway.workers import Done, Workers

if TYPE_CHECKING:
    from local_gateway.connection import Connection, Socket

INTEGRATION_TIMEOUT_SECONDS = 29
"""Source: developer guide, limits of WebSocket APIs: 29 s, fixed."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The timeouts of a connection. On AWS they are fixed: 10 minutes idle, 2 hours in total."""

    idle_seconds: float = 600
    lifetime_seconds: float = 7200

    def at_rate(self, clock_rate: float) -> "Timeouts":
        """Return the timeouts in real time if the application's clock runs at this rate."""
        return Timeouts(self.idle_seconds / clock_rate, self.lifetime_seconds / clock_rate)


class Gateway:
    """The API's state.

    All attributes belong to the event loop, except `application`, which another thread can replace
    at any time. Each event runs in the application that is current when the event starts.
    """

    def __init__(
        self,
        api: Api,
        application: Application,
        timeouts: Timeouts,
        workers: Workers,
        log: Log,
        fault_injector: FaultInjector,
        collector: Collector,
        clock_rate: float = 1,
    ) -> None:
        """Start without connections.

        Args:
            api: The API's identity in events.
            application: The application.
            timeouts: The connections' timeouts, in the application's time.
            workers: The threads that run handlers.
            log: The gateway's log.
            fault_injector: The current faults.
            collector: The metrics.
            clock_rate: Speed of the application's clock, as a multiple of real time.
        """
        self.api = api
        self.application = application
        self.timeouts = timeouts.at_rate(clock_rate)
        self.workers = workers
        self.log = log
        self.fault_injector = fault_injector
        self.clock_rate = clock_rate
        self.collector = collector
        self.loop = asyncio.get_running_loop()
        self.on_application_replaced: Callable[[], None] = _do_nothing
        self.environment: dict[str, str] = {}
        self.endpoint = ""
        self.own_hosts: Set[str] = LOOPBACK_HOSTS
        self.source_ip_header: str | None = None
        self.is_stopping = False
        self.open_connections: dict[str, Connection] = {}
        self.silent_sockets: dict[Socket, float] = {}
        self.unfinished: set[object] = set()
        self._ordinals = count(1)
        self._late: dict[Callable[[], None], asyncio.TimerHandle] = {}

    def next_ordinal(self) -> int:
        """Return the next connection's number for the log."""
        return next(self._ordinals)

    def replace_application(self, application: Application) -> None:
        """Replace the application. Thread-safe."""
        self.application = application
        with suppress(RuntimeError):  # The loop has closed.
            self.loop.call_soon_threadsafe(self.on_application_replaced)

    def run(self, function: Function, event: Event, timeout_seconds: float, done: Done) -> None:
        """Run a function in a thread, then call `done(result, error)` on the event loop.

        The error is Throttled if a fault limits the concurrency, and the limit is reached.
        """
        injector = self.fault_injector
        call: Callable[[Event], object] = function
        if injector.affects_handlers:
            limit = injector.faults.lambda_concurrency
            if limit is not None and self.workers.running_count >= limit:
                self.loop.call_soon(lambda: done(None, Throttled("lambda_concurrency")))
                return
            call = injector.wrap(function)
        self.workers.run(call, event, timeout_seconds, done)

    def set_faults(self, faults: Faults) -> None:
        """Replace the faults, and silence connections or end their silence accordingly."""
        self.fault_injector.faults = faults
        for socket, number in list(self.silent_sockets.items()):
            if number >= faults.connection_silent_share:
                self._end_silence(socket)
        for connection in self.open_connections.values():
            connection.silence_by_fault()

    def _end_silence(self, socket: "Socket") -> None:
        del self.silent_sockets[socket]
        socket.end_silence()

    def call_late(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back after a time of the application's clock, or when the gateway stops."""
        if self.is_stopping:
            callback()
        else:
            self._late[callback] = self.loop.call_later(
                seconds / self.clock_rate, self._call_late, callback
            )

    def _call_late(self, callback: Callable[[], None]) -> None:
        self._late.pop(callback).cancel()
        callback()

    def invoke(self, function: Function, event: Event, done: Done) -> None:
        """Run a route's function, then call `done(result, error)` on the event loop.

        The error is TimedOut after the function's timeout or the integration's, whichever is
        shorter.
        """
        timeout_seconds = min(function.timeout_seconds, INTEGRATION_TIMEOUT_SECONDS)
        self.run(function, event, timeout_seconds, done)

    def find_connection(self, connection_id: str) -> "Connection | None":
        """Return an open connection; None during $connect and after the close."""
        return self.open_connections.get(connection_id)

    async def stop(self, drain_seconds: float, skip_drain: asyncio.Event) -> None:
        """Close all connections with code 1001, and wait for handlers, including $disconnect's.

        Handlers can still use @connections and the Lambda API while the gateway waits.

        Args:
            drain_seconds: Longest wait.
            skip_drain: Ends the wait when set.
        """
        self.is_stopping = True
        for callback in list(self._late):
            self._call_late(callback)
        for connection in list(self.open_connections.values()):
            connection.close(*GOING_AWAY)
        deadline = self.loop.time() + drain_seconds
        while self._is_busy() and self.loop.time() < deadline and not skip_drain.is_set():
            await asyncio.sleep(_DRAIN_POLL_SECONDS)
        for socket in list(self.silent_sockets):
            self._end_silence(socket)
        self.log.flush()

    def _is_busy(self) -> bool:
        return bool(self.unfinished or self.workers.running_count)


GOING_AWAY = (1001, "Going away")
"""The close code and reason for timeouts. AWS documents none; these are from emulators."""

_DRAIN_POLL_SECONDS = 0.01


def _do_nothing() -> None:
    pass


def failure_body(message: str, connection_id: str, request_id: str) -> bytes:
    """Encode the error message that API Gateway itself sends to a client."""
    body = {"message": message, "connectionId": connection_id, "requestId": request_id}
    return json.dumps(body).encode()
