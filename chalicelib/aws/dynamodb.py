"""DynamoDB requests as JSON over signed HTTP.

Requests and answers use the JSON of DynamoDB's low-level API, so items need no encoding.
Source: "DynamoDB low-level API", Amazon DynamoDB Developer Guide.
"""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from chalicelib.aws.retries import AttemptFailed, Overloaded, Retries
from chalicelib.aws.wire import Answer, Transport, Unreachable

Value = dict[str, Any]
"""An attribute's value under its type, such as `{"S": "golden-eagle-427"}` or `{"N": "3"}`."""

Item = dict[str, Value]
"""An item, or some of its attributes, by name."""

_TARGET: Final = "DynamoDB_20120810"
_CONTENT_TYPE: Final = "application/x-amz-json-1.0"

_OVERLOADED: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Errors with which DynamoDB refuses a request for load, before it does anything.

Source: "Error handling with DynamoDB", Amazon DynamoDB Developer Guide; TransactWriteItems, Amazon
DynamoDB API Reference.
"""

_CANCELLED_BY_LOAD: Final = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)
"""The corresponding reasons for which DynamoDB cancels a transaction."""

_BROKEN: Final = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)
"""Failures of the service. Most of them also have a status of 500 or above."""


class Refused(Exception):
    """DynamoDB refused a request.

    Attributes:
        code: The error's code, for example `ValidationException`.
        operation: The request's operation, for example `PutItem`.
    """

    def __init__(self, code: str, operation: str) -> None:
        """Record the error's code and the request's operation."""
        super().__init__(f"{operation}: {code}")
        self.code = code
        self.operation = operation


class ConditionFailed(Refused):
    """The condition of a write failed.

    Attributes:
        item: The stored item. It is empty if no item exists, or if the request didn't ask for the
            item.
    """

    def __init__(self, operation: str, item: Item) -> None:
        """Record the request's operation and the stored item."""
        super().__init__("ConditionalCheckFailedException", operation)
        self.item = item


class TransactionCancelled(Refused):
    """A condition in a transaction failed.

    Attributes:
        reasons: One entry for each write. Its `Code` is "None" if that write had no problem. Its
            `Item` is the stored item, as in ConditionFailed.
    """

    def __init__(self, operation: str, reasons: Sequence[Mapping[str, Any]]) -> None:
        """Record the request's operation and the cancellation's reasons."""
        super().__init__("TransactionCanceledException", operation)
        self.reasons = reasons


class DynamoDB:
    """Sends requests with the names and parameters of DynamoDB's API. Thread-safe.

    A request that fails is retried, except a write with `is_repeatable=False` that DynamoDB may
    have applied: a repeated counter update, for example, would count twice.

    Each method raises:
        ServiceUnavailable: DynamoDB is throttling, failing or unreachable.
        ConditionFailed: The condition of a write failed.
        TransactionCancelled: A condition in a transaction failed.
        Refused: DynamoDB refused the request for any other reason.

    Source: "Atomic counters", Amazon DynamoDB Developer Guide.
    """

    def __init__(self, transport: Transport, retries: Retries) -> None:
        """Send requests through this transport, with these retries."""
        self._transport = transport
        self._retries = retries

    def get_item(self, **parameters: Any) -> Item:
        """Return the item, or an empty one if it does not exist."""
        item: Item = self._request("GetItem", parameters).get("Item", {})
        return item

    def put_item(self, **parameters: Any) -> None:
        """Write an item."""
        self._request("PutItem", parameters)

    def update_item(self, *, is_repeatable: bool = True, **parameters: Any) -> Item:
        """Update an item.

        Args:
            is_repeatable: Whether applying the update twice is harmless.
            **parameters: The parameters of UpdateItem.

        Returns:
            The attributes that `ReturnValues` asks for.
        """
        answer = self._request("UpdateItem", parameters, is_repeatable=is_repeatable)
        attributes: Item = answer.get("Attributes", {})
        return attributes

    def delete_item(self, **parameters: Any) -> Item:
        """Delete an item, and return the attributes that `ReturnValues` asks for."""
        attributes: Item = self._request("DeleteItem", parameters).get("Attributes", {})
        return attributes

    def scan(self, **parameters: Any) -> Mapping[str, Any]:
        """Return one page: its `Items`, and a `LastEvaluatedKey` unless it is the last."""
        return self._request("Scan", parameters)

    def query(self, **parameters: Any) -> Iterator[Item]:
        """Return the items of all pages, which are read as the caller needs them.

        `Limit` applies to the first page. Each further page has twice the limit.
        """
        while True:
            page = self._request("Query", parameters)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            parameters["ExclusiveStartKey"] = page["LastEvaluatedKey"]
            if "Limit" in parameters:
                parameters["Limit"] *= 2

    def batch_get_item(self, **parameters: Any) -> Mapping[str, Any]:
        """Return the `Responses` by table, and any `UnprocessedKeys`."""
        return self._request("BatchGetItem", parameters)

    def transact_write_items(self, writes: Sequence[Mapping[str, Any]]) -> None:
        """Apply all of these writes or none. A retry has the same token, so it applies them once.

        Args:
            writes: The `TransactItems` of TransactWriteItems.
        """
        parameters = {"TransactItems": writes, "ClientRequestToken": secrets.token_hex(16)}
        self._request("TransactWriteItems", parameters)

    def _request(
        self, operation: str, parameters: Mapping[str, Any], *, is_repeatable: bool = True
    ) -> Mapping[str, Any]:
        body = json.dumps(parameters).encode()
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
    """Return the body of a success, and map everything else to an error.

    Raises:
        AttemptFailed: The service failed, or sent a success that is not JSON.
        Overloaded: The service refused the request for load.
        Refused: The service refused the request for another reason.
    """
    parsed = _parse(answer.body)
    if answer.status == 200 and parsed is not None:
        return parsed
    body = parsed or {}
    code = str(body.get("__type", "")).rpartition("#")[2]
    if answer.status == 200 or answer.status >= 500 or code in _BROKEN:
        raise AttemptFailed(f"status {answer.status}", may_repeat=is_repeatable)
    if code == "ConditionalCheckFailedException":
        raise ConditionFailed(operation, body.get("Item") or {})
    if code == "TransactionCanceledException":
        raise _cancellation(operation, body.get("CancellationReasons") or [])
    if code in _OVERLOADED:
        raise Overloaded(code)
    raise Refused(code or f"status {answer.status}", operation)


def _parse(body: bytes) -> Mapping[str, Any] | None:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _cancellation(operation: str, reasons: Sequence[Mapping[str, Any]]) -> Exception:
    codes = {reason.get("Code", "None") for reason in reasons}
    if "ConditionalCheckFailed" in codes:
        return TransactionCancelled(operation, reasons)
    if codes & _CANCELLED_BY_LOAD:
        return Overloaded("TransactionCanceledException")
    return Refused("TransactionCanceledException", operation)
