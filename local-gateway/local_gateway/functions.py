"""A Lambda function, which receives an event and a context and returns JSON."""

import json
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from local_gateway.events import make_uuid
from local_gateway.standard_output import end_lines

running_function: ContextVar[str | None] = ContextVar("running_function", default=None)
"""The name of the function that runs in this thread."""

_encode = json.JSONEncoder(allow_nan=False).encode


class LambdaContext:
    """The context of an invocation.

    The module doesn't use chalice.local's class, because that imports an HTTP server and 7 MiB.
    """

    identity = None
    client_context = None
    function_version = "$LATEST"

    def __init__(self, function: "Function") -> None:
        """Start the function's timeout."""
        self.function_name = function.name
        self.memory_limit_in_mb = function.memory_mb
        self.invoked_function_arn = (
            f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}"
        )
        self.log_group_name = f"/aws/lambda/{function.name}"
        self.log_stream_name = "local_gateway"
        self._deadline = time.monotonic() + function.timeout_seconds

    @cached_property
    def aws_request_id(self) -> str:
        """The invocation's ID. Most handlers don't read it, so it is generated when it is read."""
        return make_uuid()

    def get_remaining_time_in_millis(self) -> int:
        """Return the rest of the function's timeout in milliseconds, at least 0."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


class MarshalError(Exception):
    """The handler's result can't be encoded as JSON. Lambda's name is Runtime.MarshalError."""


@dataclass(frozen=True, slots=True)
class Function:
    """One Lambda function.

    Attributes:
        name: The deployed name.
        label: The name in app.py, or the route.
        handler: The function in app.py.
        timeout_seconds: The timeout of an invocation.
        memory_mb: The memory size that the context reports.
    """

    name: str
    label: str
    handler: Callable[[Any, Any], Any]
    timeout_seconds: float
    memory_mb: int

    def __call__(self, event: Any) -> Any:
        """Run the handler, and return its result after a round trip through JSON.

        The event belongs to the handler, which can change it. The handler's exceptions pass
        through.

        Raises:
            MarshalError: The result can't be encoded as JSON.
        """
        token = running_function.set(self.name)
        try:
            result = self.handler(event, LambdaContext(self))
        finally:
            running_function.reset(token)
            end_lines()
        try:
            return json.loads(_encode(result))
        except (TypeError, ValueError, RecursionError) as error:
            raise MarshalError(f"Unable to marshal response: {error}") from error


def message_of(error: BaseException) -> str:
    """Return an error's text, or a replacement as in tracebacks if its `__str__` fails."""
    try:
        return str(error)
    except Exception:
        return "<exception str() failed>"
