"""The Sessions table, without the counts of listeners."""

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, NamedTuple

from chalicelib.aws.dynamodb import ConditionFailed, Item, TransactionCancelled
from chalicelib.errors import Forbidden, SessionNotFound
from chalicelib.models import EndReason, Participant, Session, SessionStatus
from chalicelib.store.items import (
    encode_session,
    expiry_values,
    find_participant,
    new_token,
    number,
    parse_session,
)
from chalicelib.store.open_sessions import IS_OPEN, NAMES, open_values
from chalicelib.store.placements import Placement, placement_write
from chalicelib.store.sweep_cursor import SWEEP_CURSOR
from chalicelib.store.table import Table

PAGE_SESSIONS: Final = 100
"""Sessions that `list_all` reads with one request."""


class StatusChange(NamedTuple):
    """The result of a write of a session's status.

    Attributes:
        before: The session before the write.
        has_changed: Whether this call changed the status, even if its write was sent twice.
    """

    before: Session
    has_changed: bool


class SessionStore:
    """Reads and writes sessions.

    A method with the argument `speaker_connection_id` changes nothing unless that connection is the
    session's speaker.
    """

    def __init__(self, table: Table, connections: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._connections = connections
        self._clock = clock

    def create(self, session: Session, speaker: Participant) -> Placement:
        """Store a new session and its speaker's participant, in one transaction.

        Returns:
            The placement of the speaker. If it isn't done and no participant exists, the session's
            ID is in use.
        """
        put_session = {
            "Put": {
                "TableName": self._table.name,
                "Item": encode_session(session),
                "ConditionExpression": "attribute_not_exists(sessionId)",
            }
        }
        try:
            self._table.dynamodb.transact_write_items(
                [put_session, placement_write(self._connections, speaker)]
            )
        except TransactionCancelled as error:
            existing = find_participant(error.reasons[1].get("Item", {}))
            return Placement(is_done=False, existing=existing)
        return Placement(is_done=True)

    def find(self, session_id: str) -> Session | None:
        """Find a session, open or not, with a consistent read."""
        item = self._table.find(session_id)
        return parse_session(item) if item else None

    def find_open(self, session_id: str) -> Session | None:
        """Find an open session, with a consistent read."""
        session = self.find(session_id)
        return session if session and session.is_open(self._clock()) else None

    def scan_page(
        self, after_session_id: str | None, limit: int
    ) -> tuple[list[Session], str | None]:
        """Read some sessions, open or not, with a consistent read in DynamoDB's order.

        Returns:
            The sessions, and the ID after which the next page begins; None on the last page.
        """
        start: Any = {}
        if after_session_id is not None:
            start = {"ExclusiveStartKey": self._table.key(after_session_id)}
        page = self._table.dynamodb.scan(
            TableName=self._table.name, ConsistentRead=True, Limit=limit, **start
        )
        sessions = [
            parse_session(item) for item in page["Items"] if item["sessionId"]["S"] != SWEEP_CURSOR
        ]
        last = page.get("LastEvaluatedKey")
        return sessions, None if last is None else last["sessionId"]["S"]

    def list_all(self) -> Iterator[Session]:
        """Read all sessions, open or not, page by page."""
        after: str | None = None
        while True:
            sessions, after = self.scan_page(after, PAGE_SESSIONS)
            yield from sessions
            if after is None:
                return

    def extend(
        self, session_id: str, speaker_connection_id: str, expires_at_seconds: int
    ) -> Session | None:
        """Extend an open session, and return it; None if nothing changed."""
        return self._move_end(session_id, expires_at_seconds, speaker_connection_id)

    def expire(self, session_id: str) -> Session | None:
        """Let an open session expire now, and return it; None if it isn't open."""
        return self._move_end(session_id, int(self._clock()))

    def _move_end(
        self, session_id: str, expires_at_seconds: int, speaker_connection_id: str | None = None
    ) -> Session | None:
        return self._update_open(
            session_id,
            "SET expiresAt = :end, #ttl = :ttl",
            expiry_values(expires_at_seconds),
            speaker_connection_id=speaker_connection_id,
            names={"#ttl": "ttl"},
        )

    def set_status(
        self, session_id: str, speaker_connection_id: str, status: SessionStatus
    ) -> StatusChange | None:
        """Pause or resume an open session.

        Returns:
            None if the session is not open or has another speaker.
        """
        token = new_token()
        before = self._update_open(
            session_id,
            "SET #status = :status, statusToken = :token",
            {":status": {"S": status}, ":token": token},
            speaker_connection_id=speaker_connection_id,
            returning="ALL_OLD",
        )
        if before is None:
            return None
        has_changed = before.status is not status or before.status_token == token["S"]
        return StatusChange(before, has_changed)

    def set_invite_code(
        self, session_id: str, speaker_connection_id: str, invite_code: str
    ) -> Session | None:
        """Replace an open session's invite code, and reset the limit of joins with it.

        Returns:
            The session; None if it is not open or has another speaker.
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
        """Make a connection the speaker of its user's session.

        The last write wins. It ends an interruption and extends the session. If the connection is
        the speaker already, nothing changes.

        Returns:
            The session as it was before; None if the connection was the speaker earlier and has
            been replaced since.

        Raises:
            SessionNotFound: The session is not open.
            Forbidden: The session is another user's.
        """
        try:
            item = self._table.update(
                session_id,
                "SET speakerConnectionId = :new, expiresAt = :end, #ttl = :ttl,"
                " untoldReturn = if_not_exists(graceEndsAt, :none),"
                " previousSpeakerConnectionId = speakerConnectionId"
                " REMOVE graceEndsAt, graceReason ADD speakerConnectionIds :new_in_set",
                condition=f"{IS_OPEN} AND speakerUserId = :user AND"
                " ((speakerConnectionId = :new AND attribute_exists(graceEndsAt))"
                " OR NOT contains(speakerConnectionIds, :new))",
                names={**NAMES, "#ttl": "ttl"},
                values={
                    ":new": {"S": connection_id},
                    ":new_in_set": {"SS": [connection_id]},
                    ":none": number(0),
                    ":user": {"S": user_id},
                    **expiry_values(expires_at_seconds),
                    **open_values(self._clock()),
                },
                returning="ALL_OLD",
            )
        except ConditionFailed as error:
            session = parse_session(error.item) if error.item else None
            if session is None or not session.is_open(self._clock()):
                raise SessionNotFound() from None
            if session.speaker_user_id != user_id:
                raise Forbidden(
                    "This session belongs to another user.", field="sessionId"
                ) from None
            return session if session.speaker_connection_id == connection_id else None
        return parse_session(item)

    def restore_speaker(self, session_id: str, previous: str, current: str) -> bool:
        """Make the previous speaker's connection the speaker again.

        Returns:
            False if the session is interrupted or over, or has other connections.
        """
        try:
            self._table.update(
                session_id,
                "SET speakerConnectionId = :previous REMOVE previousSpeakerConnectionId",
                condition=f"{IS_OPEN} AND speakerConnectionId = :current"
                " AND previousSpeakerConnectionId = :previous"
                " AND attribute_not_exists(graceEndsAt)",
                names=NAMES,
                values={
                    ":previous": {"S": previous},
                    ":current": {"S": current},
                    **open_values(self._clock()),
                },
            )
        except ConditionFailed as error:
            # The write may have been sent again after it succeeded.
            return bool(error.item) and parse_session(error.item).speaker_connection_id == previous
        return True

    def interrupt(
        self,
        session_id: str,
        speaker_connection_id: str,
        grace_ends_at_ms: int,
        reason: EndReason = EndReason.SPEAKER_LOST,
    ) -> bool:
        """Begin the grace of a session whose speaker's connection is lost or closed.

        Args:
            session_id: The session's ID.
            speaker_connection_id: The connection that is lost or closed.
            grace_ends_at_ms: When the session ends unless the speaker returns.
            reason: The reason for that end. SPEAKER_ENDED also shortens a grace that ends later.

        Returns:
            Whether this call began or shortened the grace, even if its write was sent twice.
        """
        condition = "attribute_not_exists(graceEndsAt) OR graceToken = :token"
        if reason is EndReason.SPEAKER_ENDED:
            condition += " OR graceEndsAt > :grace"
        return self._table.try_update(
            session_id,
            "SET graceEndsAt = :grace, graceReason = :reason, graceToken = :token",
            f"{IS_OPEN} AND ({condition}) AND speakerConnectionId = :speaker",
            {
                ":grace": number(grace_ends_at_ms),
                ":reason": {"S": reason},
                ":token": new_token(),
                ":speaker": {"S": speaker_connection_id},
                **open_values(self._clock()),
            },
            NAMES,
        )

    def note_return_announced(self, session_id: str) -> None:
        """Store that the listeners were notified of the speaker's return."""
        self._table.try_update(
            session_id,
            "SET untoldReturn = :none",
            "attribute_exists(sessionId)",
            {":none": number(0)},
        )

    def claim_end(
        self, session_id: str, reason: EndReason, speaker_connection_id: str | None = None
    ) -> Session | None:
        """End a session by its speaker, or because it has expired. No listener can join afterwards.

        Returns:
            The session, for one caller only, even if its write is sent twice; None for all others.
        """
        values: Item = {":reason": {"S": reason}}
        if speaker_connection_id is None:
            condition, values[":now"] = "expiresAt <= :now", number(int(self._clock()))
        else:
            condition = "speakerConnectionId = :speaker"
            values[":speaker"] = {"S": speaker_connection_id}
        return self._claim_end(session_id, ":reason", condition, values)

    def claim_end_of_grace(
        self, session_id: str, grace_ends_at_ms: int | None = None
    ) -> Session | None:
        """Mark a session whose grace is over as ended, for the reason with which the grace began.

        Args:
            session_id: The session's ID.
            grace_ends_at_ms: End only this grace.

        Returns:
            As `claim_end`.
        """
        condition = "graceEndsAt <= :now_ms"
        values: Item = {
            ":now_ms": number(int(self._clock() * 1000)),
            ":lost": {"S": EndReason.SPEAKER_LOST},
        }
        if grace_ends_at_ms is not None:
            condition += " AND graceEndsAt = :grace"
            values[":grace"] = number(grace_ends_at_ms)
        reason = "if_not_exists(graceReason, :lost)"
        return self._claim_end(session_id, reason, condition, values)

    def _claim_end(
        self, session_id: str, reason: str, condition: str, values: Item
    ) -> Session | None:
        return self._update(
            session_id,
            f"SET #status = :ended, endReason = {reason}, endedAt = :ended_at, endClaim = :claim",
            f"attribute_exists(sessionId)"
            f" AND ((#status <> :ended AND {condition}) OR endClaim = :claim)",
            {
                ":ended": {"S": SessionStatus.ENDED},
                ":ended_at": number(int(self._clock() * 1000)),
                ":claim": new_token(),
                **values,
            },
        )

    def put_back(self, session: Session) -> None:
        """Restore an ended session if another sweep has deleted it since it was read."""
        end: Item = {
            "endReason": {"S": session.end_reason or EndReason.EXPIRED},
            "endedAt": number(session.ended_at_ms or 0),
        }
        self._table.try_put({**encode_session(session), **end}, "attribute_not_exists(sessionId)")

    def delete(self, session_id: str) -> None:
        """Delete a session. Idempotent."""
        self._table.delete(session_id)

    def _update_open(
        self,
        session_id: str,
        update: str,
        values: Item,
        *,
        speaker_connection_id: str | None = None,
        names: dict[str, str] | None = None,
        returning: Literal["ALL_NEW", "ALL_OLD"] = "ALL_NEW",
    ) -> Session | None:
        condition = IS_OPEN
        values = {**values, **open_values(self._clock())}
        if speaker_connection_id is not None:
            condition += " AND speakerConnectionId = :speaker"
            values[":speaker"] = {"S": speaker_connection_id}
        return self._update(session_id, update, condition, values, names, returning)

    def _update(
        self,
        session_id: str,
        update: str,
        condition: str,
        values: Item,
        names: dict[str, str] | None = None,
        returning: Literal["ALL_NEW", "ALL_OLD"] = "ALL_NEW",
    ) -> Session | None:
        """Update a session, and return its new or old state; None if the condition failed."""
        try:
            item = self._table.update(
                session_id,
                update,
                condition=condition,
                values=values,
                names={**NAMES, **(names or {})},
                returning=returning,
            )
        except ConditionFailed:
            return None
        return parse_session(item)
