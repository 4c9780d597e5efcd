"""Sessions and connections in DynamoDB: keys, conditions, paging, expiry.

Every state change is one conditional write, or one transaction of two items that nobody else is
likely to want. What has expired is treated as gone, for DynamoDB's own expiry may lag by days. Who
may do what, and in which order, is decided in sessions and lifecycle.

Every method raises ServiceUnavailable when DynamoDB throttles, fails or cannot be reached.
"""

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from chalicelib.aws.dynamodb import ConditionFailed, DynamoDB, Item, TransactionCancelled, Value
from chalicelib.errors import Forbidden, SessionNotFound, unavailable
from chalicelib.models import (
    CONNECTION_RECORD_SECONDS,
    IN_FLIGHT_SECONDS,
    SUPERSEDED_RECORD_SECONDS,
    TOTAL,
    Admission,
    Connection,
    CountNote,
    EndReason,
    Invitation,
    QualityTier,
    Role,
    Session,
    SessionStatus,
    refusal_to_join,
)

SESSION_INDEX: Final = "sessionId-targetLanguage-index"
"""A session's listeners by language. Speakers, and those who have left or were replaced, have no
language in their records and so no entry.
"""

AFTER_LANGUAGES: Final = "~"
"""Sorts after all languages. What stands in a language's place and begins with it is no listener.
"""

UNKNOWN_LANGUAGE: Final = "und"
"""In the index for a listener of an ended session that is still to be notified of the end."""

LANGUAGE_COUNT: Final = "listeners:"
"""Begins the name of a session's attribute that counts the listeners of a language, which follows.

Attributes of their own, because ADD takes no path into a map. One that is missing counts from 0.
Source: "Update expressions", Amazon DynamoDB Developer Guide.
"""

PAGE_SESSIONS: Final = 100
"""Sessions that `list_sessions` reads with one request."""

BATCH_ITEMS: Final = 100
"""Source: BatchGetItem, Amazon DynamoDB API Reference."""

ARRIVING: Final = "~arriving-"
"""Begins what stands for the language of a listener whose join is under way.

It sorts after all languages: notices don't reach it, and an end finds it. A token of the join
follows.
"""

TRANSACTION_ITEMS: Final = 100
"""Source: TransactWriteItems, Amazon DynamoDB API Reference."""

KEPT_AFTER_END_SECONDS: Final = 24 * 3600
"""How long a session that has expired waits for the sweep before DynamoDB may delete it: so long
that its listeners are told, whenever the sweep comes.
"""

SWEEP_CURSOR: Final = "#sweep"
"""A key beside the sessions', which no session id can be."""

EVENT: Final = "#event-"
"""Begins the key of an event's claim beside the connections', which no connection ID can be."""

EVENT_CLAIM_SECONDS: Final = 600
"""Longer than Lambda keeps an event. Source: terraform/modules/app/main.tf (60 s)."""

_IS_OPEN: Final = (
    "attribute_exists(sessionId) AND #status <> :ended AND expiresAt > :now"
    " AND (attribute_not_exists(graceEndsAt) OR graceEndsAt > :now_ms)"
)
_NAMES: Final = {"#status": "status"}
_HAS_NO_PLACE: Final = (
    "attribute_not_exists(sessionId) OR begins_with(targetLanguage, :arriving)"
    " OR (attribute_exists(leftAt) AND attribute_not_exists(supersededBy))"
)
"""An item without a session is of no participant: it counts refused commands, for example."""

_IS_THERE: Final = (
    "attribute_exists(sessionId) AND attribute_not_exists(leftAt)"
    " AND attribute_not_exists(supersededBy)"
)
"""Present, or still arriving."""

_IS_PRESENT: Final = (
    f"{_IS_THERE} AND (attribute_not_exists(targetLanguage) OR targetLanguage < :after)"
)
_WAS_ADMITTED: Final = "(attribute_exists(arrival) OR attribute_exists(listeningSince))"
_AFTER: Final[dict[str, Any]] = {":after": {"S": AFTER_LANGUAGES}}
_NO_PLACE_VALUES: Final[dict[str, Any]] = {":arriving": {"S": ARRIVING}}
_OPTIONAL: Final = frozenset(
    {
        "targetLanguage",
        "arrival",
        "leftAt",
        "listeningSince",
        "lostAt",
        "settledLostAt",
    }
)
"""Attributes that not every participant has: a new one keeps none of an earlier one's."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What became of a claim to a place: `held` is the record that stands in the way, if any.

    `refusals` is the connection's refused commands in a row; the claim keeps their count.
    """

    held: Connection | None
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """Whether a connection has got its place. If not: `held` is its record, if there is one."""

    is_done: bool
    held: Connection | None = None


@dataclass(frozen=True, slots=True)
class HandOver:
    """What became of a listener's refresh. If it was not done: both records as they are."""

    is_done: bool
    old: Connection | None = None
    new: Connection | None = None

    def was_done_before(self, new_id: str) -> bool:
        return self.old is not None and self.old.superseded_by == new_id


@dataclass(frozen=True, slots=True)
class Listing:
    """A session's connection IDs in the index: of listeners, and of joins that are under way.

    `present` maps each listener's ID to its target language.
    """

    present: Mapping[str, str]
    arriving: frozenset[str]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A participant's record, and the times of its last heartbeats, this one first, 0 for none."""

    participant: Connection
    times_ms: list[int]


@dataclass(frozen=True, slots=True)
class SweepCursor:
    """Where a sweep that ran out of time stopped, and what it had counted until then."""

    after_session_id: str | None = None
    active_sessions: int = 0
    listeners: int = 0


