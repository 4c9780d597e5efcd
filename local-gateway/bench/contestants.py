"""The servers that are compared, and rounds that alternate between them."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from bench import serverless_offline
from bench.memory import peak_mib
from bench.report import Row, Target
from bench.servers import TRIVIAL, Server, bare_server, local_gateway

BARE = "bare websockets server"
OURS = "local gateway"
SERVERLESS_OFFLINE = "serverless-offline"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A running server.

    Attributes:
        name: The name of its rows.
        server: The server.
        connections_path: The path before a connection's ID in requests to `@connections`; None for
            the bare server, which has a WebSocket for that.
        is_slow: Whether it is only measured in a part of the rounds.
    """

    name: str
    server: Server
    connections_path: str | None = None
    is_slow: bool = False


def contestants(stack: ExitStack) -> list[Contestant]:
    """Start the servers until the end of a stack, the bare server first.

    Raises:
        NotStarted: The bare server or the local gateway didn't start.
        TargetError: serverless-offline couldn't be installed or didn't start.
    """
    bare = stack.enter_context(bare_server())
    ours = stack.enter_context(local_gateway(TRIVIAL, "--no-aws"))
    running = [
        Contestant(BARE, bare),
        Contestant(OURS, ours, connections_path=f"{ours.path}/@connections/"),
    ]
    if serverless_offline.is_available():
        theirs = stack.enter_context(serverless_offline.serving())
        running.append(Contestant(SERVERLESS_OFFLINE, theirs, "/@connections/", is_slow=True))
    return running


AddFigure = Callable[[Row, Contestant], Awaitable[None]]


async def compare(
    servers: Sequence[Contestant],
    add_figure: AddFigure,
    target: Target,
    *,
    rounds: int,
    slow_rounds: int,
) -> list[Row]:
    """Measure in rounds, each server after the other, and return a row for each of them.

    A round before the first is a warm-up.

    Args:
        servers: The servers. The first one is the yardstick.
        add_figure: Measures a server, and adds one figure to a row.
        target: The target of the local gateways.
        rounds: The number of rounds.
        slow_rounds: The number of rounds, among them, with slow servers.
    """
    rows = [Row(server.name) for server in servers]
    for row in rows[1:]:
        row.yardstick = Row(BARE)
        row.target = None if row.name == SERVERLESS_OFFLINE else target
    for server in servers:
        await add_figure(Row("warm-up"), server)
    for number in range(rounds):
        for row, server in zip(rows, servers, strict=True):
            if server.is_slow and number % (rounds // slow_rounds):
                continue
            await add_figure(row, server)
            if row.yardstick is not None:
                row.yardstick.figures.append(rows[0].figures[-1])
    for row, server in zip(rows, servers, strict=True):
        row.peak_mib = peak_mib(server.server.process_id)
    return rows
