"""The HTTP API that reads and changes the faults of a running gateway.

Every successful response contains all faults with their values.
"""

import json
from functools import partial
from typing import Any

from local_gateway import dynamodb_faults
from local_gateway.faults import Faults, InvalidFault, check_targets
from local_gateway.gateway import Gateway
from local_gateway.http_messages import Reply, Request, error_response, json_response

PATH = "/_local_gateway/faults"

DYNAMODB_SECONDS = 10
"""Timeout for an update of the embedded AWS's faults."""


def respond(gateway: Gateway, request: Request, reply: Reply) -> None:
    """Respond when the faults in the response are in effect, in DynamoDB as well."""
    if request.method == "GET":
        reply(json_response(200, gateway.fault_injector.faults.to_dict()))
        return
    try:
        faults = _faults_after(gateway, request)
    except InvalidFault as invalid:
        reply(error_response(400, "BadRequestException", str(invalid)))
    else:
        _apply(gateway, faults, reply)


def _faults_after(gateway: Gateway, request: Request) -> Faults:
    """Return the faults that a request asks for.

    Only the settings in the request are checked. A reload can have removed the function that the
    current faults are limited to, which must not prevent other changes.
    """
    if request.method == "DELETE":
        return Faults()
    if request.method not in ("PUT", "PATCH"):
        raise InvalidFault(f"{PATH} accepts GET, PUT, PATCH and DELETE, not {request.method}")
    settings = _parse_body(request.body)
    requested = Faults().changed(settings)
    tables = dynamodb_faults.table_names(gateway.environment)
    check_targets(requested, gateway.application.labels, tables)
    is_put = request.method == "PUT"
    return requested if is_put else gateway.fault_injector.faults.changed(settings)


def _parse_body(body: bytes) -> dict[str, Any]:
    try:
        settings = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidFault(f"the body isn't valid JSON: {error}") from None
    if not isinstance(settings, dict):
        raise InvalidFault("the body must be an object that maps names of faults to values")
    return settings


def _apply(gateway: Gateway, faults: Faults, reply: Reply) -> None:
    gateway.set_faults(faults)
    if dynamodb_faults.table_names(gateway.environment):
        done = partial(_applied, gateway, reply)
        gateway.workers.run(_apply_to_dynamodb, gateway, DYNAMODB_SECONDS, done)
    else:
        reply(json_response(200, faults.to_dict()))


def _apply_to_dynamodb(gateway: Gateway) -> dict[str, Any]:
    """Apply the faults that are current under the lock, which a concurrent request may have set."""
    with dynamodb_faults.APPLY_LOCK:
        faults = gateway.fault_injector.faults
        dynamodb_faults.apply_faults(faults, gateway.environment)
    return faults.to_dict()


def _applied(gateway: Gateway, reply: Reply, faults: Any, error: BaseException | None) -> None:
    if error is None:
        reply(json_response(200, faults))
    else:
        gateway.log.error("can't apply the faults to the embedded AWS", error)
        reply(error_response(500, "InternalServerError", f"the embedded AWS: {error}"))
