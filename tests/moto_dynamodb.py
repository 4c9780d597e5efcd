"""Moto's DynamoDB as a transport: the application's own client, without sockets.

That moto answers so over HTTP, too, is tested in tests/properties/test_moto.py.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.dynamodb.parsing.validators import ActionCountValidator, OverlappingPathsValidator
from moto.dynamodb.responses import DynamoHandler

from chalicelib.aws.dynamodb import DynamoDB
from chalicelib.aws.retries import Retries
from chalicelib.aws.wire import Answer

REGION = "us-east-1"

# Moto parses an expression anew for each request, and runs these two checks at every node of it,
# although the result at the root contains the others: nine tenths of the time of a heartbeat.
UpdateExpressionParser.make = staticmethod(cache(UpdateExpressionParser.make))
ActionCountValidator.traverse = ActionCountValidator.verify_action_counts
OverlappingPathsValidator.traverse = OverlappingPathsValidator.check_for_overlapping_paths

Hook = Callable[[str, dict[str, Any]], None]
"""Sees an operation's name and its request or answer, which it may change. What it raises comes
out of the request, for example Unreachable.
"""


class MotoTransport:
    """Takes requests as SignedClient does, and has moto's DynamoDB answer them."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        """All that were made, with the names of their operations."""
        self.on_request: list[Hook] = []
        self.on_answer: list[Hook] = []

    def request(
        self,
        _method: str,
        _path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,
    ) -> Answer:
        operation = (headers or {})["x-amz-target"].partition(".")[2]
        request = json.loads(body)
        self.requests.append((operation, request))
        for hook in self.on_request:
            hook(operation, request)
        answer = call(operation, request)
        if self.on_answer and answer.status == 200:
            said = json.loads(answer.body)
            for hook in self.on_answer:
                hook(operation, said)
            answer = Answer(200, json.dumps(said).encode(), {})
        return answer


class MotoDynamoDB(DynamoDB):
    """The application's client on moto, with what tests look at and strike."""

    def __init__(self, retries: Retries | None = None) -> None:
        self.transport = MotoTransport()
        super().__init__(self.transport, retries or Retries("store"))


def call(operation: str, request: Mapping[str, Any]) -> Answer:
    """Have moto carry out one request, whose answer it gives as it would over HTTP."""
    try:
        said = _carry_out(operation, request)
    except JsonRESTError as error:
        return Answer(400, error.description.encode(), {})
    return Answer(200, json.dumps(said or {}).encode(), {})


def _carry_out(operation: str, request: Mapping[str, Any]) -> Any:
    handler = DynamoHandler()
    handler.body = dict(request)
    handler.region, handler.current_account = REGION, DEFAULT_ACCOUNT_ID
    return getattr(handler, re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower())().result


def create_tables(*requests: Mapping[str, Any]) -> None:
    """Forget all tables, and create these."""
    dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].reset()
    for request in requests:
        _carry_out("CreateTable", request)
