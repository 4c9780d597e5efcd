"""The server's own API for its faults: look, put, change, take away, while it runs.

Every answer but an error holds all faults with their values.
"""

import json
from functools import partial
from typing import Any

from devserver import dynamodb_faults
from devserver.faults import Faults, InvalidFault, check_targets
from devserver.gateway import Gateway
from devserver.http_messages import Reply, Request, error_response, json_response

PATH = "/_devserver/faults"

DYNAMODB_SECONDS = 10
"""How long the embedded AWS may take to hear of its faults."""


def respond(gateway: Gateway, request: Request, reply: Reply) -> None:
    """Answer at once, or when DynamoDB has heard of it: what is answered is in force."""
    if request.method == "GET":
        reply(json_response(200, gateway.dice.faults.to_dict()))
        return
    try:
        faults = _faults_after(gateway.dice.faults, request)
        check_faults(gateway, faults)
    except InvalidFault as invalid:
        reply(error_response(400, "BadRequestException", str(invalid)))
    else:
        _put(gateway, faults, reply)


def check_faults(gateway: Gateway, faults: Faults) -> None:
    """Check that whom the faults are limited to is there; raises InvalidFault."""
    tables = dynamodb_faults.table_names(gateway.environment)
    check_targets(faults, gateway.application.labels, tables)


def _faults_after(faults: Faults, request: Request) -> Faults:
    if request.method == "PUT":
        return Faults().changed(_parse_body(request.body))
    if request.method == "PATCH":
        return faults.changed(_parse_body(request.body))
    if request.method == "DELETE":
        return Faults()
    raise InvalidFault(f"{PATH} knows GET, PUT, PATCH and DELETE, not {request.method}")


def _parse_body(body: bytes) -> dict[str, Any]:
    try:
        held = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidFault(f"the body is no JSON: {error}") from None
    if not isinstance(held, dict):
        raise InvalidFault("the body must be an object of faults by their names")
    return held


def _put(gateway: Gateway, faults: Faults, reply: Reply) -> None:
    gateway.dice.faults = faults
    if dynamodb_faults.table_names(gateway.environment):
        done = partial(_put_done, gateway, reply)
        gateway.workers.run(_put_to_dynamodb, gateway, DYNAMODB_SECONDS, done)
    else:
        reply(json_response(200, faults.to_dict()))


def _put_to_dynamodb(gateway: Gateway) -> dict[str, Any]:
    """Put what is in force by now: of two requests at once, the last is told last."""
    with dynamodb_faults.PUTTING:
        faults = gateway.dice.faults
        dynamodb_faults.put(faults, gateway.environment)
    return faults.to_dict()


def _put_done(gateway: Gateway, reply: Reply, held: Any, error: BaseException | None) -> None:
    if error is None:
        reply(json_response(200, held))
    else:
        gateway.log.error("the embedded AWS did not hear of its faults", error)
        reply(error_response(500, "InternalServerError", f"the embedded AWS: {error}"))
