"""Batch reads and writes of a session's listeners."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from chalicelib.aws.dynamodb import Item, TransactionCancelled
from chalicelib.models import Participant, Role
from chalicelib.store.items import (
    encode_participant,
    find_participant,
    names_no_language,
    number,
)
from chalicelib.store.participants import NO_LANGUAGE_VALUES
from chalicelib.store.table import Table

SESSION_INDEX: Final = "sessionId-targetLanguage-index"
"""A session's listeners by language. Speakers, and listeners that have left or were superseded,
have no language and so no entry.
"""

UNKNOWN_LANGUAGE: Final = "und"
"""The language in the index of a listener whose notice of the session's end is outstanding."""

BATCH_ITEMS: Final = 100
"""Source: BatchGetItem, Amazon DynamoDB API Reference."""

TRANSACTION_ITEMS: Final = 100
"""Source: TransactWriteItems, Amazon DynamoDB API Reference."""


class Listing(NamedTuple):
    """A session's connections in the index.

    Attributes:
        present: The target language of each listener, by connection ID.
        arriving: The connection IDs of joins in progress.
    """

    present: Mapping[str, str]
    arriving: frozenset[str]


class ListenerStore:
    """Reads and writes many listeners at once. Never changes the counts of their sessions."""

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def list_ids(self, session_id: str, language: str | None = None) -> list[str]:
        """List the connection IDs of a session's listeners, or of those of one language.

        Eventually consistent: a listener that came or left within the last second may be missing or
        still listed.
        """
        items = self._indexed_items(session_id, language=language)
        return [item["connectionId"]["S"] for item in items]

    def list_all(self, session_id: str) -> Listing:
        """List a session's listeners and its joins in progress. Eventually consistent."""
        items = list(self._indexed_items(session_id, with_arriving=True))
        languages = {item["connectionId"]["S"]: item["targetLanguage"]["S"] for item in items}
        arriving = frozenset(item["connectionId"]["S"] for item in items if names_no_language(item))
        present = {each: languages[each] for each in languages.keys() - arriving}
        return Listing(present, arriving)

    def _indexed_items(
        self, session_id: str, *, with_arriving: bool = False, language: str | None = None
    ) -> Iterator[Item]:
        condition = "sessionId = :session"
        values: Item = {":session": {"S": session_id}}
        if language is not None:
            condition += " AND targetLanguage = :language"
            values[":language"] = {"S": language}
        elif not with_arriving:
            condition += " AND targetLanguage < :none"
            values |= NO_LANGUAGE_VALUES
        return self._table.dynamodb.query(
            TableName=self._table.name,
            IndexName=SESSION_INDEX,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
        )

    def find_many(self, connection_ids: Collection[str]) -> list[Participant]:
        """Find the participants of many connections. Eventually consistent."""
        ids = sorted(connection_ids)
        found: list[Participant] = []
        for start in range(0, len(ids), BATCH_ITEMS):
            keys = [self._table.key(each) for each in ids[start : start + BATCH_ITEMS]]
            while keys:
                items, keys = self._read_batch(keys)
                found += [each for item in items if (each := find_participant(item))]
        return found

    def _read_batch(self, keys: list[Item]) -> tuple[list[Item], list[Item]]:
        """Return the items, and the unprocessed keys.

        DynamoDB refuses a request if it can't process any of its keys, so the repetition ends.
        Source: BatchGetItem, Amazon DynamoDB API Reference (UnprocessedKeys).
        """
        table = self._table.name
        answer = self._table.dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})
        left: Any = answer.get("UnprocessedKeys", {}).get(table, {"Keys": []})
        return answer["Responses"].get(table, []), left["Keys"]

    def remove(self, session_id: str, connection_ids: Collection[str]) -> set[str]:
        """Delete the items of at most TRANSACTION_ITEMS listeners of a session.

        Returns:
            The connection IDs of the deleted items, each for one caller only. Listeners that left,
            were superseded or joined another session are excluded.
        """
        return self._delete(
            "sessionId = :session AND targetLanguage < :none",
            {":session": {"S": session_id}, **NO_LANGUAGE_VALUES},
            connection_ids,
        )

    def remove_arriving(self, session_id: str, connection_ids: Collection[str]) -> set[str]:
        """Delete the items of joins in progress, which then fail.

        Returns:
            The connection IDs of the deleted items. The others have become listeners, or have left.
        """
        ids = sorted(connection_ids)
        removed: set[str] = set()
        for start in range(0, len(ids), TRANSACTION_ITEMS):
            removed |= self._delete(
                "sessionId = :session AND begins_with(targetLanguage, :none)",
                {":session": {"S": session_id}, **NO_LANGUAGE_VALUES},
                ids[start : start + TRANSACTION_ITEMS],
            )
        return removed

    def put_back(self, session_id: str, connection_ids: Collection[str]) -> None:
        """Restore at most TRANSACTION_ITEMS removed listeners that couldn't be notified of the end.

        The index lists them for the sweep. Everywhere else they count as left: a heartbeat gets the
        answer of a connection without a session, and the connection can join another session. A
        connection that has joined another session is skipped.
        """
        now_ms = int(self._clock() * 1000)

        def write(connection_id: str) -> dict[str, Any]:
            listener = Participant(
                connection_id, session_id, Role.LISTENER, now_ms, UNKNOWN_LANGUAGE
            )
            return {"Item": {**encode_participant(listener), "leftAt": number(now_ms)}}

        self._write_where("Put", "attribute_not_exists(sessionId)", connection_ids, write)

    def _delete(self, condition: str, values: Item, connection_ids: Collection[str]) -> set[str]:
        return self._write_where(
            "Delete",
            condition,
            connection_ids,
            lambda each: {"Key": self._table.key(each), "ExpressionAttributeValues": values},
        )

    def _write_where(
        self,
        kind: Literal["Delete", "Put"],
        condition: str,
        connection_ids: Collection[str],
        write: Callable[[str], dict[str, Any]],
    ) -> set[str]:
        """Write the items whose condition holds, and return their connection IDs."""
        pending = set(connection_ids)
        while pending:
            ids = sorted(pending)
            common = {"TableName": self._table.name, "ConditionExpression": condition}
            failed = self._write_all_or_none(ids, [{kind: common | write(it)} for it in ids])
            if not failed:
                break
            pending -= failed
        return pending

    def _write_all_or_none(
        self, connection_ids: Sequence[str], writes: Sequence[Mapping[str, Any]]
    ) -> set[str]:
        """Write all items if all conditions hold, or return the IDs of those that failed.

        It is a transaction because DynamoDB recognizes a repeated one by its token. A repeated
        single write would mistake its own result for that of another caller.
        """
        try:
            self._table.dynamodb.transact_write_items(writes)
        except TransactionCancelled as error:
            reasons = zip(connection_ids, error.reasons, strict=True)
            return {
                each for each, reason in reasons if reason.get("Code") == "ConditionalCheckFailed"
            }
        return set()
