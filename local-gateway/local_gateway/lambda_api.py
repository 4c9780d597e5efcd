"""Lambda's Invoke API, with which the application invokes its own functions.

Source: botocore's service model of lambda, operation Invoke.
"""

import json
import re
import traceback
from functools import partial
from typing import Any
from urllib.parse import unquote

from local_gateway.async_invocation import AsyncInvocation, log_invocation
from local_gateway.faults import Throttled
from local_gateway.functions import Function, message_of
from local_gateway.gateway import Gateway
from local_gateway.http_messages import Reply, Request, Response, error_response, json_response
from local_gateway.workers import TimedOut

_PATH = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
_NAME = re.compile(r"(?:.*:function:|\d+:)?([A-Za-z0-9_-]+)(?::[^:]+)?")
"""A function's name, partial ARN or full ARN, with or without a qualifier."""

_THROTTLED = json_response(
    429,
    {"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."},
    {"x-amzn-ErrorType": "TooManyRequestsException"},
)


def find_name(path: str) -> str | None:
    """Return the name of the function that a path invokes.

    Returns:
        None if the path isn't part of this API, "" if the name isn't valid.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    name = _NAME.fullmatch(unquote(match[1]))
    return "" if name is None else name[1]


def respond(gateway: Gateway, request: Request, name: str, reply: Reply) -> None:
    """Invoke a function, and reply with its result, or without waiting for one ("Event")."""
    function = gateway.application.functions.get(name)
    if function is None:
        reply(error_response(404, "ResourceNotFoundException", f"Function not found: {name}"))
        return
    payload = request.body or b"{}"
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError) as error:
        message = f"Could not parse request body into json: {error}"
        reply(error_response(400, "InvalidRequestContentException", message))
        return
    kind = request.find_header("x-amz-invocation-type") or "RequestResponse"
    if kind == "RequestResponse":
        done = partial(_finished, gateway, function, gateway.loop.time(), reply)
        gateway.run(function, event, function.timeout_seconds, done)
    elif kind == "Event":
        AsyncInvocation(gateway, function, payload).start()
        reply(Response(202))
    elif kind == "DryRun":
        reply(Response(204))
    else:
        message = f"{kind} isn't an invocation type"
        reply(error_response(400, "InvalidParameterValueException", message))


def _finished(
    gateway: Gateway,
    function: Function,
    started: float,
    reply: Reply,
    result: Any,
    error: BaseException | None,
) -> None:
    log_invocation(gateway, f"lambda {function.name}", started, error)
    if isinstance(error, Throttled):
        reply(_THROTTLED)
    else:
        reply(_result_response(function, result, error))


def _result_response(function: Function, result: Any, error: BaseException | None) -> Response:
    headers = {"x-amz-executed-version": "$LATEST"}
    if error is None:
        return json_response(200, result, headers)
    headers["x-amz-function-error"] = "Unhandled"
    return json_response(200, _describe(function, error), headers)


def _describe(function: Function, error: BaseException) -> dict[str, Any]:
    """Describe an error as Lambda's Python runtime does."""
    if isinstance(error, TimedOut):
        message = f"Task timed out after {function.timeout_seconds:.2f} seconds"
        return {"errorType": "Sandbox.Timedout", "errorMessage": message}
    return {
        "errorMessage": message_of(error),
        "errorType": type(error).__name__,
        "stackTrace": traceback.format_tb(error.__traceback__),
    }
