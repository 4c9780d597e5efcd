"""What goes out to clients: posts through @connections, and outcomes by way of a function.

Who is told what is decided in sessions. A gone receiver is `Gone`, never an error of botocore.
"""

import json
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from chalicelib import telemetry

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient
    from mypy_boto3_lambda import LambdaClient

FAN_OUT_THREADS: Final = 32
"""Posts under way at once. A post is mostly waiting, so more threads than cores pay."""

# A malformed id was never a connection; that error is not in the service's model.
# Source: apigatewaymanagementapi's model (GoneException); seen on AWS (BadRequestException).
_GONE_ERRORS: Final = frozenset({"GoneException", "BadRequestException"})


class Gone(Exception):
    """The connection is closed, was never there, or has not opened yet."""


@dataclass(frozen=True, slots=True)
class FanOut:
    """How many receivers a fan-out reached, found gone, and failed to reach."""

    reached: int
    gone: int
    failed: int


class Gateway:
    def __init__(self, client: "ApiGatewayManagementApiClient") -> None:
        self._client = client

    def post(self, connection_id: str, text: str) -> None:
        """Post one message. It was then taken by API Gateway, not yet read by the client.

        Raises: Gone; an error of botocore's for anything else.
        """
        try:
            self._client.post_to_connection(ConnectionId=connection_id, Data=text.encode())
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE_ERRORS:
                raise Gone from None
            raise

    def fan_out(self, connection_ids: Collection[str], text: str) -> FanOut:
        """Post one message to many connections, side by side.

        Order: none. A gone receiver is counted and skipped, and so is one that cannot be
        reached; neither keeps the message from the rest.
        """
        if not connection_ids:
            return FanOut(0, 0, 0)
        threads = min(FAN_OUT_THREADS, len(connection_ids))
        with ThreadPoolExecutor(max_workers=threads) as pool:
            ends = list(pool.map(lambda to: self._try_post(to, text), connection_ids))
        return FanOut(ends.count("reached"), ends.count("gone"), ends.count("failed"))

    def _try_post(self, connection_id: str, text: str) -> str:
        try:
            self.post(connection_id, text)
        except Gone:
            return "gone"
        except (ClientError, BotoConnectionError, HTTPClientError):
            return "failed"
        return "reached"


class Outcomes:
    """Sends the outcome of a connect-time command once the connection is open.

    A post made inside $connect answers 410, so a function of its own makes it later.
    Source: "How do I troubleshoot 410 Gone errors", AWS Knowledge Center.
    """

    def __init__(self, client: "Callable[[], LambdaClient]", function_name: str) -> None:
        """`client` is asked for when there is an outcome: three of four functions have none."""
        self._client = client
        self._function_name = function_name

    def send(self, connection_id: str, endpoint_url: str, text: str) -> None:
        """Ask for an outcome to be sent. If that fails it is logged, and the connection opens all
        the same: the answer to the client's next heartbeat names its session.
        """
        event = {"connectionId": connection_id, "endpointUrl": endpoint_url, "message": text}
        try:
            self._client().invoke(
                FunctionName=self._function_name,
                InvocationType="Event",
                Payload=json.dumps(event),
            )
        except (ClientError, BotoConnectionError, HTTPClientError):
            telemetry.log_failure("outcome.send")
