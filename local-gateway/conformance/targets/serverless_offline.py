"""serverless-offline, a plugin of the Serverless Framework, with the probe's Python handlers."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from conformance.targets import base
from conformance.targets.base import Api, Deployment, TargetError
from conformance.targets.records import create_table
from local_gateway import scratch
from local_gateway.aws import EmbeddedAwsError, ministack

PACKAGES: Final = Path(__file__).parents[1] / "serverless_offline"
"""The folder of package.json, into which npm installs."""

READY: Final = "Offline [http for websocket] listening"
STOP_SECONDS: Final = 10
TABLE: Final = "records"
SERVICE: Final = "probe"
STAGE: Final = "local"
SETTINGS: Final = {
    "region_name": "us-east-1",
    "aws_access_key_id": "local",
    "aws_secret_access_key": "local",
}

_ROUTES: Final = {"$connect": "connect", "$default": "message", "$disconnect": "disconnect"}


class ServerlessOffline:
    """serverless-offline, one process per variant."""

    name = "serverless-offline"

    @contextmanager
    def deployed(self) -> Iterator[Deployment]:
        """Install serverless-offline if necessary, and serve each variant of the probe.

        Raises:
            TargetError: npm, ministack or serverless-offline fails.
        """
        _install()
        with ExitStack() as stack:
            try:
                dynamodb_url = stack.enter_context(ministack())
            except EmbeddedAwsError as error:
                raise TargetError(str(error)) from None
            create_table(TABLE, dynamodb_url, SETTINGS)
            home = stack.enter_context(scratch.folder("conformance-"))
            servers = {
                variant: stack.enter_context(_server(home / variant, variant, dynamodb_url))
                for variant in _VARIANTS
            }

            def revive() -> None:
                for server in servers.values():
                    server.revive()

            yield Deployment(
                version=_version(),
                apis={variant: server.wait_until_ready() for variant, server in servers.items()},
                records_table=TABLE,
                client_settings=SETTINGS,
                dynamodb_url=dynamodb_url,
                prepare=revive,
            )


def _websocket(route: str, **settings: Any) -> dict[str, Any]:
    return {"events": [{"websocket": {"route": route, **settings}}]}


def _routes(*routes: str, identity_source: list[str] | None = None) -> dict[str, Any]:
    """Return the functions of routes, with an authorizer if there are identity sources."""
    functions = {
        _ROUTES[route]: {"handler": f"app.{_ROUTES[route]}", **_websocket(route)}
        for route in routes
    }
    if identity_source is not None:
        authorizer = {"name": "authorizer", "identitySource": identity_source}
        functions["connect"] |= _websocket("$connect", authorizer=authorizer)
        functions["authorizer"] = {"handler": "app.authorizer"}
    return functions


def _two_way(functions: dict[str, Any]) -> dict[str, Any]:
    response = {"routeResponseSelectionExpression": "$default"}
    return functions | {"message": {"handler": "app.message", **_websocket("$default", **response)}}


_VARIANTS: Final[Mapping[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    base.TWO_WAY: (_two_way(_routes(*_ROUTES, identity_source=[])), {}),
    base.ONE_WAY: (_routes(*_ROUTES), {}),
    base.CONNECT_ONLY: (_routes("$connect"), {}),
    base.DEFAULT_ONLY: (_two_way(_routes("$default")), {}),
    base.IDENTITY_SOURCE: (
        _routes(*_ROUTES, identity_source=["route.request.querystring.token"]),
        {},
    ),
    base.SHORT_IDLE: (_routes(*_ROUTES), {"webSocketIdleTimeout": 1}),
    base.SHORT_LIFETIME: (_routes(*_ROUTES), {"webSocketHardTimeout": 1}),
}
"""The functions of each variant, and its options of serverless-offline."""


class _Server:
    """serverless-offline with one variant of the probe."""

    def __init__(self, project: Path, variant: str, dynamodb_url: str) -> None:
        shutil.copytree(base.PROBE, project)
        (project / "node_modules").symlink_to(PACKAGES / "node_modules")
        http_port, self._port, lambda_port = _free_ports(3)
        functions, options = _VARIANTS[variant]
        ports = {"httpPort": http_port, "websocketPort": self._port, "lambdaPort": lambda_port}
        configuration = {
            "service": SERVICE,
            "frameworkVersion": "3",
            "plugins": ["serverless-offline"],
            "provider": {
                "name": "aws",
                "runtime": f"python{sys.version_info.major}.{sys.version_info.minor}",
                "region": "us-east-1",
                # The default of 6 seconds would hide the integration timeout.
                "timeout": 60,
                "websocketsApiRouteSelectionExpression": "$request.body.action",
                "environment": {
                    "RECORDS_TABLE": TABLE,
                    "CHILD_FUNCTION": f"{SERVICE}-{STAGE}-child",
                    "MANAGEMENT_URL": f"http://127.0.0.1:{self._port}",
                    "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_url,
                    "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{lambda_port}",
                    "AWS_DEFAULT_REGION": "us-east-1",
                    "AWS_ACCESS_KEY_ID": "local",
                    "AWS_SECRET_ACCESS_KEY": "local",
                },
            },
            "functions": {**functions, "child": {"handler": "app.child"}},
            "custom": {
                "serverless-offline": {
                    "host": "127.0.0.1",
                    # After an exception or an empty result, the Python process of version 13.9.0
                    # never responds again. With a process for each event, one check doesn't stop
                    # the others.
                    "reloadHandler": True,
                    **ports,
                    **options,
                }
            },
        }
        # YAML contains JSON.
        (project / "serverless.yml").write_text(json.dumps(configuration))
        self._project = project
        self._process = self._start()

    def wait_until_ready(self) -> Api:
        """Wait for the line that says that the server listens."""
        lines = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if READY in line:
                # A thread reads the rest, because a full pipe would stop the process.
                threading.Thread(target=self._process.stdout.read, daemon=True).start()
                return Api(f"ws://127.0.0.1:{self._port}", f"http://127.0.0.1:{self._port}")
            lines.append(line)
        raise TargetError(f"serverless-offline did not start: {''.join(lines)[-2000:]}")

    def revive(self) -> None:
        """Start again if the process has ended: version 13.9.0 crashes in some of the checks."""
        if self._process.poll() is not None:
            self.stop()
            self._process = self._start()
            self.wait_until_ready()

    def stop(self) -> None:
        """End the process, and the Python processes of its handlers."""
        _end_group(self._process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        _end_group(self._process, signal.SIGKILL)
        self._process.wait()

    def _start(self) -> "subprocess.Popen[str]":
        serverless = PACKAGES / "node_modules" / ".bin" / "serverless"
        return subprocess.Popen(  # noqa: S603
            [str(serverless), "offline", "start", "--stage", STAGE],
            cwd=self._project,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@contextmanager
def _server(project: Path, variant: str, dynamodb_url: str) -> Iterator[_Server]:
    server = _Server(project, variant, dynamodb_url)
    try:
        yield server
    finally:
        server.stop()


def _end_group(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """Send a signal to the process and to the Python processes of its handlers."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _environment() -> dict[str, str]:
    """Return the environment of npm and serverless: this Python first, and no telemetry."""
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "SLS_TELEMETRY_DISABLED": "1",
        "SLS_NOTIFICATIONS_MODE": "off",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }


def _install() -> None:
    """Install the packages of package.json with npm, unless they are there."""
    if (PACKAGES / "node_modules" / ".bin" / "serverless").exists():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise TargetError("serverless-offline needs npm, which isn't installed")
    options = ("--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund")
    run = subprocess.run(  # noqa: S603
        [npm, "install", *options],
        cwd=PACKAGES,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise TargetError(f"npm install failed: {run.stderr[-2000:]}")


def _version() -> str:
    path = PACKAGES / "node_modules" / "serverless-offline" / "package.json"
    version: str = json.loads(path.read_text())["version"]
    return version


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


TARGET: Final = ServerlessOffline()
