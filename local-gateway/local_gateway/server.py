"""The gateway's start and shutdown."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from local_gateway.acceptor import Acceptor
from local_gateway.application import Application
from local_gateway.collector import Collector
from local_gateway.events import DEFAULT_REGION, Api
from local_gateway.faults import FaultInjector, Faults
from local_gateway.gateway import Gateway, Timeouts
from local_gateway.http_wire import HttpWire
from local_gateway.local_only import LOOPBACK_HOSTS
from local_gateway.log import Log
from local_gateway.scheduler import Scheduler
from local_gateway.standard_output import Streams
from local_gateway.workers import Workers

BACKLOG = 4096
"""Maximum number of connections that wait to be accepted. Hundreds can arrive within a second."""

DRAIN_SECONDS = 5
"""How long the shutdown waits for running handlers and $disconnect events."""


@dataclass(frozen=True, slots=True)
class Options:
    """The gateway's options.

    `clock_rate` must equal the rate of clock.running_at, which sets the clock.
    """

    stage: str = "local"
    timeouts: Timeouts = field(default_factory=Timeouts)
    is_quiet: bool = False
    host: str = "127.0.0.1"
    clock_rate: float = 1
    source_ip_header: str | None = None
    faults: Faults = field(default_factory=Faults)
    fault_seed: int = 0


class CannotListen(Exception):
    """The port is in use or can't be bound. The message contains host, port and reason."""

    def __init__(self, host: str, port: int, error: OSError | UnicodeError) -> None:
        """Create the message from the operating system's error, or that of an invalid host."""
        reason = error.strerror if isinstance(error, OSError) else error
        super().__init__(f"can't listen on {host}:{port}: {reason}")


def bind(host: str, port: int) -> socket.socket:
    """Bind a port without listening. The system refuses clients until `serve` listens.

    Args:
        host: The address.
        port: The port; 0 for any free port.

    Raises:
        CannotListen: The port is in use or can't be bound.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, UnicodeError) as error:
        listener.close()
        raise CannotListen(host, port, error) from None
    return listener


@asynccontextmanager
async def serve(
    application: Application,
    listener: socket.socket,
    options: Options,
    environment: Mapping[str, str],
    skip_drain: asyncio.Event,
    collector: Collector | None = None,
    streams: Streams | None = None,
) -> AsyncIterator[Gateway]:
    """Serve the application until the context ends.

    At the end, closes all connections and waits up to DRAIN_SECONDS for running handlers.

    Args:
        application: The application.
        listener: A bound socket.
        options: The gateway's options.
        environment: Environment variables to publish at router.ENVIRONMENT_PATH.
        skip_drain: Ends the wait for running handlers when set.
        collector: Counts the gateway's events, and contains the application's metrics.
        streams: Receive the log. Default: the streams in `sys`.

    Yields:
        The gateway.

    Raises:
        CannotListen: Another gateway that started at the same time listens on the port.
    """
    loop = asyncio.get_running_loop()
    api = Api(stage=options.stage, region=os.environ.get("AWS_REGION", DEFAULT_REGION))
    collector = collector or Collector()
    log = Log(loop, collector, is_quiet=options.is_quiet, streams=streams)
    injector = FaultInjector(options.fault_seed)
    injector.faults = options.faults
    gateway = Gateway(
        api,
        application,
        options.timeouts,
        Workers(loop),
        log,
        injector,
        collector,
        options.clock_rate,
    )
    gateway.endpoint = endpoint(listener, "ws", options.stage)
    gateway.environment = dict(environment)
    gateway.own_hosts = LOOPBACK_HOSTS | {options.host.lower(), listener.getsockname()[0]}
    gateway.source_ip_header = options.source_ip_header and options.source_ip_header.lower()
    scheduler = Scheduler(gateway)
    gateway.on_application_replaced = scheduler.restart
    wires: set[HttpWire] = set()
    acceptor = Acceptor(listener, lambda: HttpWire(gateway, wires), log.error)
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        host, port = listener.getsockname()[:2]
        raise CannotListen(host, port, error) from None
    acceptor.start()
    scheduler.restart()
    try:
        yield gateway
    finally:
        scheduler.stop()
        await gateway.stop(DRAIN_SECONDS, skip_drain)
        acceptor.stop()
        for wire in list(wires):
            wire.close()
        log.close()


def endpoint(listener: socket.socket, scheme: str, stage: str | None) -> str:
    """Return the gateway's URL, with the stage's path if one is given."""
    host, port = listener.getsockname()[:2]
    address = f"{scheme}://{host}:{port}"
    return address if stage is None else f"{address}/{stage}"


def page_origins(listener: socket.socket) -> tuple[str, ...]:
    """Return the origins of the pages that the gateway serves."""
    port = listener.getsockname()[1]
    return (
        endpoint(listener, "http", None),
        f"http://127.0.0.1:{port}",
        f"http://localhost:{port}",
    )
