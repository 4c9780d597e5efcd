"""The command: `python -m devserver` serves the Chalice project in the current folder."""

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path

from devserver import arguments, clock, descriptors, dynamodb_faults, server
from devserver.application import Application, ApplicationError, Project
from devserver.collector import Collector
from devserver.command import run_command, watch_output
from devserver.events import DEFAULT_REGION
from devserver.faults import Faults, InvalidFault, check_targets, parse_fault
from devserver.gateway import Gateway, Timeouts
from devserver.panel import Panel
from devserver.reload import Watcher
from devserver.standard_output import without_metrics
from devserver.terminal import Terminal, can_be_drawn_on, shared_terminal

SWITCH_INTERVAL_SECONDS = 0.0005
"""How long a handler that computes may keep the interpreter from the event loop, which needs it
several times per message. With Python's own 5 ms, four such handlers made a message of somebody
else's take 58 ms; with this, 9 ms.
"""

_Draw = Callable[[Gateway], AbstractContextManager[None]]


def main() -> int:
    """Serve until interrupted; return the exit code."""
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    signal.signal(signal.SIGTERM, _interrupt)
    descriptors.raise_limit()
    options = _parse_arguments()
    aws_end = AwsEnd()
    try:
        _serve(options, aws_end)
    except KeyboardInterrupt:
        pass
    except (InvalidFault, server.CannotListen) as error:
        return _fail(str(error))
    except ApplicationError as error:
        return _fail(error.describe())
    if aws_end.cause is not None:
        return _fail(
            f"the embedded AWS has ended ({aws_end.cause}), and its tables and users are gone; "
            "start the server again"
        )
    return 0


class AwsEnd:
    """Stops the server, in whatever phase it is, if the embedded AWS ends before it."""

    cause: str | None = None

    def take(self, cause: str) -> None:
        """Remember the cause, and interrupt the main thread; from any thread."""
        self.cause = cause
        os.kill(os.getpid(), signal.SIGTERM)


def _serve(options: argparse.Namespace, aws_end: AwsEnd) -> None:
    project = Project(Path(options.project).resolve(), options.stage)
    faults = Faults().changed(dict(map(parse_fault, options.fault)))
    listener = server.bind(options.host, options.port)
    with listener, ExitStack() as stack:
        pages = server.page_origins(listener)
        aws = (
            {} if options.no_aws else _start_aws(stack, project, options.fault_seed, aws_end, pages)
        )
        os.environ.update({**aws, **_own_endpoints(listener, options.stage, aws)})
        os.environ.setdefault("AWS_REGION", os.environ.get("AWS_DEFAULT_REGION", DEFAULT_REGION))
        watcher = None if options.no_reload else Watcher(project)
        stack.enter_context(clock.running_at(options.clock_rate))
        terminal = _share_terminal(stack, options)
        collector = Collector()
        stack.enter_context(without_metrics(collector.take_line))
        application = project.load()
        _put_faults(faults, application, aws)
        serve = partial(
            server.serve,
            application,
            listener,
            _server_options(options, faults),
            aws,
            collector=collector,
        )
        hints = _hints(options.hint, listener)
        draw = _drawer(options.panel, terminal, aws)
        asyncio.run(_run(serve, watcher, draw, hints, aws_end))


def _hints(commands: list[str], listener: socket.socket) -> list[str]:
    """Return what the server says below the line that it is ready: nothing without a hint."""
    if not commands:
        return []
    port = str(listener.getsockname()[1])
    return [
        f"about this server: {server.endpoint(listener, 'http', None)}/",
        "try next, in another terminal:",
        *(f"  {command.replace('{port}', port)}" for command in commands),
    ]


def _share_terminal(stack: ExitStack, options: argparse.Namespace) -> Terminal | None:
    """Make room for the view; None if none is drawn, and then nothing is different."""
    if options.quiet or options.no_live or not can_be_drawn_on(sys.stdout, os.environ):
        return None
    return stack.enter_context(shared_terminal())


def _drawer(panel: str | None, terminal: Terminal | None, aws: dict[str, str]) -> _Draw:
    """Return what draws the view of a gateway.

    Imported only here: whoever has no view need not wait for rich.
    """
    if terminal is None:
        return lambda _gateway: nullcontext()
    from devserver.live_view import drawn_of

    return partial(drawn_of, terminal, None if panel is None else Panel(panel, aws))


def _put_faults(faults: Faults, application: Application, aws: dict[str, str]) -> None:
    check_targets(faults, application.labels, dynamodb_faults.table_names(aws))
    if faults.afflicts_dynamodb:
        dynamodb_faults.put(faults, aws)


