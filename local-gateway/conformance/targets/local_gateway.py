"""The local gateway of this repository, one server per variant."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from conformance.targets import base
from conformance.targets.base import Api, Deployment, TargetError
from conformance.targets.records import create_table
from local_gateway import scratch
from local_gateway.aws import EmbeddedAwsError, ministack

STAGE: Final = "local"
STOP_SECONDS: Final = 10
TABLE: Final = "records"
CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}

AUTHORIZED: Final = {"authorizer_function": "authorizer"}
TWO_WAY: Final = {"route_responses": ["$default"]}


@dataclass(frozen=True, slots=True)
class _Setup:
    """How a variant is configured.

    Attributes:
        websocket_api: The value of `websocket_api` in .chalice/config.json.
        options: The gateway's options.
        routes: The application's routes; None for all.
    """

    websocket_api: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    routes: str | None = None


SETUPS: Final = {
    base.TWO_WAY: _Setup(AUTHORIZED | TWO_WAY),
    base.ONE_WAY: _Setup(),
    base.CONNECT_ONLY: _Setup(routes="$connect"),
    base.DEFAULT_ONLY: _Setup(TWO_WAY, routes="$default"),
    base.IDENTITY_SOURCE: _Setup(
        AUTHORIZED | {"identity_sources": ["route.request.querystring.token"]}
    ),
    base.SHORT_IDLE: _Setup(options=("--idle-timeout-seconds", "1")),
    base.SHORT_LIFETIME: _Setup(options=("--connection-lifetime-seconds", "1")),
    # The gateway has no limits of a stage. This fault shows what happens beyond them.
    base.THROTTLED: _Setup(options=("--fault", "connect_throttled_share=1"), routes="$connect"),
}


class LocalGateway:
    """The local gateway."""

    name = "local-gateway"

    @contextmanager
    def deployed(self) -> Iterator[Deployment]:
        """Serve each variant of the probe with a local gateway.

        Raises:
            TargetError: ministack or a gateway can't be started.
        """
        with ExitStack() as stack:
            try:
                dynamodb_url = stack.enter_context(ministack())
            except EmbeddedAwsError as error:
                raise TargetError(str(error)) from None
            settings = {
                "region_name": "us-east-1",
                "aws_access_key_id": "local",
                "aws_secret_access_key": "local",
            }
            create_table(TABLE, dynamodb_url, settings)
            home = stack.enter_context(scratch.folder("conformance-gateway-"))
            servers = {
                name: stack.enter_context(_server(home / name, setup, dynamodb_url))
                for name, setup in SETUPS.items()
            }
            yield Deployment(
                version=version("chalice-local-gateway"),
                apis={
                    name: _wait_until_ready(server, home / name) for name, server in servers.items()
                },
                records_table=TABLE,
                missing={base.WITHOUT_PERMISSION: "it has no permissions"},
                settings={
                    base.SHORT_IDLE: "an idle timeout of 1 second",
                    base.SHORT_LIFETIME: "a lifetime of 1 second",
                    base.THROTTLED: "the fault connect_throttled_share=1, which answers 429",
                },
                client_settings=settings,
                dynamodb_url=dynamodb_url,
            )


@contextmanager
def _server(project: Path, setup: _Setup, dynamodb_url: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a local gateway that serves a copy of the probe."""
    shutil.copytree(base.PROBE, project)
    config_file = project / ".chalice" / "config.json"
    config = json.loads(config_file.read_text()) | {"websocket_api": setup.websocket_api}
    config_file.write_text(json.dumps(config))
    environment = _environment(setup, config["app_name"], dynamodb_url)
    with _log_of(project).open("w") as log:
        process = subprocess.Popen(  # noqa: S603
            [
                *(sys.executable, "-m", "local_gateway", "--project", project, "--stage", STAGE),
                *("--port", "0", "--no-aws", "--no-reload", "--quiet", *setup.options),
            ],
            env={**os.environ, **CREDENTIALS, **environment},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _environment(setup: _Setup, app_name: str, dynamodb_url: str) -> dict[str, str]:
    routes = {} if setup.routes is None else {"ROUTES": setup.routes}
    return {
        **routes,
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "RECORDS_TABLE": TABLE,
        "CHILD_FUNCTION": f"{app_name}-{STAGE}-child",
    }


def _log_of(project: Path) -> Path:
    """Return the file for a gateway's log: the tracebacks of the probe's failures."""
    return project.with_suffix(".log")


def _wait_until_ready(process: "subprocess.Popen[str]", project: Path) -> Api:
    """Wait for a gateway's "ready" line, which contains its URL."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("ready: "):
        lines = _log_of(project).read_text().strip().splitlines() or ["it prints nothing"]
        raise TargetError(f"the local gateway does not start: {lines[-1]}")
    url = line.removeprefix("ready: ").strip()
    return Api(url, url.replace("ws://", "http://", 1))


TARGET: Final = LocalGateway()
