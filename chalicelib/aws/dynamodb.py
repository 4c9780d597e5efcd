"""DynamoDB's requests, as JSON over signed HTTP.

Requests and answers have the form of DynamoDB's low-level API, so items need no encoding.
Source: "DynamoDB low-level API", Amazon DynamoDB Developer Guide.
"""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chalicelib.aws.retries import AttemptFailed, Overloaded, Retries
from chalicelib.aws.wire import Answer, Transport, Unreachable

Value = dict[str, Any]
"""An attribute's value under the name of its type: `{"S": "golden-eagle-427"}`, `{"N": "3"}`."""

Item = dict[str, Value]
"""An item, or some of its attributes, by name."""

_TARGET: Final = "DynamoDB_20120810"
_CONTENT_TYPE: Final = "application/x-amz-json-1.0"

# Refused before anything was done.
# Source: "Error handling with DynamoDB" and TransactWriteItems, Amazon DynamoDB.
_OVERLOADED: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_CANCELLED_BY_LOAD: Final = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)
_BROKEN: Final = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)
"""Failures of the service by name; most have a status of 500 or above, too."""


class Refused(Exception):
    """DynamoDB has refused a request; `code` is its name for the reason, for example
    `ValidationException`, and `operation` the request's, for example `PutItem`.
    """

    def __init__(self, code: str, operation: str) -> None:
        super().__init__(f"{operation}: {code}")
        self.code = code
        self.operation = operation


class ConditionFailed(Refused):
    """The condition of a write failed; `item` is the present one, if there is one and the request
    asked for it.
    """

    def __init__(self, operation: str, item: Item) -> None:
        super().__init__("ConditionalCheckFailedException", operation)
        self.item = item


class TransactionCancelled(Refused):
    """A condition of a transaction failed.

    `reasons` has one entry for each write: its `Code` ("None" if nothing was in the way of this
    one), and its `Item` as in ConditionFailed.
    """

    def __init__(self, operation: str, reasons: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("TransactionCanceledException", operation)
        self.reasons = reasons


class DynamoDB:
    """Makes requests with the names of DynamoDB's API. Threads may share it.

    Each method raises ServiceUnavailable if DynamoDB throttles for too long, fails, or can't be
    reached; ConditionFailed and TransactionCancelled where a write has a condition; Refused for
    everything else. A request that was lost is sent once more, except a write that isn't repeatable
    (`is_repeatable=False`, for example a counter's) and may have been done.
    Source: "Atomic counters", Amazon DynamoDB Developer Guide.
    """

    def __init__(self, transport: Transport, retries: Retries) -> None:
        self._transport = transport
        self._retries = retries

    def get_item(self, **request: Any) -> Item:
        """Return the item, or an empty one if there is none."""
        item: Item = self._ask("GetItem", request).get("Item", {})
        return item

    def put_item(self, **request: Any) -> None:
        self._ask("PutItem", request)

    def update_item(self, *, is_repeatable: bool = True, **request: Any) -> Item:
        """Return the attributes that `ReturnValues` asks for."""
        answer = self._ask("UpdateItem", request, is_repeatable=is_repeatable)
        attributes: Item = answer.get("Attributes", {})
        return attributes

    def delete_item(self, **request: Any) -> Item:
        """Return the attributes that `ReturnValues` asks for."""
        attributes: Item = self._ask("DeleteItem", request).get("Attributes", {})
        return attributes

    def scan(self, **request: Any) -> Mapping[str, Any]:
        """Return one page, with its `Items` and perhaps a `LastEvaluatedKey`."""
        return self._ask("Scan", request)

    def query(self, **request: Any) -> Iterator[Item]:
        """Return the items of all pages."""
        while True:
            page = self._ask("Query", request)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def batch_get_item(self, **request: Any) -> Mapping[str, Any]:
        """Return the `Responses` by table, and perhaps `UnprocessedKeys`."""
        return self._ask("BatchGetItem", request)

    def transact_write_items(self, writes: Sequence[Mapping[str, Any]]) -> None:
        """Do all of these writes or none. A repeated request is known by its token."""
        request = {"TransactItems": writes, "ClientRequestToken": secrets.token_hex(16)}
        self._ask("TransactWriteItems", request)

    def _ask(
        self, operation: str, request: Mapping[str, Any], *, is_repeatable: bool = True
    ) -> Mapping[str, Any]:
        body = json.dumps(request).encode()
        headers = {"content-type": _CONTENT_TYPE, "x-amz-target": f"{_TARGET}.{operation}"}

        def attempt() -> Mapping[str, Any]:
            try:
                answer = self._transport.request(
                    "POST", "/", body, headers, is_idempotent=is_repeatable
                )
            except Unreachable as error:
                may_repeat = is_repeatable or not error.was_sent
                raise AttemptFailed("no answer", may_repeat=may_repeat) from error
            return _read(operation, answer, is_repeatable)

        return self._retries.run(attempt)


def _read(operation: str, answer: Answer, is_repeatable: bool) -> Mapping[str, Any]:
    """Return what a success says.

    Raises: AttemptFailed for a failure of the service, in any form; Overloaded; Refused.
    """
    said = _parse(answer.body)
    if answer.status == 200 and said is not None:
        return said
    code = str((said or {}).get("__type", "")).rpartition("#")[2]
    if answer.status == 200 or answer.status >= 500 or code in _BROKEN:
        raise AttemptFailed(f"status {answer.status}", may_repeat=is_repeatable)
    if code == "ConditionalCheckFailedException":
        raise ConditionFailed(operation, (said or {}).get("Item") or {})
    if code == "TransactionCanceledException":
        raise _cancellation(operation, (said or {}).get("CancellationReasons") or [])
    if code in _OVERLOADED:
        raise Overloaded(code)
    raise Refused(code or f"status {answer.status}", operation)


def _parse(body: bytes) -> Mapping[str, Any] | None:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _cancellation(operation: str, reasons: Sequence[Mapping[str, Any]]) -> Exception:
    codes = {each.get("Code", "None") for each in reasons}
    if "ConditionalCheckFailed" in codes:
        return TransactionCancelled(operation, reasons)
    if codes & _CANCELLED_BY_LOAD:
        return Overloaded("TransactionCanceledException")
    return Refused("TransactionCanceledException", operation)