def _server_options(options: argparse.Namespace, faults: Faults) -> server.Options:
    return server.Options(
        stage=options.stage,
        timeouts=Timeouts(options.idle_timeout_seconds, options.connection_lifetime_seconds),
        is_quiet=options.quiet,
        host=options.host,
        clock_rate=options.clock_rate,
        source_ip_header=options.source_ip_header,
        faults=faults,
        fault_seed=options.fault_seed,
    )


async def _run(
    serve: Callable[..., AbstractAsyncContextManager[Gateway]],
    watcher: Watcher | None,
    draw: _Draw,
    hints: list[str],
    aws_end: AwsEnd,
) -> None:
    """Serve until a signal comes; a second one cuts the wait for running handlers short.

    Without its AWS the server waits for no handlers.

    The view ends with the first: what happens while the server stops stays to be read.
    """
    is_interrupted, is_hurried = asyncio.Event(), asyncio.Event()

    def interrupt() -> None:
        if is_interrupted.is_set() or aws_end.cause is not None:
            is_hurried.set()
        is_interrupted.set()

    watch_output(asyncio.get_running_loop(), interrupt)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    async with serve(is_hurried=is_hurried) as gateway:
        with ExitStack() as stack:
            if watcher is not None:
                stack.callback(watcher.start(gateway))
            print(f"ready: {gateway.endpoint}", flush=True)
            for line in hints:
                print(line, flush=True)
            stack.enter_context(draw(gateway))
            await is_interrupted.wait()


def _start_aws(
    stack: ExitStack, project: Project, fault_seed: int, aws_end: AwsEnd, pages: Collection[str]
) -> dict[str, str]:
    """Start the embedded AWS, and return the variables that lead to it.

    Imported only here: whoever serves without it needs none of its requirements.
    """
    from devserver.aws import EmbeddedAwsError, embedded_aws

    app_name = project.read_config().app_name
    try:
        return stack.enter_context(
            embedded_aws(
                project.directory, app_name, project.stage, fault_seed, aws_end.take, pages
            )
        )
    except EmbeddedAwsError as error:
        sys.exit(_fail(str(error)))


def _own_endpoints(listener: socket.socket, stage: str, aws: dict[str, str]) -> dict[str, str]:
    """Lead the application's boto3 clients to this server, and to a DynamoDB that has faults."""
    endpoints = {
        "AWS_ENDPOINT_URL_LAMBDA": server.endpoint(listener, "http", None),
        "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": server.endpoint(listener, "http", stage),
    }
    if aws:
        endpoints["AWS_ENDPOINT_URL_DYNAMODB"] = aws["AWS_ENDPOINT_URL"] + dynamodb_faults.PREFIX
    return endpoints


def _parse_arguments() -> argparse.Namespace:
    parser = arguments.Parser(prog="devserver", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--port", type=arguments.port, default=8000, help="0 takes any that is free"
    )
    parser.add_argument("--project", default=".", help="the Chalice project's folder")
    parser.add_argument("--stage", default="local")
    parser.add_argument(
        "--idle-timeout-seconds", type=arguments.seconds, default=Timeouts().idle_seconds
    )
    parser.add_argument(
        "--connection-lifetime-seconds",
        type=arguments.seconds,
        default=Timeouts().lifetime_seconds,
    )
    parser.add_argument(
        "--clock-rate",
        type=_clock_rate,
        default=1,
        help="how many times faster the application's clock runs",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="let something go wrong, such as handler_raises_share=0.1; can be repeated",
    )
    parser.add_argument("--fault-seed", type=int, default=0, help="chance's, to repeat a run")
    parser.add_argument(
        "--source-ip-header",
        metavar="NAME",
        help="the header of a handshake that says where it comes from",
    )
    parser.add_argument(
        "--hint",
        action="append",
        default=[],
        metavar="COMMAND",
        help="a command to try next, shown when the server is ready; {port} is its port",
    )
    parser.add_argument("--no-reload", action="store_true", help="ignore changes of the sources")
    parser.add_argument("--no-aws", action="store_true", help="start no embedded AWS")
    parser.add_argument("--quiet", action="store_true", help="log no events, draw no view")
    parser.add_argument("--no-live", action="store_true", help="draw no view in the terminal")
    parser.add_argument(
        "--panel",
        type=_panel,
        metavar="MODULE:FUNCTION",
        help="what returns tables of the project's own for the view",
    )
    return parser.parse_args()


def _clock_rate(text: str) -> float:
    try:
        return clock.parse_rate(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _panel(text: str) -> str:
    module, _, function = text.partition(":")
    if not function.isidentifier() or not all(map(str.isidentifier, module.split("."))):
        raise argparse.ArgumentTypeError("a panel is MODULE:FUNCTION")
    return text


def _interrupt(*_args: object) -> None:
    raise KeyboardInterrupt


def _fail(message: str) -> int:
    print(f"devserver: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    run_command(main)
