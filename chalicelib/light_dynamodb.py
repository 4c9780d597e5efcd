"""DynamoDB's UpdateItem without boto3, for the authorizer: it would import it for one call."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from chalicelib.errors import ServiceUnavailable
from chalicelib.signed_http import SignedClient, Unreachable

RETRY_AFTER_SECONDS: Final = 2

# Source: "DynamoDB low-level API", Amazon DynamoDB Developer Guide.
_HEADERS: Final = {
    "content-type": "application/x-amz-json-1.0",
    "x-amz-target": "DynamoDB_20120810.UpdateItem",
}


def update_item(client: SignedClient) -> Callable[..., Mapping[str, Any]]:
    """Return UpdateItem with the arguments of boto3's client.

    It raises ServiceUnavailable where there is no answer, or any but a success.
    """

    def update(**request: Any) -> Mapping[str, Any]:
        try:
            answer = client.request("POST", "/", json.dumps(request).encode(), _HEADERS)
        except Unreachable as error:
            raise _unavailable() from error
        if answer.status != 200:
            raise _unavailable()
        updated: Mapping[str, Any] = json.loads(answer.body)
        return updated

    return update


def _unavailable() -> ServiceUnavailable:
    return ServiceUnavailable(
        "The service is busy, please try again.", retry_after_seconds=RETRY_AFTER_SECONDS
    )
