"""serverless-offline's installation, configuration and processes."""

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

from conformance.targets.base import TargetError

PACKAGES: Final = Path(__file__).parent
"""The folder of package.json, into which npm installs."""

SERVERLESS: Final = PACKAGES / "node_modules" / ".bin" / "serverless"
READY: Final = "Offline [http for websocket] listening"
SERVICE: Final = "served"
STAGE: Final = "local"
REGION: Final = "us-east-1"
CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}

TIMEOUT_SECONDS: Final = 35
"""The timeout of handlers.

It is longer than the check of the integration timeout needs, and shorter than the suite waits for a
handshake. If a handler raises, version 13.9.0 answers after this time.
"""

HANDLERS: Final = {"$connect": "connect", "$default": "message", "$disconnect": "disconnect"}
"""The handlers of a project's app.py, by their routes."""


def has_npm() -> bool:
    """Return whether npm is on the path."""
    return shutil.which("npm") is not None


def install() -> None:
    """Install the packages of package.json with npm, unless they are there.

    Raises:
        TargetError: npm is missing, or has failed.
    """
    if SERVERLESS.exists():
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


def find_version() -> str:
    """Return the version that npm has installed."""
    path = PACKAGES / "node_modules" / "serverless-offline" / "package.json"
    version: str = json.loads(path.read_text())["version"]
    return version


def routes(
    *names: str, identity_source: list[str] | None = None, has_replies: bool = False
) -> dict[str, Any]:
    """Return the functions of routes for a serverless.yml.

    Args:
        *names: The routes.
        identity_source: The identity sources of the authorizer; None for no authorizer.
        has_replies: Whether clients receive the replies to their messages.
    """
    settings: dict[str, dict[str, Any]] = {name: {"route": name} for name in names}
    functions: dict[str, Any] = {}
    if has_replies:
        settings["$default"]["routeResponseSelectionExpression"] = "$default"
    if identity_source is not None:
        authorizer = {"name": "authorizer", "identitySource": identity_source}
        settings["$connect"]["authorizer"] = authorizer
        functions["authorizer"] = {"handler": "app.authorizer"}
    for name, it in settings.items():
        events = [{"websocket": it}]
        functions[HANDLERS[name]] = {"handler": f"app.{HANDLERS[name]}", "events": events}
    return functions


class Server:
    """A process of serverless-offline that serves a project, and the processes of its handlers.

    Attributes:
        url: The URL of the WebSocket API. serverless-offline ignores its path.
        management_url: The URL of the `@connections` API.
    """

    def __init__(
        self,
        project: Path,
        functions: Mapping[str, Any],
        options: Mapping[str, Any],
        environment: Mapping[str, str],
    ) -> None:
        """Write the project's serverless.yml, and start the process."""
        http_port, port, lambda_port = _free_ports(3)
        self.url = f"ws://127.0.0.1:{port}"
        self.management_url = f"http://127.0.0.1:{port}"
        endpoints = {
            "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": self.management_url,
            "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{lambda_port}",
        }
        ports = {"httpPort": http_port, "websocketPort": port, "lambdaPort": lambda_port}
        configuration = {
            "service": SERVICE,
            "frameworkVersion": "3",
            "plugins": ["serverless-offline"],
            "provider": {
                "name": "aws",
                "runtime": f"python{sys.version_info.major}.{sys.version_info.minor}",
                "region": REGION,
                "timeout": TIMEOUT_SECONDS,
                "websocketsApiRouteSelectionExpression": "$request.body.action",
                "environment": {
                    "AWS_DEFAULT_REGION": REGION,
                    **CREDENTIALS,
                    **endpoints,
                    **environment,
                },
            },
            "functions": functions,
            "custom": {"serverless-offline": {"host": "127.0.0.1", **ports, **options}},
        }
        # YAML contains JSON.
        (project / "serverless.yml").write_text(json.dumps(configuration))
        self._process = subprocess.Popen(  # noqa: S603
            [str(SERVERLESS), "offline", "start", "--stage", STAGE],
            cwd=project,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @property
    def process_id(self) -> int:
        """The ID of the process, without those of the handlers."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Wait for the line that says that the server listens.

        Raises:
            TargetError: The process has ended.
        """
        lines = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if READY in line:
                # A thread reads the rest, because a full pipe would stop the process.
                threading.Thread(target=_discard, args=[self._process.stdout], daemon=True).start()
                return
            lines.append(line)
        raise TargetError(f"serverless-offline did not start: {''.join(lines)[-2000:]}")

    def stop(self) -> None:
        """End the process and its group, which includes the Python processes of the handlers."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def started(
    source: Path,
    project: Path,
    functions: Mapping[str, Any],
    options: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Serve a copy of a project until the context ends. It may not be ready yet.

    Args:
        source: The project's folder.
        project: The folder of the copy, which doesn't exist yet.
        functions: The functions for serverless.yml.
        options: Options of serverless-offline.
        environment: Environment variables of the functions.
    """
    shutil.copytree(source, project)
    (project / "node_modules").symlink_to(PACKAGES / "node_modules")
    server = Server(project, functions, options or {}, environment or {})
    try:
        yield server
    finally:
        server.stop()


def _environment() -> dict[str, str]:
    """Return the environment of npm and serverless: this Python first, and no telemetry."""
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "SLS_TELEMETRY_DISABLED": "1",
        "SLS_NOTIFICATIONS_MODE": "off",
        **CREDENTIALS,
    }


def _discard(stream: Any) -> None:
    """Read a stream until its end."""
    for _ in stream:
        pass


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
