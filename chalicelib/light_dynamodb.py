"""DynamoDB's UpdateItem without boto3, for the authorizer: it would import it for one call."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from chalicelib.circuit import CircuitBreaker, unavailable
from chalicelib.signed_http import Answer, SignedClient, Unreachable

# Source: "DynamoDB low-level API", Amazon DynamoDB Developer Guide.
_HEADERS: Final = {
    "content-type": "application/x-amz-json-1.0",
    "x-amz-target": "DynamoDB_20120810.UpdateItem",
}


def update_item(client: SignedClient, breaker: CircuitBreaker) -> Callable[..., Mapping[str, Any]]:
    """Return UpdateItem with the arguments of boto3's client.

    It raises ServiceUnavailable where there is no answer, or any but a success.
    """

    def update(**request: Any) -> Mapping[str, Any]:
        breaker.check()
        try:
            answer = client.request("POST", "/", json.dumps(request).encode(), _HEADERS)
        except Unreachable as error:
            breaker.failed()
            raise unavailable() from error
        if answer.status >= 500:
            breaker.failed()
            raise unavailable()
        breaker.succeeded()
        return _parse(answer)

    return update


def _parse(answer: Answer) -> Mapping[str, Any]:
    """Raises: ServiceUnavailable, for an answer that is no success of DynamoDB's."""
    try:
        updated = json.loads(answer.body) if answer.status == 200 else None
    except ValueError:
        updated = None
    if not isinstance(updated, dict):
        raise unavailable()
    return updated
