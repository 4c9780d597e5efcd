"""Serves a Chalice project like API Gateway, Lambda and EventBridge."""

import argparse
import asyncio
import gc
import importlib.util
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path

from local_gateway import clock, descriptors, dynamodb_faults, interrupts, own_output, server
from local_gateway.application import Application, ApplicationError, Project
from local_gateway.aws_options import AwsOptions
from local_gateway.collector import Collector
from local_gateway.command_options import parse_options
from local_gateway.events import DEFAULT_REGION
from local_gateway.faults import Faults, InvalidFault, check_targets, parse_fault
from local_gateway.gateway import Gateway, Timeouts
from local_gateway.output_pipes import watch_output
from local_gateway.panel import Panel, PanelNotFound, find_function
from local_gateway.reload import Watcher
from local_gateway.standard_output import Streams, shared_output
from local_gateway.terminal import Terminal, shared_terminal, supports_view

SWITCH_INTERVAL_SECONDS = 0.0005
"""Time that a CPU-bound handler keeps the interpreter before the event loop gets a turn.

The event loop needs several turns per message. Measured with four CPU-bound handlers, another
connection's message took 58 ms with Python's default of 5 ms, and 9 ms with this value.
"""

INTERRUPTED_EXIT_CODE = 128 + signal.SIGINT
"""The exit code that shells report for SIGINT."""

_Draw = Callable[[Gateway], AbstractContextManager[None]]


def main() -> int:
    """Serve until interrupted.

    Returns:
        The exit code, which is 0 if the gateway was ready when it was interrupted.
    """
    own_output.take_over()
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    descriptors.raise_limit()
    options = parse_options(__doc__)
    aws_exit = AwsExit()
    code = 0
    try:
        interrupts.raise_once()
        _serve(options, aws_exit)
    except KeyboardInterrupt:
        code = INTERRUPTED_EXIT_CODE
    except (InvalidFault, server.CannotListen) as error:
        return _fail(str(error))
    except ApplicationError as error:
        return _fail(error.describe())
    finally:
        interrupts.ignore()  # Only the exit is left to interrupt.
    if aws_exit.cause is not None:
        return _fail(
            f"the embedded AWS exited ({aws_exit.cause}) and its tables and users are lost; "
            "restart the gateway"
        )
    return code


class AwsExit:
    """Stops the gateway, in any phase, if the embedded AWS exits first."""

    cause: str | None = None

    def stop_gateway(self, cause: str) -> None:
        """Store the cause and interrupt the main thread. Thread-safe."""
        self.cause = cause
        os.kill(os.getpid(), signal.SIGTERM)


def _serve(options: argparse.Namespace, aws_exit: AwsExit) -> None:
    directory = Path(options.project).resolve()
    project = Project(directory, options.stage, has_aws=not options.no_aws)
    faults = Faults().changed(dict(map(parse_fault, options.fault)))
    listener = server.bind(options.host, options.port)
    with listener, ExitStack() as stack:
        pages = server.page_origins(listener)
        aws_options = project.read_aws_options()
        aws = (
            {}
            if aws_options is None
            else _start_aws(stack, project, aws_options, options.fault_seed, aws_exit, pages)
        )
        os.environ.update({**aws, **_own_endpoints(listener, options.stage, aws)})
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):  # Lambda sets both.
            os.environ.setdefault(name, region or DEFAULT_REGION)
        watcher = None if options.no_reload else Watcher(project)
        stack.enter_context(clock.running_at(options.clock_rate))
        terminal = _share_terminal(stack, options)
        collector = Collector()
        streams = stack.enter_context(shared_output(collector.add_line))
        application = project.load()
        _apply_faults(faults, application, aws)
        serve = partial(
            server.serve,
            application,
            listener,
            _server_options(options, faults),
            aws,
            collector=collector,
            streams=streams,
        )
        lines = [*options.note, *_hints(options.hint, listener)]
        panel = None if options.panel is None else _find_panel(options.panel, aws)
        draw = _view_drawer(panel, terminal)
        # Garbage collections skip the objects that exist now: 8% less CPU for each connect.
        gc.freeze()
        asyncio.run(_run(serve, watcher, draw, lines, aws_exit, streams))


