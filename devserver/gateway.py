"""What all connections share: the application, its limits, the threads, who is connected."""

import asyncio
import json
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from devserver.application import Application
from devserver.collector import Collector
from devserver.events import Api, Event
from devserver.faults import Dice
from devserver.functions import Function
from devserver.local_only import LOOPBACK_HOSTS
from devserver.log import Log
from devserver.workers import Done, Workers

if TYPE_CHECKING:
    from devserver.connection import Connection

INTEGRATION_TIMEOUT_SECONDS = 29
"""Source: developer guide, limits of WebSocket APIs: 29 s, fixed."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a connection may live. Source: 10 minutes and 2 hours on AWS, fixed."""

    idle_seconds: float = 600
    lifetime_seconds: float = 7200

    def at_rate(self, clock_rate: float) -> "Timeouts":
        """Return what the real clock shows when these have gone by on a faster one."""
        return Timeouts(self.idle_seconds / clock_rate, self.lifetime_seconds / clock_rate)


class Gateway:
    """The API's state. All of it belongs to the event loop, but `application`, which may be
    replaced at any time: each event is handled by the one that is there when it begins.

    `timeouts` are the application's, and `clock_rate` is how much faster than the loop's its
    clock runs.
    """

    def __init__(
        self,
        api: Api,
        application: Application,
        timeouts: Timeouts,
        workers: Workers,
        log: Log,
        dice: Dice,
        collector: Collector,
        clock_rate: float = 1,
    ) -> None:
        self.api = api
        self.application = application
        self.timeouts = timeouts.at_rate(clock_rate)
        self.workers = workers
        self.log = log
        self.dice = dice
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
        self.unfinished: set[object] = set()
        self._ordinals = count(1)
        self._late: dict[Callable[[], None], asyncio.TimerHandle] = {}

    def next_ordinal(self) -> int:
        """Number a connection; the log knows it by this."""
        return next(self._ordinals)

    def replace_application(self, application: Application) -> None:
        """Serve this one from now on; from any thread."""
        self.application = application
        with suppress(RuntimeError):  # The loop has closed.
            self.loop.call_soon_threadsafe(self.on_application_replaced)

    def run(self, function: Function, event: Event, timeout_seconds: float, done: Done) -> None:
        """Run a function in a thread; `done(result, error)` follows on the loop."""
        call = self.dice.handler(function) if self.dice.afflicts_handlers else function
        self.workers.run(call, event, timeout_seconds, done)

    def call_late(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call back when so many of the clock's seconds have gone by, or the server stops."""
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
        """Run a function for the gateway; `done(result, error)` follows on the loop.

        The error is TimedOut after the function's own timeout or the integration's.
        """
        timeout_seconds = min(function.timeout_seconds, INTEGRATION_TIMEOUT_SECONDS)
        self.run(function, event, timeout_seconds, done)

    def find_connection(self, connection_id: str) -> "Connection | None":
        """Return the connection if it is open: neither within $connect nor closed."""
        return self.open_connections.get(connection_id)

    async def stop(self, drain_seconds: float, is_hurried: asyncio.Event) -> None:
        """Close every connection with 1001; wait for handlers, $disconnect's among them.

        Handlers still reach @connections and the Lambda API meanwhile. Waits for `drain_seconds`
        at most, or until `is_hurried`.
        """
        self.is_stopping = True
        for callback in list(self._late):
            self._call_late(callback)
        for connection in list(self.open_connections.values()):
            connection.close(*GOING_AWAY)
        deadline = self.loop.time() + drain_seconds
        while self._is_busy() and self.loop.time() < deadline and not is_hurried.is_set():
            await asyncio.sleep(_DRAIN_POLL_SECONDS)
        self.log.flush()

    def _is_busy(self) -> bool:
        return bool(self.unfinished or self.workers.running_count)


GOING_AWAY = (1001, "Going away")
"""Source: inferred from emulators; AWS documents no code for idle and lifetime."""

_DRAIN_POLL_SECONDS = 0.01


def _do_nothing() -> None:
    pass


def failure_body(message: str, connection_id: str, request_id: str) -> bytes:
    """Encode what API Gateway itself tells a client, refusing or failing."""
    body = {"message": message, "connectionId": connection_id, "requestId": request_id}
    return json.dumps(body).encode()
