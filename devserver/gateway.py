"""What all connections share: the application, its limits, the threads, who is connected."""

import asyncio
import json
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from devserver.application import Application
from devserver.events import Api, Event
from devserver.functions import Function
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


class Gateway:
    """The API's state. All of it belongs to the event loop, but `application`, which may be
    replaced at any time: each event is handled by the one that is there when it begins.
    """

    def __init__(
        self, api: Api, application: Application, timeouts: Timeouts, workers: Workers, log: Log
    ) -> None:
        self.api = api
        self.application = application
        self.timeouts = timeouts
        self.workers = workers
        self.log = log
        self.loop = asyncio.get_running_loop()
        self.environment: dict[str, str] = {}
        self.endpoint = ""
        self.is_stopping = False
        self.open_connections: dict[str, Connection] = {}
        self.unfinished: set[object] = set()
        self._ordinals = count(1)

    def next_ordinal(self) -> int:
        """Number a connection; the log knows it by this."""
        return next(self._ordinals)

    def invoke(self, function: Function, event: Event, done: Done) -> None:
        """Run a function for the gateway; `done(result, error)` follows on the loop.

        The error is TimedOut after the function's own timeout or the integration's.
        """
        timeout_seconds = min(function.timeout_seconds, INTEGRATION_TIMEOUT_SECONDS)
        self.workers.run(function, event, timeout_seconds, done)

    def find_connection(self, connection_id: str) -> "Connection | None":
        """Return the connection if it is open: neither within $connect nor closed."""
        return self.open_connections.get(connection_id)

    async def stop(self, drain_seconds: float, is_hurried: asyncio.Event) -> None:
        """Close every connection with 1001; wait for handlers, $disconnect's among them.

        Handlers still reach @connections and the Lambda API meanwhile. Waits for `drain_seconds`
        at most, or until `is_hurried`.
        """
        self.is_stopping = True
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


def now() -> float:
    """Read the clock: seconds since 1970."""
    return time.time()


def failure_body(message: str, connection_id: str, request_id: str) -> bytes:
    """Encode what API Gateway itself tells a client, refusing or failing."""
    body = {"message": message, "connectionId": connection_id, "requestId": request_id}
    return json.dumps(body).encode()
