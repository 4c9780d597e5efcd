"""Asynchronous invocations of Lambda functions."""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from chalicelib.aws.wire import Transport, Unreachable

ATTEMPTS: Final = 2
"""Attempts for each invocation.

A repeated invocation is safe: Lambda can deliver an asynchronous event twice in any case, and its
function handles that.
"""

_ACCEPTED: Final = 202
_THROTTLED: Final = 429
_HEADERS: Final = {"x-amz-invocation-type": "Event"}


class InvocationFailed(Exception):
    """Lambda did not accept an event, or did not answer. The text is a status or `no answer`."""


class Functions:
    """Invokes Lambda functions asynchronously. Thread-safe.

    Source: Invoke, AWS Lambda API Reference.
    """

    def __init__(self, transport: Transport) -> None:
        """Send requests through this transport."""
        self._transport = transport

    def invoke_later(self, function_name: str, event: Mapping[str, Any]) -> None:
        """Queue an event for a function. A 429, a 5xx or a missing answer is retried once.

        Raises:
            InvocationFailed: Lambda has not accepted the event.
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
