"""A Lambda function as its caller sees it: an event and a context in, JSON out."""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class LambdaContext:
    """What Lambda tells a function of its invocation.

    Not chalice.local's: its module brings an HTTP server and 7 MiB along.
    """

    identity = None
    client_context = None
    function_version = "$LATEST"

    def __init__(self, function: "Function") -> None:
        self.function_name = function.name
        self.memory_limit_in_mb = function.memory_mb
        self.invoked_function_arn = (
            f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}"
        )
        self.aws_request_id = str(uuid.uuid4())
        self.log_group_name = f"/aws/lambda/{function.name}"
        self.log_stream_name = "devserver"
        self._deadline = time.monotonic() + function.timeout_seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left of the function's timeout, never less than 0."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


class MarshalError(Exception):
    """The handler returned what JSON cannot hold; Lambda calls it Runtime.MarshalError."""


@dataclass(frozen=True, slots=True)
class Function:
    """One Lambda function, by its deployed name.

    `label` is what the application's developer knows it by: a route, or its name in app.py.
    """

    name: str
    label: str
    handler: Callable[[Any, Any], Any]
    timeout_seconds: float
    memory_mb: int

    def __call__(self, event: Any) -> Any:
        """Run the handler and return what JSON keeps of its result.

        Raises what the handler raises, and MarshalError.
        """
        result = self.handler(event, LambdaContext(self))
        try:
            return json.loads(json.dumps(result))
        except (TypeError, ValueError, RecursionError) as error:
            raise MarshalError(f"Unable to marshal response: {error}") from error