class Store:
    """The Sessions and the Connections table."""

    def __init__(
        self,
        dynamodb: DynamoDB,
        sessions_table: str,
        connections_table: str,
        clock: Callable[[], float],
    ) -> None:
        self._dynamodb = dynamodb
        self._sessions = sessions_table
        self._connections = connections_table
        self._clock = clock

    def create_session(self, session: Session, speaker: Connection) -> Placement:
        """Store a new session and its speaker's place.

        One transaction: a connection that has a place creates nothing, and a crash leaves nothing
        half done. If nothing is stored, and nothing is held, the session's ID is taken.
        """
        try:
            self._dynamodb.transact_write_items(
                [
                    {
                        "Put": {
                            "TableName": self._sessions,
                            "Item": _session_item(session),
                            "ConditionExpression": "attribute_not_exists(sessionId)",
                        }
                    },
                    {"Put": self._put_place(speaker)},
                ]
            )
        except TransactionCancelled as error:
            reasons = error.reasons
            return Placement(is_done=False, held=_old_connection(reasons[1].get("Item", {})))
        return Placement(is_done=True)

    def find_session(self, session_id: str) -> Session | None:
        """Find an open session; the read is consistent."""
        item = self._dynamodb.get_item(
            TableName=self._sessions, Key=_session_key(session_id), ConsistentRead=True
        )
        session = _session(item) if item else None
        return session if session and session.is_open(self._clock()) else None

    def count_in(
        self,
        session_id: str,
        target_language: str,
        invitation: Invitation | None,
        max_listeners: int,
        *,
        last_window: int = 0,
        is_return: bool = False,
    ) -> Session:
        """Take a seat in a session, and return the session with the listener in it.

        One write: capacity, expiry, admission, invite code and the limit of joins with it are its
        conditions, so the count is never more than `max_listeners`. A second one follows if a new
        window of the limit has begun since the session was read.

        Args:
            session_id: The session's ID.
            target_language: The listener's target language, whose count rises, too.
            invitation: The invite code, if the listener has given one.
            max_listeners: The number of a session's seats.
            last_window: The session's `invited_window` as it was read, for an invitation.
            is_return: Whether the listener was in the session before and comes back for its seat.

        Raises: SessionNotFound, Forbidden (no or a wrong invite code), SessionFull,
            RateLimitExceeded (too many invited joins).
        """
        condition = f"{_IS_OPEN} AND listenerCount < :max"
        values = {":max": _number(max_listeners), **self._open_values()}
        if invitation is None and not is_return:
            condition += " AND admission <> :invited"
            values[":invited"] = {"S": Admission.INVITED}
        for _ in range(2):
            invited = _invited(invitation, last_window)
            try:
                answer = self._dynamodb.update_item(
                    is_repeatable=False,
                    TableName=self._sessions,
                    Key=_session_key(session_id),
                    UpdateExpression=f"{invited.update} listenerCount :one, changes :one,"
                    " #language :one",
                    ConditionExpression=condition + invited.condition,
                    ExpressionAttributeNames={
                        **_NAMES,
                        "#language": LANGUAGE_COUNT + target_language,
                    },
                    ExpressionAttributeValues={":one": _number(1), **values, **invited.values},
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
                return _session(answer)
            except ConditionFailed as error:
                session = _old_session(error)
                refusal = refusal_to_join(
                    session, invitation, max_listeners, self._clock(), is_return=is_return
                )
                if refusal is not None or session is None:
                    raise refusal or error from None
                last_window = session.invited_window
        raise unavailable()

    def count_out(self, session_id: str, languages: Mapping[str, int]) -> bool:
        """Lower a session's counts of listeners, in one write.

        Not idempotent: call it once, from the code path that removed the participants, or that
        counted in listeners without storing any.

        Args:
            session_id: The session's ID.
            languages: The number of listeners that left, per target language.

        Returns:
            False if the session no longer exists, or counts fewer listeners.
        """
        seats = sum(languages.values())
        counts = _added({language: -number for language, number in languages.items()})
        return self._succeeds(
            lambda: self._dynamodb.update_item(
                is_repeatable=False,
                TableName=self._sessions,
                Key=_session_key(session_id),
                UpdateExpression=f"ADD listenerCount :out, changes :one{counts.update}",
                ConditionExpression="attribute_exists(sessionId) AND listenerCount >= :seats",
                ExpressionAttributeNames=counts.names,
                ExpressionAttributeValues={
                    ":out": _number(-seats),
                    ":seats": _number(seats),
                    ":one": _number(1),
                    **counts.values,
                },
            )
        )

    def count_language_change(self, session_id: str, before: str, after: str) -> bool:
        """Move a listener from one language's count to another's. Not idempotent.

        Call it after the listener's record has changed. After a crash in between, the sweep repairs
        the counts. False if the session no longer exists.
        """
        counts = _added({before: -1, after: 1})
        return self._succeeds(
            lambda: self._dynamodb.update_item(
                is_repeatable=False,
                TableName=self._sessions,
                Key=_session_key(session_id),
                UpdateExpression=f"ADD changes :one{counts.update}",
                ConditionExpression="attribute_exists(sessionId)",
                ExpressionAttributeNames=counts.names,
                ExpressionAttributeValues={":one": _number(1), **counts.values},
            )
        )

    def touch_session(self, session_id: str, before: str, after: str) -> Session | None:
        """Note that a place has changed hands, and find the session; None if it is not open.

        Args:
            session_id: The session's ID.
            before: The target language of the listener that had the place.
            after: That of the listener that has it now. If they differ, the counts of both change
                in the same write.
        """
        counts = _added({} if before == after else {before: -1, after: 1})
        return self._update_open(
            session_id,
            f"ADD changes :one{counts.update}",
            {":one": _number(1), **counts.values},
            names=counts.names,
            is_repeatable=before == after,
        )

    def extend_session(
        self, session_id: str, speaker_connection_id: str, expires_at_seconds: int
    ) -> Session | None:
        """Move an open session's end, and return it; None if it is not open, or not his."""
        return self._move_end(session_id, expires_at_seconds, speaker_connection_id)

    def expire_session(self, session_id: str) -> Session | None:
        """Bring an open session's expiry forward to now, and return it; None if it is not open.

        From now on it is as any that has expired, and nothing keeps it alive any more.
        """
        return self._move_end(session_id, int(self._clock()))

    def _move_end(
        self, session_id: str, expires_at_seconds: int, speaker_connection_id: str | None = None
    ) -> Session | None:
        return self._update_open(
            session_id,
            "SET expiresAt = :end, #ttl = :ttl",
            _end_values(expires_at_seconds),
            speaker_connection_id=speaker_connection_id,
            names={"#ttl": "ttl"},
        )

    def set_status(
        self, session_id: str, speaker_connection_id: str, status: SessionStatus
    ) -> bool | None:
        """Pause or resume an open session; whether that changed it, or None if it is not his.

        A write that was sent again has changed it, too.
        """
        token = _token()
        before = self._update_open(
            session_id,
            "SET #status = :status, statusToken = :token",
            {":status": {"S": status}, ":token": token},
            speaker_connection_id=speaker_connection_id,
            returning="ALL_OLD",
        )
        if before is None:
            return None
        return before.status is not status or before.status_token == token["S"]

    def set_invite_code(
        self, session_id: str, speaker_connection_id: str, invite_code: str
    ) -> Session | None:
        """Replace an open session's invite code, and return the session; None if it is not his.

        The limit of joins with the code starts anew.
        """
        return self._update_open(
            session_id,
            "SET inviteCode = :code REMOVE invitedWindow, invitedJoins",
            {":code": {"S": invite_code}},
            speaker_connection_id=speaker_connection_id,
        )

    def replace_speaker(
        self, session_id: str, user_id: str, connection_id: str, expires_at_seconds: int
    ) -> Session | None:
        """Make a connection the speaker's current one. Returns the session as it was.

        Ends an interruption, and moves the session's end. The last write wins; one that is the
        current one already changes nothing, and None is for one that was it and was replaced since.

        Raises: SessionNotFound, Forbidden (another user's).
        """
        try:
            answer = self._dynamodb.update_item(
                TableName=self._sessions,
                Key=_session_key(session_id),
                UpdateExpression="SET speakerConnectionId = :new, expiresAt = :end, #ttl = :ttl,"
                " untoldReturn = if_not_exists(graceEndsAt, :none),"
                " previousSpeakerConnectionId = speakerConnectionId"
                " REMOVE graceEndsAt, graceReason ADD speakerConnectionIds :new_in_set",
                ConditionExpression=f"{_IS_OPEN} AND speakerUserId = :user AND"
                " ((speakerConnectionId = :new AND attribute_exists(graceEndsAt))"
                " OR NOT contains(speakerConnectionIds, :new))",
                ExpressionAttributeNames={**_NAMES, "#ttl": "ttl"},
                ExpressionAttributeValues={
                    ":new": {"S": connection_id},
                    ":new_in_set": {"SS": [connection_id]},
                    ":none": _number(0),
                    ":user": {"S": user_id},
                    **_end_values(expires_at_seconds),
                    **self._open_values(),
                },
                ReturnValues="ALL_OLD",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as error:
            session = _old_session(error)
            if session is None or not session.is_open(self._clock()):
                raise SessionNotFound("There is no such session.", field="sessionId") from None
            if session.speaker_user_id != user_id:
                raise Forbidden("This session is somebody else's.", field="sessionId") from None
            return session if session.speaker_connection_id == connection_id else None
        return _session(answer)

    def give_back_to_previous_speaker(self, session: Session) -> bool:
        """Make the speaker's previous connection the current one again, if the session says so.

        For one that took over and never opened. The record goes first: if it ends there, the sweep
        finds a previous speaker who was not replaced, and gives him the session.
        """
        previous, current = session.previous_speaker_connection_id, session.speaker_connection_id
        if previous is None:
            return False
        record = self.find_record(previous)
        if record is not None:
            self._put_back_record(record, current)
        if self._put_back_speaker(session.session_id, previous, current):
            return True
        self.supersede_speaker(session.session_id, previous, current)
        return False

    def _put_back_speaker(self, session_id: str, previous: str, current: str) -> bool:
        try:
            self._dynamodb.update_item(
                TableName=self._sessions,
                Key=_session_key(session_id),
                UpdateExpression="SET speakerConnectionId = :previous"
                " REMOVE previousSpeakerConnectionId",
                ConditionExpression=f"{_IS_OPEN} AND speakerConnectionId = :current"
                " AND previousSpeakerConnectionId = :previous"
                " AND attribute_not_exists(graceEndsAt)",
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues={
                    ":previous": {"S": previous},
                    ":current": {"S": current},
                    **self._open_values(),
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as error:
            # It may have been sent again after it was done.
            session = _old_session(error)
            return session is not None and session.speaker_connection_id == previous
        return True

    def _put_back_record(self, record: Connection, superseded_by: str) -> None:
        self._succeeds(
            lambda: self._dynamodb.update_item(
                TableName=self._connections,
                Key=_connection_key(record.connection_id),
                UpdateExpression="SET #ttl = :ttl REMOVE supersededBy",
                ConditionExpression="supersededBy = :current",
                ExpressionAttributeNames={"#ttl": "ttl"},
                ExpressionAttributeValues={
                    ":current": {"S": superseded_by},
                    ":ttl": _number(record.expires_at_seconds),
                },
            )
        )

    def note_return_told(self, session_id: str) -> None:
        """Note that the listeners know that the speaker is back."""
        self._succeeds(
            lambda: self._dynamodb.update_item(
                TableName=self._sessions,
                Key=_session_key(session_id),
                UpdateExpression="SET untoldReturn = :none",
                ConditionExpression="attribute_exists(sessionId)",
                ExpressionAttributeValues={":none": _number(0)},
            )
        )

    def interrupt_session(
        self,
        session_id: str,
        speaker_connection_id: str,
        grace_ends_at_ms: int,
        reason: EndReason = EndReason.SPEAKER_LOST,
    ) -> bool:
        """Begin the grace of a session whose current speaker's connection is lost or closed.

        `reason` is why the session ends with the grace. A speaker that has ended it
        (`SPEAKER_ENDED`) also shortens a grace that ends later. True for one caller only, also if
        its write is sent again.
        """
        condition = "attribute_not_exists(graceEndsAt) OR graceToken = :token"
        if reason is EndReason.SPEAKER_ENDED:
            condition += " OR graceEndsAt > :grace"
        return self._succeeds(
            lambda: self._dynamodb.update_item(
                TableName=self._sessions,
                Key=_session_key(session_id),
                UpdateExpression="SET graceEndsAt = :grace, graceReason = :reason,"
                " graceToken = :token",
                ConditionExpression=f"{_IS_OPEN} AND ({condition})"
                " AND speakerConnectionId = :speaker",
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues={
                    ":grace": _number(grace_ends_at_ms),
                    ":reason": {"S": reason},
                    ":token": _token(),
                    ":speaker": {"S": speaker_connection_id},
                    **self._open_values(),
                },
            )
        )

    def claim_end(
        self, session_id: str, reason: EndReason, speaker_connection_id: str | None = None
    ) -> Session | None:
        """End a session: by its current speaker, or because it has expired.

        Returned to one caller only, however many try, also if its claim is sent again. From now on
        nobody comes in.
        """
        values: Item = {":reason": {"S": reason}}
        if speaker_connection_id is None:
            condition, values[":now"] = "expiresAt <= :now", _number(int(self._clock()))
        else:
            condition = "speakerConnectionId = :speaker"
            values[":speaker"] = {"S": speaker_connection_id}
        return self._claim_end(session_id, ":reason", condition, values)

    def claim_end_of_grace(
        self, session_id: str, grace_ends_at_ms: int | None = None
    ) -> Session | None:
        """End a session whose grace has run out, or only that grace; returned as by `claim_end`.

        The reason is the one with which the grace began.
        """
        condition = "graceEndsAt <= :now_ms"
        values: Item = {
            ":now_ms": _number(int(self._clock() * 1000)),
            ":lost": {"S": EndReason.SPEAKER_LOST},
        }
        if grace_ends_at_ms is not None:
            condition += " AND graceEndsAt = :grace"
            values[":grace"] = _number(grace_ends_at_ms)
        reason = "if_not_exists(graceReason, :lost)"
        return self._claim_end(session_id, reason, condition, values)

    def _claim_end(
        self, session_id: str, reason: str, condition: str, values: Item
    ) -> Session | None:
        return self._update_returning(
            session_id,
            f"SET #status = :ended, endReason = {reason}, endedAt = :ended_at, endClaim = :claim",
            f"attribute_exists(sessionId)"
            f" AND ((#status <> :ended AND {condition}) OR endClaim = :claim)",
            {":ended_at": _number(int(self._clock() * 1000)), ":claim": _token(), **values},
        )

    def put_back_session(self, session: Session) -> None:
        """Store an ended session again if another sweep has removed it in the meantime."""
        end: Item = {
            "endReason": {"S": session.end_reason or EndReason.EXPIRED},
            "endedAt": _number(session.ended_at_ms or 0),
        }
        self._succeeds(
            lambda: self._dynamodb.put_item(
                TableName=self._sessions,
                Item={**_session_item(session), **end},
                ConditionExpression="attribute_not_exists(sessionId)",
            )
        )

    def delete_session(self, session_id: str) -> None:
        self._dynamodb.delete_item(TableName=self._sessions, Key=_session_key(session_id))

    def scan_sessions(
        self, after_session_id: str | None, limit: int
    ) -> tuple[list[Session], str | None]:
        """Read some sessions, open or not, and after which to go on (None: they were the last).

        Consistent, in DynamoDB's own order.
        """
        start: Any = {}
        if after_session_id is not None:
            start = {"ExclusiveStartKey": _session_key(after_session_id)}
        page = self._dynamodb.scan(
            TableName=self._sessions, ConsistentRead=True, Limit=limit, **start
        )
        sessions = [
            _session(item) for item in page["Items"] if item["sessionId"]["S"] != SWEEP_CURSOR
        ]
        last = page.get("LastEvaluatedKey")
        return sessions, None if last is None else last["sessionId"]["S"]

    def list_sessions(self) -> Iterator[Session]:
        """Read all sessions, open or not, one page at a time."""
        after: str | None = None
        while True:
            sessions, after = self.scan_sessions(after, PAGE_SESSIONS)
            yield from sessions
            if after is None:
                return

    def note_count(self, session_id: str, note: CountNote) -> bool:
        """Note that a count seems off; False if somebody has come or gone meanwhile."""
        return self._succeeds(
            lambda: self._dynamodb.update_item(
                TableName=self._sessions,
                Key=_session_key(session_id),
                UpdateExpression="SET driftNote = :note",
                ConditionExpression="attribute_exists(sessionId) AND changes = :changes",
                ExpressionAttributeValues={
                    ":note": {"M": _note_map(note)},
                    ":changes": _number(note.changes),
                },
            )
        )

    def mend_counts(
        self, session_id: str, drifts: Mapping[str, int], rest: CountNote, max_listeners: int
    ) -> bool:
        """Lower counts by their drifts (negative: raise them), and note the rest, in one write.

        Nothing is written if a count has changed since: `rest.changes` is the session's after this
        write. The count of all listeners, under TOTAL in `drifts`, is never raised above
        `max_listeners`.
        """
        too_many = drifts.get(TOTAL, 0)
        counts = _added({key: -drift for key, drift in drifts.items() if key != TOTAL})
        return self._succeeds(
            lambda: self._dynamodb.update_item(
                is_repeatable=False,
                TableName=self._sessions,
                Key=_session_key(session_id),
                UpdateExpression="SET driftNote = :rest"
                f" ADD #total :mend, changes :one{counts.update}",
                ConditionExpression="changes = :changes AND #total >= :low AND #total <= :high",
                # DynamoDB refuses an empty map of names.
                ExpressionAttributeNames={"#total": "listenerCount", **counts.names},
                ExpressionAttributeValues={
                    **counts.values,
                    ":rest": {"M": _note_map(rest)},
                    ":mend": _number(-too_many),
                    ":one": _number(1),
                    ":changes": _number(rest.changes - 1),
                    ":low": _number(max(too_many, 0)),
                    ":high": _number(max_listeners + min(too_many, 0)),
                },
            )
        )

    def find_sweep_cursor(self) -> SweepCursor:
        item = self._dynamodb.get_item(
            TableName=self._sessions, Key=_session_key(SWEEP_CURSOR), ConsistentRead=True
        )
        if not item:
            return SweepCursor()
        return SweepCursor(
            item["afterSessionId"]["S"],
            int(item["activeSessions"]["N"]),
            int(item["listeners"]["N"]),
        )

    def put_sweep_cursor(self, cursor: SweepCursor) -> None:
        """Keep where the next sweep is to go on; from the start if there is nothing left."""
        if cursor.after_session_id is None:
            self._dynamodb.delete_item(TableName=self._sessions, Key=_session_key(SWEEP_CURSOR))
            return
        self._dynamodb.put_item(
            TableName=self._sessions,
            Item={
                **_session_key(SWEEP_CURSOR),
                "afterSessionId": {"S": cursor.after_session_id},
                "activeSessions": _number(cursor.active_sessions),
                "listeners": _number(cursor.listeners),
            },
        )

    def put_connection(self, connection: Connection) -> Claim:
        """Store a connection's place, or its arrival, unless it has a place or had one replaced.

        Keeps the count of refused commands. Idempotent for an arrival.
        """
        item = _connection_item(connection)
        del item["connectionId"]
        removed = ", ".join(sorted(_OPTIONAL - item.keys()))
        try:
            answer = self._dynamodb.update_item(
                TableName=self._connections,
                Key=_connection_key(connection.connection_id),
                UpdateExpression=f"SET {', '.join(f'#{name} = :{name}' for name in item)}"
                f" REMOVE {removed}",
                ConditionExpression=_HAS_NO_PLACE,
                ExpressionAttributeNames={f"#{name}": name for name in item},
                ExpressionAttributeValues={
                    **{f":{name}": value for name, value in item.items()},
                    **_NO_PLACE_VALUES,
                },
                ReturnValues="ALL_OLD",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as error:
            return Claim(_old_connection(error.item))
        return Claim(None, _refusals(answer))

    def activate(self, arriving: Connection) -> Placement:
        """Make an arrival a place, and forget its connection's refused commands. Idempotent."""
        try:
            self._dynamodb.update_item(
                TableName=self._connections,
                Key=_connection_key(arriving.connection_id),
                UpdateExpression="SET targetLanguage = :language, arrival = :arrival"
                " REMOVE refusals",
                ConditionExpression="targetLanguage = :arrival",
                ExpressionAttributeValues={
                    ":language": {"S": arriving.target_language or ""},
                    ":arrival": {"S": arriving.arrival or ""},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as error:
            held = _old_connection(error.item)
            is_done = held is not None and held.is_present and held.arrival == arriving.arrival
            return Placement(is_done, held)
        return Placement(is_done=True)

    def withdraw(self, arriving: Connection) -> None:
        """Remove an arrival; keep the count of refused commands. Idempotent."""
        self._clear(
            arriving.connection_id,
            "targetLanguage = :arrival",
            {":arrival": {"S": arriving.arrival or ""}},
        )

    def withdraw_speaker(self, connection_id: str, session_id: str) -> None:
        """Remove a speaker's record of that session, as `withdraw` does."""
        self._clear(connection_id, "sessionId = :session", {":session": {"S": session_id}})

    def _clear(self, connection_id: str, condition: str, values: Item) -> None:
        is_counted = not self._succeeds(
            lambda: self._dynamodb.delete_item(
                TableName=self._connections,
                Key=_connection_key(connection_id),
                ConditionExpression=f"{condition} AND attribute_not_exists(refusals)",
                ExpressionAttributeValues=values,
            )
        )
        if is_counted:
            self._succeeds(
                lambda: self._dynamodb.update_item(
                    TableName=self._connections,
                    Key=_connection_key(connection_id),
                    UpdateExpression="REMOVE sessionId, targetLanguage",
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values,
                )
            )

    def count_refused_command(self, connection_id: str) -> int:
        """Count a refused command of a connection; return how many those are in a row.

        The count stands in the connection's item, which has nothing else if it has no place. What
        gives it a place removes the count.
        """
        answer = self._dynamodb.update_item(
            is_repeatable=False,
            TableName=self._connections,
            Key=_connection_key(connection_id),
            UpdateExpression="SET #ttl = if_not_exists(#ttl, :ttl) ADD refusals :one",
            ExpressionAttributeNames={"#ttl": "ttl"},
            ExpressionAttributeValues={
                ":ttl": _number(int(self._clock()) + CONNECTION_RECORD_SECONDS),
                ":one": _number(1),
            },
            ReturnValues="ALL_NEW",
        )
        return _refusals(answer)

    def forget_refused_commands(self, connection_id: str) -> None:
        self._succeeds(
            lambda: self._dynamodb.update_item(
                TableName=self._connections,
                Key=_connection_key(connection_id),
                UpdateExpression="REMOVE refusals",
                ConditionExpression="attribute_exists(refusals)",
            )
        )

    def note_own_close(self, connection_id: str) -> None:
        """Note that the service closes a participant's connection. Idempotent."""
        self._succeeds(
            lambda: self._dynamodb.update_item(
                TableName=self._connections,
                Key=_connection_key(connection_id),
                UpdateExpression="SET closedByService = :yes",
                ConditionExpression="attribute_exists(sessionId)",
                ExpressionAttributeValues={":yes": {"BOOL": True}},
            )
        )

    def find_connection(self, connection_id: str) -> Connection | None:
        """Find a connection's place in a session; the read is consistent."""
        connection = self.find_record(connection_id)
        return connection if connection and self._is_live(connection) else None

    def note_heartbeat(
        self, connection_id: str, lost_at_ms: int, settled_lost_at_ms: int, times_kept: int
    ) -> Heartbeat | None:
        """Note that a participant is there, and return its record; None if it is no participant.

        One write. It keeps the times of this and the last `times_kept` heartbeats as a shift
        register: DynamoDB reads all that stands on the right before it writes anything. It does not
        end a row of refused commands, because their times may refuse this heartbeat.
        Source: "Update expressions", Amazon DynamoDB Developer Guide.
        """
        now_ms = int(self._clock() * 1000)
        shifts = [f", t{n} = if_not_exists(t{n - 1}, :never)" for n in range(1, times_kept + 1)]
        values: Item = {":never": _number(0)} if shifts else {}
        try:
            item = self._dynamodb.update_item(
                TableName=self._connections,
                Key=_connection_key(connection_id),
                UpdateExpression="SET t0 = :now_ms, lostAt = :lost, settledLostAt = :settled"
                f"{''.join(shifts)}",
                ConditionExpression=f"{_IS_PRESENT} AND #ttl > :now",
                ExpressionAttributeNames={"#ttl": "ttl"},
                ExpressionAttributeValues={
                    ":now_ms": _number(now_ms),
                    ":now": _number(now_ms // 1000),
                    ":lost": _number(lost_at_ms),
                    ":settled": _number(settled_lost_at_ms),
                    **_AFTER,
                    **values,
                },
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as error:
            self._forget_refusals(error.item)
            return None
        times_ms = [int(item[f"t{n}"]["N"]) for n in range(times_kept + 1)]
        return Heartbeat(_participant(item), times_ms)

    def _forget_refusals(self, item: Item) -> None:
        """Delete the count of refused commands of a connection that is no participant."""
        if not item or "sessionId" in item:
            return
        self._succeeds(
            lambda: self._dynamodb.delete_item(
                TableName=self._connections,
                Key={"connectionId": item["connectionId"]},
                ConditionExpression="attribute_not_exists(sessionId)",
            )
        )

    def claim_event(self, event_id: str) -> bool:
        """Claim an asynchronous event, which Lambda may deliver more than once.

        Returns whether this is the first claim, also if it is sent again. The claim has
        an item of its own, because a participant's record can be replaced or deleted.
        """
        claim = _token()
        return self._succeeds(
            lambda: self._dynamodb.update_item(
                TableName=self._connections,
                Key=_connection_key(f"{EVENT}{event_id}"),
                UpdateExpression="SET eventClaim = :claim, #ttl = :ttl",
                ConditionExpression="attribute_not_exists(eventClaim) OR eventClaim = :claim",
                ExpressionAttributeNames={"#ttl": "ttl"},
                ExpressionAttributeValues={
                    ":claim": claim,
                    ":ttl": self._ttl_in(EVENT_CLAIM_SECONDS),
                },
            )
        )

    def close_connection(
        self, connection_id: str, *, if_settled: bool = False, if_lost_at_ms: int | None = None
    ) -> Connection | None:
        """Take a connection's place away, and return its record as it was.

        Only one caller gets it with its place (`is_present`), so only he counts it out. The record
        stays, for its listener to come back by, and leaves the index; a join that is under way
        finds it gone. None if there is no record, if the connection may still be opening
        (`if_settled`), or if a heartbeat has come since its loss was found (`if_lost_at_ms`).
        """
        now_ms = int(self._clock() * 1000)
        condition = _IS_THERE
        values: Item = {":left": _number(now_ms)}
        if if_settled:
            condition += " AND takenAt <= :settled"
            values[":settled"] = _number(now_ms - IN_FLIGHT_SECONDS * 1000)
        if if_lost_at_ms is not None:
            condition += " AND lostAt = :lost"
            values[":lost"] = _number(if_lost_at_ms)
        try:
            answer = self._dynamodb.update_item(
                TableName=self._connections,
                Key=_connection_key(connection_id),
                UpdateExpression="SET leftAt = :left REMOVE targetLanguage",
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_OLD",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as error:
            if error.item and _is_bare(error.item):
                self._succeeds(
                    lambda: self._dynamodb.delete_item(
                        TableName=self._connections,
                        Key=_connection_key(connection_id),
                        ConditionExpression="attribute_not_exists(sessionId)",
                    )
                )
            record = _old_connection(error.item)
            return None if record is None or record.is_present else record
        return _connection(answer)

    def supersede_speaker(self, session_id: str, connection_id: str, by_connection_id: str) -> None:
        """Mark a session's speaker as replaced: its end and its commands count no more."""
        self._succeeds(
            lambda: self._dynamodb.update_item(
                TableName=self._connections,
                Key=_connection_key(connection_id),
                UpdateExpression="SET supersededBy = :new, #ttl = :ttl",
                ConditionExpression="sessionId = :session",
                ExpressionAttributeNames={"#ttl": "ttl"},
                ExpressionAttributeValues={
                    ":new": {"S": by_connection_id},
                    ":session": {"S": session_id},
                    ":ttl": self._ttl_in(SUPERSEDED_RECORD_SECONDS),
                },
            )
        )

    def hand_over(self, old: Connection, new: Connection) -> HandOver:
        """Give a listener's place to a new connection of his, at once and uncounted.

        One transaction: the old record is marked as replaced, whether its connection is there or
        has left and was counted out, and the new one stored. Nothing of it is done if the old one
        is no such listener's, was replaced before or has changed its language since `old` was
        read, or the new one has a place.
        """
        state, values = f"attribute_exists(leftAt) AND {_WAS_ADMITTED}", {}
        if old.is_present:
            state = "attribute_not_exists(leftAt) AND targetLanguage = :language"
            values = {":language": {"S": old.target_language or ""}}
        try:
            self._dynamodb.transact_write_items(
                [
                    {
                        "Update": {
                            "TableName": self._connections,
                            "Key": _connection_key(old.connection_id),
                            "UpdateExpression": "SET supersededBy = :new, #ttl = :ttl"
                            " REMOVE targetLanguage",
                            "ConditionExpression": "sessionId = :session AND #role = :listener"
                            f" AND attribute_not_exists(supersededBy) AND {state}",
                            "ExpressionAttributeNames": {"#role": "role", "#ttl": "ttl"},
                            "ExpressionAttributeValues": {
                                ":new": {"S": new.connection_id},
                                ":session": {"S": new.session_id},
                                ":listener": {"S": Role.LISTENER},
                                ":ttl": self._ttl_in(SUPERSEDED_RECORD_SECONDS),
                                **values,
                            },
                            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                        }
                    },
                    {"Put": self._put_place(new)},
                ]
            )
        except TransactionCancelled as error:
            reasons = error.reasons
            now, held = (_old_connection(reason.get("Item", {})) for reason in reasons)
            return HandOver(is_done=False, old=now, new=held)
        return HandOver(is_done=True)

    def claim_return(self, left: Connection) -> str | None:
        """Claim the return of a listener that has left, for one refresh at a time.

        Returns the claim; None if another refresh has it, or the listener has returned or is gone.
        A claim whose refresh broke off lapses after IN_FLIGHT_SECONDS.
        """
        claim = _token()
        now_ms = int(self._clock() * 1000)
        is_claimed = self._succeeds(
            lambda: self._dynamodb.update_item(
                TableName=self._connections,
                Key=_connection_key(left.connection_id),
                UpdateExpression="SET returnClaim = :claim, returnClaimedAt = :now_ms",
                ConditionExpression="sessionId = :session AND attribute_exists(leftAt)"
                " AND attribute_not_exists(supersededBy) AND (attribute_not_exists(returnClaim)"
                " OR returnClaim = :claim OR returnClaimedAt <= :lapsed)",
                ExpressionAttributeValues={
                    ":session": {"S": left.session_id},
                    ":claim": claim,
                    ":now_ms": _number(now_ms),
                    ":lapsed": _number(now_ms - IN_FLIGHT_SECONDS * 1000),
                },
            )
        )
        return claim["S"] if is_claimed else None

    def release_return(self, connection_id: str, claim: str) -> None:
        self._succeeds(
            lambda: self._dynamodb.update_item(
                TableName=self._connections,
                Key=_connection_key(connection_id),
                UpdateExpression="REMOVE returnClaim, returnClaimedAt",
                ConditionExpression="returnClaim = :claim",
                ExpressionAttributeValues={":claim": {"S": claim}},
            )
        )

    def _put_place(self, place: Connection) -> dict[str, Any]:
        """Write the part of a transaction that gives a connection its place."""
        return {
            "TableName": self._connections,
            "Item": _connection_item(place),
            "ConditionExpression": _HAS_NO_PLACE,
            "ExpressionAttributeValues": _NO_PLACE_VALUES,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def find_record(self, connection_id: str) -> Connection | None:
        """Find a connection's record, also if it has left or was replaced. Consistent.

        A record that names no session is none: it counts refused commands.
        None for a join that is under way: that is no place yet.
        """
        item = self._dynamodb.get_item(
            TableName=self._connections, Key=_connection_key(connection_id), ConsistentRead=True
        )
        record = None if _is_bare(item) else _connection(item)
        return None if record is None or record.is_arriving else record

    def find_records(self, connection_ids: Collection[str]) -> list[Connection]:
        """Find many connections' records. Eventually consistent."""
        ids = sorted(connection_ids)
        records: list[Connection] = []
        for start in range(0, len(ids), BATCH_ITEMS):
            keys = [_connection_key(each) for each in ids[start : start + BATCH_ITEMS]]
            while keys:
                items, keys = self._read_batch(keys)
                records += [record for item in items if (record := _connection(item))]
        return records

    def _read_batch(self, keys: "list[Item]") -> "tuple[list[Item], list[Item]]":
        """Return the items, and the keys that are left to ask for.

        DynamoDB refuses the request if it can process none of them, so repeating it comes to an
        end. Source: BatchGetItem, Amazon DynamoDB API Reference (UnprocessedKeys).
        """
        answer = self._dynamodb.batch_get_item(RequestItems={self._connections: {"Keys": keys}})
        left: Any = answer.get("UnprocessedKeys", {}).get(self._connections, {"Keys": []})
        return answer["Responses"].get(self._connections, []), left["Keys"]

    def delete_arriving(self, connection_id: str, session_id: str, taken_at_ms: int) -> bool:
        """Remove the record of a join that has broken off; False if it is a listener by now."""
        return self._succeeds(
            lambda: self._dynamodb.delete_item(
                TableName=self._connections,
                Key=_connection_key(connection_id),
                ConditionExpression="sessionId = :session AND takenAt = :taken"
                " AND begins_with(targetLanguage, :after)",
                ExpressionAttributeValues={
                    ":session": {"S": session_id},
                    ":taken": _number(taken_at_ms),
                    **_AFTER,
                },
            )
        )

    def delete_connection(
        self,
        connection_id: str,
        session_id: str,
        taken_at_ms: int | None = None,
        arrival: str | None = None,
    ) -> Connection | None:
        """Remove a connection's record of that session, or just that place or arrival.

        Counts nothing out. Returns what was removed.
        """
        condition, values = "sessionId = :session", {":session": {"S": session_id}}
        if taken_at_ms is not None:
            condition += " AND takenAt = :taken"
            values[":taken"] = {"N": str(taken_at_ms)}
        if arrival is not None:
            condition += " AND (targetLanguage = :arrival OR arrival = :arrival)"
            values[":arrival"] = {"S": arrival}
        try:
            item = self._dynamodb.delete_item(
                TableName=self._connections,
                Key=_connection_key(connection_id),
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_OLD",
            )
        except ConditionFailed:
            return None
        return _connection(item) if item else None

    def set_language(self, connection_id: str, session_id: str, target_language: str) -> str | None:
        """Change a listener's language.

        Returns:
            The language as it was; None if the connection is no listener of that session.
        """
        try:
            before = self._dynamodb.update_item(
                TableName=self._connections,
                Key=_connection_key(connection_id),
                UpdateExpression="SET targetLanguage = :language REMOVE refusals",
                ConditionExpression="sessionId = :session AND targetLanguage < :after"
                " AND attribute_not_exists(leftAt)",
                ExpressionAttributeValues={
                    ":language": {"S": target_language},
                    ":session": {"S": session_id},
                    **_AFTER,
                },
                ReturnValues="ALL_OLD",
            )
        except ConditionFailed:
            return None
        return str(before["targetLanguage"]["S"])

    def list_listener_ids(self, session_id: str) -> list[str]:
        """List the connection ids of a session's listeners, to the last page.

        Eventually consistent: who came or went in the last second may be missing or still there.
        """
        return [item["connectionId"]["S"] for item in self._indexed_items(session_id)]

    def list_connections(self, session_id: str) -> Listing:
        """List a session's listeners, and the joins that are under way. Eventually consistent."""
        items = list(self._indexed_items(session_id, with_arriving=True))
        arriving = frozenset(item["connectionId"]["S"] for item in items if _is_no_language(item))
        languages = {item["connectionId"]["S"]: item["targetLanguage"]["S"] for item in items}
        present = {each: languages[each] for each in languages.keys() - arriving}
        return Listing(present, arriving)

    def take_connections(self, session_id: str, connection_ids: Collection[str]) -> set[str]:
        """Remove the records of a session's listeners.

        TRANSACTION_ITEMS at most. Returns those that were there, each to one caller only; whoever
        has left or was replaced meanwhile, or is in another session by now, is not among them.
        """
        return self._delete_those_that(
            "sessionId = :session AND targetLanguage < :after",
            {":session": {"S": session_id}, **_AFTER},
            connection_ids,
        )

    def put_back_speaker(self, speaker: Connection) -> None:
        """Store the removed record of a speaker that is still to be notified of the end."""
        self._succeeds(
            lambda: self._dynamodb.put_item(
                TableName=self._connections,
                Item=_connection_item(speaker),
                ConditionExpression="attribute_not_exists(sessionId)",
            )
        )

    def put_back_listeners(self, session_id: str, connection_ids: Collection[str]) -> None:
        """Store the removed records of listeners that are still to be notified of the end.

        They are in the index for the sweep, and have left for everything else: a heartbeat is
        answered as of a connection without a session, and another session can be joined.
        TRANSACTION_ITEMS at most; a connection that is in another session by now is skipped.
        """
        now_ms = int(self._clock() * 1000)
        self._write_those_that(
            "Put",
            "attribute_not_exists(sessionId)",
            connection_ids,
            lambda each: {"Item": _untold_item(each, session_id, now_ms)},
        )

    def delete_arriving_connections(
        self, session_id: str, connection_ids: Collection[str]
    ) -> set[str]:
        """Remove the records of joins that are under way. Counts nothing out.

        Returns those that were removed: the others have become listeners, or have left.
        """
        ids = sorted(connection_ids)
        removed: set[str] = set()
        for start in range(0, len(ids), TRANSACTION_ITEMS):
            removed |= self._delete_those_that(
                "sessionId = :session AND begins_with(targetLanguage, :after)",
                {":session": {"S": session_id}, **_AFTER},
                ids[start : start + TRANSACTION_ITEMS],
            )
        return removed

    def _delete_those_that(
        self, condition: str, values: Item, connection_ids: Collection[str]
    ) -> set[str]:
        return self._write_those_that(
            "Delete",
            condition,
            connection_ids,
            lambda each: {
                "Key": _connection_key(each),
                "ExpressionAttributeValues": values,
            },
        )

    def _write_those_that(
        self,
        kind: Literal["Delete", "Put"],
        condition: str,
        connection_ids: Collection[str],
        write: "Callable[[str], dict[str, Any]]",
    ) -> set[str]:
        pending = set(connection_ids)
        while pending:
            ids = sorted(pending)
            common = {"TableName": self._connections, "ConditionExpression": condition}
            others = self._write_all_or_none(ids, [{kind: common | write(it)} for it in ids])
            if not others:
                break
            pending -= others
        return pending

    def _write_all_or_none(self, connection_ids: Sequence[str], writes: Sequence[Any]) -> set[str]:
        """Write all those records if the condition holds for each; else say for whose not.

        A transaction, so that an answer that was lost cannot be taken for somebody else's work.
        """
        try:
            self._dynamodb.transact_write_items(writes)
        except TransactionCancelled as error:
            reasons = zip(connection_ids, error.reasons, strict=True)
            return {each for each, reason in reasons if _has_failed(reason)}
        return set()

    def _indexed_items(self, session_id: str, *, with_arriving: bool = False) -> Iterator[Item]:
        condition = "sessionId = :session"
        values: Item = {":session": {"S": session_id}}
        if not with_arriving:
            condition += " AND targetLanguage < :after"
            values |= _AFTER
        return self._dynamodb.query(
            TableName=self._connections,
            IndexName=SESSION_INDEX,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
        )

    def _update_open(
        self,
        session_id: str,
        update: str,
        values: Item,
        *,
        speaker_connection_id: str | None = None,
        names: dict[str, str] | None = None,
        returning: Literal["ALL_NEW", "ALL_OLD"] = "ALL_NEW",
        is_repeatable: bool = True,
    ) -> Session | None:
        """Update an open session, of that speaker's connection where one is given."""
        condition = _IS_OPEN
        values = {**values, **self._open_values()}
        if speaker_connection_id is not None:
            condition += " AND speakerConnectionId = :speaker"
            values[":speaker"] = {"S": speaker_connection_id}
        return self._update_returning(
            session_id,
            update,
            condition,
            values,
            names=names,
            returning=returning,
            is_repeatable=is_repeatable,
        )

    def _update_returning(
        self,
        session_id: str,
        update: str,
        condition: str,
        values: Item,
        *,
        names: dict[str, str] | None = None,
        returning: Literal["ALL_NEW", "ALL_OLD"] = "ALL_NEW",
        is_repeatable: bool = True,
    ) -> Session | None:
        """Update a session and return it, as it is then or was; None if the condition fails."""
        try:
            answer = self._dynamodb.update_item(
                is_repeatable=is_repeatable,
                TableName=self._sessions,
                Key=_session_key(session_id),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames={**_NAMES, **(names or {})},
                ExpressionAttributeValues={**values, ":ended": {"S": SessionStatus.ENDED}},
                ReturnValues=returning,
            )
        except ConditionFailed:
            return None
        return _session(answer)

    def _open_values(self) -> Item:
        now = self._clock()
        return {
            ":ended": {"S": SessionStatus.ENDED},
            ":now": _number(int(now)),
            ":now_ms": _number(int(now * 1000)),
        }

    def _succeeds(self, write: Callable[[], object]) -> bool:
        try:
            write()
        except ConditionFailed:
            return False
        return True

    def _ttl_in(self, seconds: int) -> Value:
        return _number(int(self._clock()) + seconds)

    def _is_live(self, connection: Connection) -> bool:
        return connection.is_present and connection.expires_at_seconds > self._clock()


@dataclass(frozen=True, slots=True)
class _Added:
    """The part of an ADD that changes counts of listeners per language."""

    update: str
    names: dict[str, str]
    values: Item


def _added(numbers: Mapping[str, int]) -> _Added:
    keys = range(len(numbers))
    return _Added(
        "".join(f", #language{key} :number{key}" for key in keys),
        {f"#language{key}": LANGUAGE_COUNT + each for key, each in enumerate(numbers)},
        {f":number{key}": _number(each) for key, each in enumerate(numbers.values())},
    )


@dataclass(frozen=True, slots=True)
class _Invited:
    """The part of counting a listener in that counts invited joins."""

    update: str
    condition: str
    values: Item


def _invited(invitation: Invitation | None, last_window: int) -> _Invited:
    """Count an invited join in the window that runs, or as the first in a new one."""
    if invitation is None:
        return _Invited("ADD", "", {})
    if invitation.window > last_window:
        return _Invited(
            "SET invitedWindow = :window, invitedJoins = :one ADD",
            " AND inviteCode = :code"
            " AND (attribute_not_exists(invitedWindow) OR invitedWindow < :window)",
            {":code": {"S": invitation.code}, ":window": _number(invitation.window)},
        )
    return _Invited(
        "ADD invitedJoins :one,",
        " AND inviteCode = :code AND invitedWindow = :window AND invitedJoins < :most",
        {
            ":code": {"S": invitation.code},
            ":window": _number(last_window),
            ":most": _number(invitation.max_joins),
        },
    )


def _number(value: int) -> Value:
    return {"N": str(value)}


def _token() -> Value:
    """Make what a write is known by when it is sent again."""
    return {"S": uuid.uuid4().hex}


def _session_key(session_id: str) -> Item:
    return {"sessionId": {"S": session_id}}


def new_arrival() -> str:
    """Name a join that begins."""
    return f"{ARRIVING}{uuid.uuid4().hex}"


def _connection_key(connection_id: str) -> Item:
    return {"connectionId": {"S": connection_id}}


def _end_values(expires_at_seconds: int) -> Item:
    return {
        ":end": _number(expires_at_seconds),
        ":ttl": _number(expires_at_seconds + KEPT_AFTER_END_SECONDS),
    }


def _session_item(session: Session) -> Item:
    return {
        "sessionId": {"S": session.session_id},
        "speakerUserId": {"S": session.speaker_user_id},
        "speakerConnectionId": {"S": session.speaker_connection_id},
        "speakerConnectionIds": {"SS": [session.speaker_connection_id]},
        "sourceLanguage": {"S": session.source_language},
        "qualityTier": {"S": session.quality_tier},
        "inviteCode": {"S": session.invite_code},
        "admission": {"S": session.admission},
        "status": {"S": session.status},
        "listenerCount": _number(session.listener_count),
        "changes": _number(session.changes),
        "createdAt": _number(session.created_at_ms),
        "expiresAt": _number(session.expires_at_seconds),
        "ttl": _number(session.expires_at_seconds + KEPT_AFTER_END_SECONDS),
    }


def _session(item: Item) -> Session:
    grace, note = item.get("graceEndsAt"), item.get("driftNote")
    ended_at, reason = item.get("endedAt"), item.get("endReason")
    previous = item.get("previousSpeakerConnectionId")
    return Session(
        session_id=item["sessionId"]["S"],
        speaker_user_id=item["speakerUserId"]["S"],
        speaker_connection_id=item["speakerConnectionId"]["S"],
        source_language=item["sourceLanguage"]["S"],
        quality_tier=QualityTier(item["qualityTier"]["S"]),
        invite_code=item["inviteCode"]["S"],
        status=SessionStatus(item["status"]["S"]),
        listener_count=int(item["listenerCount"]["N"]),
        changes=int(item["changes"]["N"]),
        created_at_ms=int(item["createdAt"]["N"]),
        expires_at_seconds=int(item["expiresAt"]["N"]),
        grace_ends_at_ms=None if grace is None else int(grace["N"]),
        previous_speaker_connection_id=None if previous is None else previous["S"],
        speaker_connection_ids=frozenset(item["speakerConnectionIds"]["SS"]),
        has_untold_return=item.get("untoldReturn", {"N": "0"}) != {"N": "0"},
        status_token=item.get("statusToken", {"S": ""})["S"],
        end_reason=None if reason is None else EndReason(reason["S"]),
        ended_at_ms=None if ended_at is None else int(ended_at["N"]),
        count_note=None if note is None else _note(note["M"]),
        admission=Admission(item.get("admission", {"S": Admission.OPEN})["S"]),
        invited_window=int(item.get("invitedWindow", {"N": "0"})["N"]),
        invited_joins=int(item.get("invitedJoins", {"N": "0"})["N"]),
        language_counts={
            name.removeprefix(LANGUAGE_COUNT): int(value["N"])
            for name, value in item.items()
            if name.startswith(LANGUAGE_COUNT)
        },
    )


def _old_session(error: ConditionFailed) -> Session | None:
    """Read the session as it was when a condition on it failed; None if there was none."""
    return _session(error.item) if error.item else None


def _note_map(note: CountNote) -> Item:
    return {
        "changes": _number(note.changes),
        "drifts": {"M": {key: _number(drift) for key, drift in note.drifts.items()}},
        "seenAt": _number(note.seen_at_ms),
    }


def _note(item: Any) -> CountNote:
    drifts = {key: int(drift["N"]) for key, drift in item["drifts"]["M"].items()}
    return CountNote(int(item["changes"]["N"]), drifts, int(item["seenAt"]["N"]))


def _connection_item(connection: Connection) -> Item:
    item: Item = {
        "connectionId": {"S": connection.connection_id},
        "sessionId": {"S": connection.session_id},
        "role": {"S": connection.role},
        "takenAt": _number(connection.taken_at_ms),
        "correlation": {"S": connection.correlation},
        "ttl": _number(connection.expires_at_seconds),
    }
    language = connection.arrival if connection.is_arriving else connection.target_language
    if language is not None:
        item["targetLanguage"] = {"S": language}
    times = {
        "listeningSince": connection.listening_since_ms,
        "lostAt": connection.lost_at_ms,
        "settledLostAt": connection.settled_lost_at_ms,
    }
    item |= {name: _number(at_ms) for name, at_ms in times.items() if at_ms is not None}
    return item


def _untold_item(connection_id: str, session_id: str, now_ms: int) -> Item:
    untold = Connection(connection_id, session_id, Role.LISTENER, now_ms, UNKNOWN_LANGUAGE)
    return {**_connection_item(untold), "leftAt": _number(now_ms)}


def _connection(item: Item) -> Connection | None:
    """Read a participant's record; None if the item is of a connection that has never been one."""
    return _participant(item) if "sessionId" in item else None


def _participant(item: Item) -> Connection:
    is_present = not (_is_no_language(item) or "leftAt" in item or "supersededBy" in item)
    language = _find_text(item, "targetLanguage")
    is_arriving = language is not None and language.startswith(ARRIVING)
    return Connection(
        connection_id=item["connectionId"]["S"],
        session_id=item["sessionId"]["S"],
        role=Role(item["role"]["S"]),
        taken_at_ms=int(item["takenAt"]["N"]),
        target_language=language if is_present else None,
        is_present=is_present,
        superseded_by=_find_text(item, "supersededBy"),
        correlation=item.get("correlation", item["connectionId"])["S"],
        listening_since_ms=_find_number(item, "listeningSince"),
        left_at_ms=_find_number(item, "leftAt"),
        heard_at_ms=_find_number(item, "t0"),
        lost_at_ms=_find_number(item, "lostAt"),
        settled_lost_at_ms=_find_number(item, "settledLostAt"),
        is_arriving=is_arriving,
        arrival=language if is_arriving else _find_text(item, "arrival"),
        refusals=_refusals(item),
        is_closed_by_service="closedByService" in item,
    )


def _find_text(item: Item, name: str) -> str | None:
    return item[name]["S"] if name in item else None


def _find_number(item: Item, name: str) -> int | None:
    return int(item[name]["N"]) if name in item else None


def _is_no_language(item: Item) -> bool:
    return str(item.get("targetLanguage", {"S": ""})["S"]).startswith(AFTER_LANGUAGES)


def _is_bare(item: Item) -> bool:
    """Return whether an item, if there is one, is of no participant."""
    return "sessionId" not in item


def _refusals(item: Item) -> int:
    return int(item.get("refusals", {"N": "0"})["N"])


def _has_failed(reason: Any) -> bool:
    """Whether this item's condition is why a transaction was cancelled."""
    return bool(reason.get("Code") == "ConditionalCheckFailed")


def _old_connection(item: Item) -> Connection | None:
    """Read the record that stood in the way of a write, if there was one."""
    return None if _is_bare(item) else _connection(item)
