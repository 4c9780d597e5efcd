"""Stand-ins for AWS services that ministack lacks, served inside ministack's process.

A stand-in is an ASGI application of the project. It receives the requests of one service, which it
must not check signatures of, and responds like the service. The functions that ministack runs have
the stand-ins' endpoints in their environment.
"""

import importlib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from local_gateway.asgi import AsgiApp, Message, Receive, Send

PREFIX: Final = "/_local_gateway/stand-ins/"

VARIABLE: Final = "LOCAL_GATEWAY_STAND_INS"
"""The environment variable with the stand-ins, a JSON object, in ministack's process."""


NOT_FOUND_EXIT_CODE: Final = os.EX_CONFIG
"""The exit code of ministack's process if a stand-in doesn't exist. The last line says why."""


def endpoint_variable(service: str) -> str:
    """Return the environment variable with which AWS SDKs find a service's endpoint.

    Source: AWS SDKs and Tools reference guide, "Service-specific endpoints".
    """
    return f"AWS_ENDPOINT_URL_{re.sub(r'[^A-Za-z0-9]', '_', service).upper()}"


def endpoints(endpoint_url: str, services: Iterable[str]) -> dict[str, str]:
    """Return the environment variables with which AWS SDKs find stand-ins of services."""
    return {endpoint_variable(each): f"{endpoint_url}{PREFIX}{each}" for each in services}


def settings(folder: Path, stand_ins: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables with which ministack's process serves stand-ins.

    Args:
        folder: The project's folder, from which stand-ins are imported.
        stand_ins: ASGI applications, as `module:name`, by service.
    """
    if not stand_ins:
        return {}
    python_path = filter(None, (str(folder), os.environ.get("PYTHONPATH")))
    return {
        "PYTHONPATH": os.pathsep.join(python_path),
        VARIABLE: json.dumps(dict(stand_ins)),
    }


class StandInNotFound(Exception):
    """There is no stand-in with this name. The message explains why in one line."""


class StandIns:
    """ASGI middleware that passes requests below PREFIX to the stand-ins."""

    def __init__(self, app: AsgiApp, stand_ins: Mapping[str, str]) -> None:
        """Import the stand-ins. The exceptions of their modules pass through.

        Args:
            app: The application that responds to all other requests.
            stand_ins: ASGI applications, as `module:name`, by service.

        Raises:
            StandInNotFound: A module or application doesn't exist.
        """
        self._app = app
        self._stand_ins = {
            f"{PREFIX}{service}": _find(service, name) for service, name in stand_ins.items()
        }

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Respond to a request."""
        path = scope.get("path", "")
        for root, stand_in in self._stand_ins.items():
            if path == root or path.startswith(f"{root}/"):
                own_path = path.removeprefix(root) or "/"
                own = {"path": own_path, "raw_path": own_path.encode(), "root_path": root}
                await stand_in({**scope, **own}, receive, send)
                return
        await self._app(scope, receive, send)


def add_requested(app: AsgiApp) -> AsgiApp:
    """Add the stand-ins that the environment requests. Exits with a line if one doesn't exist."""
    requested = os.environ.get(VARIABLE)
    if not requested:
        return app
    by_service = json.loads(requested)
    # The processes of functions inherit these variables.
    os.environ |= endpoints(f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}", by_service)
    try:
        return StandIns(app, by_service)
    except StandInNotFound as error:
        print(error, file=sys.stderr)
        sys.exit(NOT_FOUND_EXIT_CODE)


def _find(service: str, name: str) -> AsgiApp:
    module, _, attribute = name.partition(":")
    where = f"local_gateway.aws.stand_ins.{service}: {name}"
    try:
        application: AsgiApp = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise StandInNotFound(f"{where}: {error}") from None
    except AttributeError as error:
        if error.name != attribute:
            raise
        raise StandInNotFound(f"{where}: {error}") from None
    if not callable(application):
        raise StandInNotFound(f"{where}: it isn't an ASGI application")
    return application
