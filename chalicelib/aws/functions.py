"""Lambda's Invoke, for asynchronous events."""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from chalicelib.aws.wire import Transport, Unreachable

ATTEMPTS: Final = 2
"""Lambda may run an event twice anyway, so its receiver can take a repeated one."""

_ACCEPTED: Final = 202
_THROTTLED: Final = 429
_HEADERS: Final = {"x-amz-invocation-type": "Event"}


class InvocationFailed(Exception):
    """Lambda has not accepted an event, or has not said so; the text is a status or `no answer`."""


class Functions:
    """Invokes Lambda functions asynchronously. Threads may share it.

    Source: Invoke, AWS Lambda API Reference.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def invoke_later(self, function_name: str, event: Mapping[str, Any]) -> None:
        """Hand over an event. A 429, a 5xx or no answer is followed by one more try.

        Raises: InvocationFailed.
        """
        path = f"/2015-03-31/functions/{quote(function_name, safe='')}/invocations"
        body = json.dumps(event).encode()
        failure = ""
        for _ in range(ATTEMPTS):
            try:
                answer = self._transport.request("POST", path, body, _HEADERS, is_idempotent=True)
            except Unreachable:
                failure = "no answer"
                continue
            if answer.status == _ACCEPTED:
                return
            failure = f"status {answer.status}"
            if answer.status < 500 and answer.status != _THROTTLED:
                break
        raise InvocationFailed(failure)