def _hints(commands: list[str], listener: socket.socket) -> list[str]:
    """Return the lines that suggest commands. Empty without `--hint`."""
    if not commands:
        return []
    port = str(listener.getsockname()[1])
    return [
        f"about this gateway: {server.endpoint(listener, 'http', None)}/",
        "try next, in another terminal:",
        *(f"  {command.replace('{port}', port)}" for command in commands),
    ]


def _share_terminal(stack: ExitStack, options: argparse.Namespace) -> Terminal | None:
    """Redirect the output for the live view. None if there is no view."""
    if options.quiet or options.no_live or not supports_view(sys.stdout, os.environ):
        return None
    return stack.enter_context(shared_terminal())


def _find_panel(name: str, aws: dict[str, str]) -> Panel:
    try:
        return Panel(name, find_function(name), aws)
    except PanelNotFound as error:
        raise ApplicationError(f"--panel {name}: {error}") from None
    except Exception as error:
        summary = traceback.format_exception_only(error)[-1].strip()
        raise ApplicationError(f"--panel {name}: {summary}") from error


def _view_drawer(panel: Panel | None, terminal: Terminal | None) -> _Draw:
    """Return the function that draws the live view of a gateway."""
    if terminal is None:
        return lambda _gateway: nullcontext()
    # Imported here because importing rich is slow, and a gateway without a view doesn't need it.
    from local_gateway.live_view import draw_gateway

    return partial(draw_gateway, terminal, panel)


def _apply_faults(faults: Faults, application: Application, aws: dict[str, str]) -> None:
    check_targets(faults, application.labels, dynamodb_faults.table_names(aws))
    if faults.affects_dynamodb:
        dynamodb_faults.apply_faults(faults, aws)


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
    lines: list[str],
    aws_exit: AwsExit,
    streams: Streams,
) -> None:
    """Serve until the first signal, then wait for running handlers.

    A second signal ends the wait. If the embedded AWS has exited, there is no wait. The live view
    closes at the first signal, which leaves the log lines of the shutdown on the terminal.
    """
    is_interrupted, skip_drain = asyncio.Event(), asyncio.Event()

    def interrupt() -> None:
        if is_interrupted.is_set() or aws_exit.cause is not None:
            skip_drain.set()
        is_interrupted.set()

    watch_output(asyncio.get_running_loop(), interrupt)
    interrupts.call(asyncio.get_running_loop(), interrupt)
    async with serve(skip_drain=skip_drain) as gateway:
        with ExitStack() as stack:
            if watcher is not None:
                stack.callback(watcher.start(gateway))
            for line in (f"ready: {gateway.endpoint}", *lines):
                print(line, file=streams.out, flush=True)
            stack.enter_context(draw(gateway))
            await is_interrupted.wait()
    interrupts.ignore()


def _start_aws(
    stack: ExitStack,
    project: Project,
    options: AwsOptions,
    fault_seed: int,
    aws_exit: AwsExit,
    pages: Collection[str],
) -> dict[str, str]:
    """Start the embedded AWS, and return the environment variables to reach it."""
    missing = [name for name in ("boto3", "ministack") if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(
            _fail(
                f"the embedded AWS needs {' and '.join(missing)}: install the gateway with the "
                "extra aws, or start it with --no-aws"
            )
        )
    # Imported here because a gateway without an embedded AWS doesn't need these packages.
    from local_gateway.aws import EmbeddedAwsError, embedded_aws

    prefix = f"{project.read_config().app_name}-{project.stage}"
    exited = aws_exit.stop_gateway
    try:
        return stack.enter_context(
            embedded_aws(project.directory, prefix, options, fault_seed, exited, pages)
        )
    except EmbeddedAwsError as error:
        sys.exit(_fail(str(error)))


def _own_endpoints(listener: socket.socket, stage: str, aws: dict[str, str]) -> dict[str, str]:
    """Return the endpoint URLs for the application: the gateway, and DynamoDB with faults."""
    endpoints = {
        "AWS_ENDPOINT_URL_LAMBDA": server.endpoint(listener, "http", None),
        "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": server.endpoint(listener, "http", stage),
    }
    if aws:
        endpoints["AWS_ENDPOINT_URL_DYNAMODB"] = aws["AWS_ENDPOINT_URL"] + dynamodb_faults.PREFIX
    return endpoints


def _fail(message: str) -> int:
    print(f"chalice-local-gateway: {message}", file=sys.stderr)
    return 1
