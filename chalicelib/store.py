"""Sessions and connections in DynamoDB: keys, conditions, paging, expiry.

Every state change is one conditional write. What has expired is treated as gone, for DynamoDB's
own expiry may lag by days. Who may do what, and in which order, is decided in sessions.

Every method raises ServiceUnavailable when DynamoDB throttles, fails or cannot be reached.

A count may be one too high after a write whose answer was lost, since botocore then repeats it
(Source: "Atomic counters", Amazon DynamoDB Developer Guide); never too low.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from chalicelib.errors import ServiceUnavailable
from chalicelib.models import (
    Connection,
    QualityTier,
    Role,
    Session,
    SessionStatus,
    refusal_to_join,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Item = dict[str, AttributeValueTypeDef]

SESSION_INDEX: Final = "sessionId-targetLanguage-index"
"""Listeners by session and language. A speaker has no language and so is not in it."""

BATCH_WRITE_ITEMS: Final = 25
"""Source: BatchWriteItem, Amazon DynamoDB API Reference."""

_RETRY_AFTER_SECONDS: Final = 2
_TEMPORARY_ERRORS: Final = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
    }
)
_IS_OPEN: Final = "attribute_exists(sessionId) AND #status <> :ended AND expiresAt > :now"
_NAMES: Final = {"#status": "status"}


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (BotoConnectionError, HTTPClientError) as error:
        raise _busy() from error
    except ClientError as error:
        if error.response["Error"]["Code"] in _TEMPORARY_ERRORS:
            raise _busy() from error
        raise


def _busy() -> ServiceUnavailable:
    return ServiceUnavailable(
        "The service is busy, please try again.", retry_after_seconds=_RETRY_AFTER_SECONDS
    )


class Store:
    """The Sessions and the Connections table."""

    def __init__(
        self,
        client: "DynamoDBClient",
        sessions_table: str,
        connections_table: str,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._sessions = sessions_table
        self._connections = connections_table
        self._clock = clock

    @_unavailable()
    def put_session(self, session: Session) -> bool:
        """Store a new session; False if its id is taken."""
        return self._succeeds(
            lambda: self._client.put_item(
                TableName=self._sessions,
                Item=_session_item(session),
                ConditionExpression="attribute_not_exists(sessionId)",
            )
        )

    @_unavailable()
    def find_session(self, session_id: str) -> Session | None:
        """Find an open session; the read is consistent."""
        item = self._client.get_item(
            TableName=self._sessions, Key=_session_key(session_id), ConsistentRead=True
        ).get("Item")
        session = None if item is None else _session(item)
        return session if session and session.is_open(self._clock()) else None

    @_unavailable()
    def count_in(self, session_id: str, invite_code: str | None, max_listeners: int) -> Session:
        """Take a listener's place in a session, and return the session with him in it.

        One write: capacity, expiry and invite code are its conditions, so that the count is
        never more than `max_listeners`, and the session comes back with it.

        Raises: SessionNotFound, Forbidden (a wrong invite code), SessionFull.
        """
        now = self._clock()
        condition = f"{_IS_OPEN} AND listenerCount < :max"
        values: Item = {
            ":one": {"N": "1"},
            ":max": {"N": str(max_listeners)},
            ":ended": {"S": SessionStatus.ENDED},
            ":now": {"N": str(int(now))},
        }
        if invite_code is not None:
            condition += " AND inviteCode = :code"
            values[":code"] = {"S": invite_code}
        try:
            answer = self._client.update_item(
                TableName=self._sessions,
                Key=_session_key(session_id),
                UpdateExpression="ADD listenerCount :one",
                ConditionExpression=condition,
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            item: Item | None = error.response.get("Item")  # type: ignore[assignment]
            session = _session(item) if item else None
            refusal = refusal_to_join(session, invite_code, max_listeners, now)
            if refusal is None:
                raise
            raise refusal from None
        return _session(answer["Attributes"])

    @_unavailable()
    def count_out(self, session_id: str) -> None:
        """Give a listener's place back. Only for whoever removed his connection, or never put it.

        Not idempotent. A session that is gone has nothing to give back to.
        """
        self._succeeds(
            lambda: self._client.update_item(
                TableName=self._sessions,
                Key=_session_key(session_id),
                UpdateExpression="ADD listenerCount :minus_one",
                ConditionExpression="attribute_exists(sessionId)",
                ExpressionAttributeValues={":minus_one": {"N": "-1"}},
            )
        )

    @_unavailable()
    def extend_session(self, session_id: str, expires_at_seconds: int) -> Session | None:
        """Move an open session's end, and return it; None if it is not open."""
        try:
            answer = self._client.update_item(
                TableName=self._sessions,
                Key=_session_key(session_id),
                UpdateExpression="SET expiresAt = :end",
                ConditionExpression=_IS_OPEN,
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues={
                    ":end": {"N": str(expires_at_seconds)},
                    ":ended": {"S": SessionStatus.ENDED},
                    ":now": {"N": str(int(self._clock()))},
                },
                ReturnValues="ALL_NEW",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return None
        return _session(answer["Attributes"])

    @_unavailable()
    def mark_ended(self, session_id: str, speaker_connection_id: str) -> bool:
        """Claim the end of the session of that speaker's connection.

        True for one caller only, however many try: he tells the listeners. From then on nobody
        comes in.
        """
        return self._succeeds(
            lambda: self._client.update_item(
                TableName=self._sessions,
                Key=_session_key(session_id),
                UpdateExpression="SET #status = :ended",
                ConditionExpression="speakerConnectionId = :speaker AND #status <> :ended",
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues={
                    ":ended": {"S": SessionStatus.ENDED},
                    ":speaker": {"S": speaker_connection_id},
                },
            )
        )

    @_unavailable()
    def delete_session(self, session_id: str) -> None:
        self._client.delete_item(TableName=self._sessions, Key=_session_key(session_id))

    @_unavailable()
    def put_connection(self, connection: Connection) -> bool:
        """Store a connection's place in a session; False if it has one."""
        return self._succeeds(
            lambda: self._client.put_item(
                TableName=self._connections,
                Item=_connection_item(connection),
                ConditionExpression="attribute_not_exists(connectionId)",
            )
        )

    @_unavailable()
    def find_connection(self, connection_id: str) -> Connection | None:
        """Find a connection's place in a session; the read is consistent."""
        item = self._client.get_item(
            TableName=self._connections, Key=_connection_key(connection_id), ConsistentRead=True
        ).get("Item")
        connection = None if item is None else _connection(item)
        return connection if connection and self._is_live(connection) else None

    @_unavailable()
    def delete_connection(self, connection_id: str) -> Connection | None:
        """Remove a connection's place. Only one caller gets it, so only he counts it out."""
        item = self._client.delete_item(
            TableName=self._connections,
            Key=_connection_key(connection_id),
            ReturnValues="ALL_OLD",
        ).get("Attributes")
        return None if item is None else _connection(item)

    @_unavailable()
    def set_language(self, connection_id: str, session_id: str, target_language: str) -> bool:
        """Change a listener's language; False if he is no longer in that session."""
        return self._succeeds(
            lambda: self._client.update_item(
                TableName=self._connections,
                Key=_connection_key(connection_id),
                UpdateExpression="SET targetLanguage = :language",
                ConditionExpression="sessionId = :session",
                ExpressionAttributeValues={
                    ":language": {"S": target_language},
                    ":session": {"S": session_id},
                },
            )
        )

    @_unavailable()
    def list_listener_ids(self, session_id: str) -> list[str]:
        """List the connection ids of a session's listeners, to the last page.

        Eventually consistent: who came or went in the last second may be missing or still there.
        """
        return [item["connectionId"]["S"] for item in self._listener_items(session_id)]

    @_unavailable()
    def count_listeners_by_language(self, session_id: str) -> dict[str, int]:
        """Count a session's listeners by target language; eventually consistent."""
        return Counter(item["targetLanguage"]["S"] for item in self._listener_items(session_id))

    @_unavailable()
    def delete_connections(self, connection_ids: Collection[str]) -> None:
        """Remove many connections' places, 25 to a request. Idempotent; counts nothing out."""
        requests = [{"DeleteRequest": {"Key": _connection_key(each)}} for each in connection_ids]
        for start in range(0, len(requests), BATCH_WRITE_ITEMS):
            pending: Any = {self._connections: requests[start : start + BATCH_WRITE_ITEMS]}
            while pending:
                pending = self._client.batch_write_item(RequestItems=pending)["UnprocessedItems"]

    def _listener_items(self, session_id: str) -> "Iterator[Item]":
        pages = self._client.get_paginator("query").paginate(
            TableName=self._connections,
            IndexName=SESSION_INDEX,
            KeyConditionExpression="sessionId = :session",
            ExpressionAttributeValues={":session": {"S": session_id}},
        )
        for page in pages:
            yield from page["Items"]

    def _succeeds(self, write: Callable[[], object]) -> bool:
        try:
            write()
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _is_live(self, connection: Connection) -> bool:
        return connection.expires_at_seconds > self._clock()


def _session_key(session_id: str) -> "Item":
    return {"sessionId": {"S": session_id}}


def _connection_key(connection_id: str) -> "Item":
    return {"connectionId": {"S": connection_id}}


def _session_item(session: Session) -> "Item":
    return {
        "sessionId": {"S": session.session_id},
        "speakerUserId": {"S": session.speaker_user_id},
        "speakerConnectionId": {"S": session.speaker_connection_id},
        "sourceLanguage": {"S": session.source_language},
        "qualityTier": {"S": session.quality_tier},
        "inviteCode": {"S": session.invite_code},
        "status": {"S": session.status},
        "listenerCount": {"N": str(session.listener_count)},
        "createdAt": {"N": str(session.created_at_ms)},
        "expiresAt": {"N": str(session.expires_at_seconds)},
    }


def _session(item: "Item") -> Session:
    return Session(
        session_id=item["sessionId"]["S"],
        speaker_user_id=item["speakerUserId"]["S"],
        speaker_connection_id=item["speakerConnectionId"]["S"],
        source_language=item["sourceLanguage"]["S"],
        quality_tier=QualityTier(item["qualityTier"]["S"]),
        invite_code=item["inviteCode"]["S"],
        status=SessionStatus(item["status"]["S"]),
        listener_count=int(item["listenerCount"]["N"]),
        created_at_ms=int(item["createdAt"]["N"]),
        expires_at_seconds=int(item["expiresAt"]["N"]),
    )


def _connection_item(connection: Connection) -> "Item":
    item: Item = {
        "connectionId": {"S": connection.connection_id},
        "sessionId": {"S": connection.session_id},
        "role": {"S": connection.role},
        "ttl": {"N": str(connection.expires_at_seconds)},
    }
    if connection.target_language is not None:
        item["targetLanguage"] = {"S": connection.target_language}
    return item


def _connection(item: "Item") -> Connection:
    language = item.get("targetLanguage")
    return Connection(
        connection_id=item["connectionId"]["S"],
        session_id=item["sessionId"]["S"],
        role=Role(item["role"]["S"]),
        expires_at_seconds=int(item["ttl"]["N"]),
        target_language=None if language is None else language["S"],
    )
