"""The server: a bound socket, the gateway behind it, its start and its end."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from devserver.acceptor import Acceptor
from devserver.application import Application
from devserver.collector import Collector
from devserver.events import DEFAULT_REGION, Api
from devserver.faults import Dice, Faults
from devserver.gateway import Gateway, Timeouts
from devserver.http_wire import HttpWire
from devserver.local_only import LOOPBACK_HOSTS
from devserver.log import Log
from devserver.scheduler import Scheduler
from devserver.workers import Workers

BACKLOG = 4096
"""Connects that may wait to be accepted; a hall of listeners comes within a second."""

DRAIN_SECONDS = 5
"""How long running handlers and $disconnect events may take when the server ends."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the application is served.

    The clock itself is set elsewhere (clock.running_at); here is said how fast it runs.
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
    """The port is taken, or not to be had. The message names host, port and reason."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        super().__init__(f"cannot listen on {host}:{port}: {error.strerror}")


def bind(host: str, port: int) -> socket.socket:
    """Take the port (0: any that is free). Clients are refused until `serve` listens.

    Raises: CannotListen.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotListen(host, port, error) from None
    return listener


@asynccontextmanager
async def serve(
    application: Application,
    listener: socket.socket,
    options: Options,
    environment: Mapping[str, str],
    is_hurried: asyncio.Event,
    collector: Collector | None = None,
) -> AsyncIterator[Gateway]:
    """Serve the application until the context ends; then close connections and let handlers end.

    `environment` is told to who asks for it (router.ENVIRONMENT_PATH); setting `is_hurried` cuts
    the wait at the end short. Events are counted in `collector`, as the application's metrics are.

    Raises: CannotListen, if another server that started at the same time listens on the port.
    """
    loop = asyncio.get_running_loop()
    api = Api(stage=options.stage, region=os.environ.get("AWS_REGION", DEFAULT_REGION))
    collector = collector or Collector()
    log = Log(loop, collector, is_quiet=options.is_quiet)
    dice = Dice(options.fault_seed)
    dice.faults = options.faults
    gateway = Gateway(
        api, application, options.timeouts, Workers(loop), log, dice, collector, options.clock_rate
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
        await gateway.stop(DRAIN_SECONDS, is_hurried)
        acceptor.stop()
        for wire in list(wires):
            wire.close()
        log.flush()


def endpoint(listener: socket.socket, scheme: str, stage: str | None) -> str:
    """Return the server's address, to the stage if one is given."""
    host, port = listener.getsockname()[:2]
    address = f"{scheme}://{host}:{port}"
    return address if stage is None else f"{address}/{stage}"


def page_origins(listener: socket.socket) -> tuple[str, ...]:
    """Return the origins of pages that this server serves."""
    port = listener.getsockname()[1]
    return (
        endpoint(listener, "http", None),
        f"http://127.0.0.1:{port}",
        f"http://localhost:{port}",
    )
