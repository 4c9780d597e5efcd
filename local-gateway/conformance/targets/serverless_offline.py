"""serverless-offline, one service per variant, with the probe's Python handlers."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench import serverless_offline
from bench.serverless_offline import MODULES, Ports
from bench.servers import NotStarted, free_ports
from conformance.targets import base
from conformance.targets.base import Api, Deployment, TargetError
from conformance.targets.records import create_table
from local_gateway import scratch
from local_gateway.aws import EmbeddedAwsError, ministack

STAGE: Final = "local"
SERVICE: Final = "conformance-probe"
TABLE: Final = "records"
CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
REGION: Final = "us-east-1"

NO_CHILD: Final = "an asynchronous invocation that returns nothing ends its server at the timeout"
"""Seen with 13.10: the runner of Python waits for a result other than null. After the function's
timeout, node ends because of an unhandled rejection, and takes all connections with it."""

TIMEOUT_SECONDS: Final = 29
"""API Gateway's integration timeout. serverless-offline has none of its own."""

RELOAD: Final = "--reloadHandler"
"""Starts a Python process per event. A process ends when a handler raises, and without this option
the function's next events would fail, too, with the whole server in the end."""

HANDLERS: Final = {"$connect": "connect", "$default": "message", "$disconnect": "disconnect"}
"""The probe's functions by route."""


@dataclass(frozen=True, slots=True)
class _Setup:
    """How a variant is configured.

    Attributes:
        routes: The routes.
        authorizer: The authorizer of `$connect`; None for none.
        is_two_way: Whether `$default` has a route response.
        options: Command-line options.
    """

    routes: tuple[str, ...] = tuple(HANDLERS)
    authorizer: Mapping[str, Any] | None = None
    is_two_way: bool = False
    options: tuple[str, ...] = ()


AUTHORIZER: Final = {"name": "authorizer"}
IDENTITY_SOURCE: Final = AUTHORIZER | {"identitySource": ["route.request.querystring.token"]}

SETUPS: Final = {
    base.TWO_WAY: _Setup(authorizer=AUTHORIZER, is_two_way=True),
    base.ONE_WAY: _Setup(),
    base.CONNECT_ONLY: _Setup(("$connect",)),
    base.DEFAULT_ONLY: _Setup(("$default",), is_two_way=True),
    base.IDENTITY_SOURCE: _Setup(authorizer=IDENTITY_SOURCE),
    base.SHORT_IDLE: _Setup(options=("--webSocketIdleTimeout=1",)),
    base.SHORT_LIFETIME: _Setup(options=("--webSocketHardTimeout=1",)),
}


class ServerlessOffline:
    """serverless-offline."""

    name = "serverless-offline"

    @contextmanager
    def deployed(self) -> Iterator[Deployment]:
        """Serve each variant of the probe, with records in ministack.

        Raises:
            TargetError: npm, ministack or serverless-offline can't be started.
        """
        if not serverless_offline.is_available():
            raise TargetError("npm is missing")
        with ExitStack() as stack:
            try:
                dynamodb_url = stack.enter_context(ministack())
                home = stack.enter_context(scratch.folder("conformance-"))
                apis = {
                    name: stack.enter_context(_service(home / name, setup, dynamodb_url))
                    for name, setup in SETUPS.items()
                }
            except (EmbeddedAwsError, NotStarted, subprocess.CalledProcessError) as error:
                raise TargetError(str(error)) from None
            settings = {
                "region_name": REGION,
                "aws_access_key_id": "local",
                "aws_secret_access_key": "local",
            }
            create_table(TABLE, dynamodb_url, settings)
            yield Deployment(
                version=_version(),
                apis=apis,
                records_table=TABLE,
                missing={base.CHILD: NO_CHILD},
                client_settings=settings,
                dynamodb_url=dynamodb_url,
            )


@contextmanager
def _service(project: Path, setup: _Setup, dynamodb_url: str) -> Iterator[Api]:
    """Serve a copy of the probe."""
    shutil.copytree(base.PROBE, project)
    (project / "serverless.json").write_text(json.dumps(_configuration(setup)))
    (project / "node_modules").symlink_to(MODULES)
    ports = Ports(*free_ports(3))
    management_url = f"http://127.0.0.1:{ports.websocket}"
    settings = CREDENTIALS | {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_url,
        "RECORDS_TABLE": TABLE,
        "MANAGEMENT_URL": management_url,
        "ROUTES": ",".join(setup.routes),
    }
    with serverless_offline.serving(
        project, RELOAD, *setup.options, ports=ports, settings=settings
    ) as server:
        yield Api(server.url, management_url)


def _configuration(setup: _Setup) -> dict[str, Any]:
    """Return the contents of serverless.json."""
    functions: dict[str, Any] = {
        HANDLERS[route]: {
            "handler": f"app.{HANDLERS[route]}",
            "events": [{"websocket": _event(route, setup)}],
        }
        for route in setup.routes
    }
    functions["authorizer"] = {"handler": "app.authorizer"}
    return {
        "service": SERVICE,
        "frameworkVersion": "3",
        "plugins": ["serverless-offline"],
        "provider": {
            "name": "aws",
            "runtime": "python3.11",
            "stage": STAGE,
            "region": REGION,
            "timeout": TIMEOUT_SECONDS,
            "websocketsApiRouteSelectionExpression": "$request.body.action",
        },
        "functions": functions,
    }


def _event(route: str, setup: _Setup) -> dict[str, Any]:
    event: dict[str, Any] = {"route": route}
    if route == "$connect" and setup.authorizer is not None:
        event["authorizer"] = setup.authorizer
    if route == "$default" and setup.is_two_way:
        event["routeResponseSelectionExpression"] = "$default"
    return event


def _version() -> str:
    package = json.loads((MODULES / "serverless-offline" / "package.json").read_text())
    return str(package["version"])


TARGET: Final = ServerlessOffline()
