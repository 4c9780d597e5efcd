"""Single participants in the Connections table."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from chalicelib.aws.dynamodb import ConditionFailed, Item
from chalicelib.models import IN_FLIGHT_SECONDS, SUPERSEDED_RECORD_SECONDS, Participant
from chalicelib.store.items import (
    NO_LANGUAGE,
    encode_participant,
    find_participant,
    number,
    parse_participant,
    parse_refusals,
)
from chalicelib.store.placements import FREE_VALUES, IS_FREE, Placement
from chalicelib.store.table import Table

_HAS_NOT_LEFT: Final = (
    "attribute_exists(sessionId) AND attribute_not_exists(leftAt)"
    " AND attribute_not_exists(supersededBy)"
)
"""The condition that a connection is a participant or is joining."""

_IS_PRESENT: Final = (
    f"{_HAS_NOT_LEFT} AND (attribute_not_exists(targetLanguage) OR targetLanguage < :none)"
)
"""Participant.is_present as a condition expression. It needs NO_LANGUAGE_VALUES."""

NO_LANGUAGE_VALUES: Final[Item] = {":none": {"S": NO_LANGUAGE}}

_OPTIONAL: Final = frozenset(
    {"targetLanguage", "arrival", "leftAt", "listeningSince", "lostAt", "settledLostAt"}
)
"""Attributes that not every participant has. A new participant doesn't inherit them."""


class Claim(NamedTuple):
    """The result of claiming a connection for a participant.

    Attributes:
        existing: The connection's existing participant, or None if the claim succeeded.
        refusals: The number of refused commands in a row, which the claim keeps.
    """

    existing: Participant | None
    refusals: int = 0


class Heartbeat(NamedTuple):
    """A stored heartbeat.

    Attributes:
        participant: The participant after the heartbeat.
        times_ms: The times of the last heartbeats, this one first; 0 for each missing one.
    """

    participant: Participant
    times_ms: list[int]


class ParticipantStore:
    """Reads and writes participants. Never changes the counts of their sessions."""

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def find(self, connection_id: str) -> Participant | None:
        """Find a participant, even if it has left or was superseded, with a consistent read.

        Returns:
            None if it doesn't exist or is still joining.
        """
        participant = find_participant(self._table.find(connection_id))
        return None if participant is None or participant.is_arriving else participant

    def find_present(self, connection_id: str) -> Participant | None:
        """Find a participant that has not left and was not superseded, with a consistent read."""
        found = self.find(connection_id)
        is_live = found and found.is_present and found.expires_at_seconds > self._clock()
        return found if is_live else None

    def put(self, participant: Participant) -> Claim:
        """Claim a connection for a participant that joins or takes over.

        Keeps the number of refused commands. Idempotent for a participant that is arriving.
        """
        item = encode_participant(participant)
        del item["connectionId"]
        removed = ", ".join(sorted(_OPTIONAL - item.keys()))
        try:
            before = self._table.update(
                participant.connection_id,
                f"SET {', '.join(f'#{name} = :{name}' for name in item)} REMOVE {removed}",
                condition=IS_FREE,
                names={f"#{name}": name for name in item},
                values={**{f":{name}": value for name, value in item.items()}, **FREE_VALUES},
                returning="ALL_OLD",
            )
        except ConditionFailed as error:
            return Claim(find_participant(error.item))
        return Claim(None, parse_refusals(before))

    def activate(self, arriving: Participant) -> Placement:
        """Complete a join, which makes the connection a listener. Idempotent.

        Resets the number of refused commands.
        """
        try:
            self._table.update(
                arriving.connection_id,
                "SET targetLanguage = :language, arrival = :arrival REMOVE refusals",
                condition="targetLanguage = :arrival",
                values={
                    ":language": {"S": arriving.target_language or ""},
                    ":arrival": {"S": arriving.arrival or ""},
                },
            )
        except ConditionFailed as error:
            found = find_participant(error.item)
            is_done = found is not None and found.is_present and found.arrival == arriving.arrival
            return Placement(is_done, found)
        return Placement(is_done=True)

    def withdraw(self, arriving: Participant) -> None:
        """Remove a participant whose join failed. Idempotent.

        Keeps the number of refused commands.
        """
        self._withdraw(
            arriving.connection_id,
            "targetLanguage = :arrival",
            {":arrival": {"S": arriving.arrival or ""}},
        )

    def withdraw_speaker(self, connection_id: str, session_id: str) -> None:
        """Remove a speaker whose refresh failed, as `withdraw`."""
        self._withdraw(connection_id, "sessionId = :session", {":session": {"S": session_id}})

    def _withdraw(self, connection_id: str, condition: str, values: Item) -> None:
        if self._table.try_delete(
            connection_id, f"{condition} AND attribute_not_exists(refusals)", values
        ):
            return
        self._table.try_update(connection_id, "REMOVE sessionId, targetLanguage", condition, values)

    def record_heartbeat(
        self, connection_id: str, lost_at_ms: int, settled_lost_at_ms: int, times_kept: int
    ) -> Heartbeat | None:
        """Record a heartbeat of a participant that is present, in one write.

        The times of the last heartbeats are a shift register: DynamoDB reads everything on the
        right side before it writes. A heartbeat doesn't reset a participant's refused commands,
        because its times can refuse it.
        Source: "Update expressions", Amazon DynamoDB Developer Guide.

        Args:
            connection_id: The connection's ID.
            lost_at_ms: When the participant is lost without another heartbeat.
            settled_lost_at_ms: The same for a settled listener.
            times_kept: How many earlier heartbeats' times the item keeps.

        Returns:
            None if the connection isn't a participant. Its refused commands are then reset.
        """
        now_ms = int(self._clock() * 1000)
        shifts = [f", t{n} = if_not_exists(t{n - 1}, :never)" for n in range(1, times_kept + 1)]
        values: Item = {":never": number(0)} if shifts else {}
        try:
            item = self._table.update(
                connection_id,
                f"SET t0 = :now_ms, lostAt = :lost, settledLostAt = :settled{''.join(shifts)}",
                condition=f"{_IS_PRESENT} AND #ttl > :now",
                names={"#ttl": "ttl"},
                values={
                    ":now_ms": number(now_ms),
                    ":now": number(now_ms // 1000),
                    ":lost": number(lost_at_ms),
                    ":settled": number(settled_lost_at_ms),
                    **NO_LANGUAGE_VALUES,
                    **values,
                },
                returning="ALL_NEW",
            )
        except ConditionFailed as error:
            self._delete_if_it_only_counts(connection_id, error.item)
            return None
        times_ms = [int(item[f"t{n}"]["N"]) for n in range(times_kept + 1)]
        return Heartbeat(parse_participant(item), times_ms)

    def mark_left(
        self,
        connection_id: str,
        *,
        if_past_joining: bool = False,
        if_lost_at_ms: int | None = None,
    ) -> Participant | None:
        """Mark a participant as left, and return it as it was before.

        Only one caller gets it as present, so only one releases its seat. A join in progress then
        fails. The item stays for a refresh by its client.

        Args:
            connection_id: The connection's ID.
            if_past_joining: Change nothing if the connection may still be opening.
            if_lost_at_ms: Change nothing if a heartbeat has changed this time of the loss.

        Returns:
            The participant, even if it had left before; None if it doesn't exist or doesn't leave.
        """
        now_ms = int(self._clock() * 1000)
        condition = _HAS_NOT_LEFT
        values: Item = {":left": number(now_ms)}
        if if_past_joining:
            condition += " AND takenAt <= :settled"
            values[":settled"] = number(now_ms - IN_FLIGHT_SECONDS * 1000)
        if if_lost_at_ms is not None:
            condition += " AND lostAt = :lost"
            values[":lost"] = number(if_lost_at_ms)
        try:
            before = self._table.update(
                connection_id,
                "SET leftAt = :left REMOVE targetLanguage",
                condition=condition,
                values=values,
                returning="ALL_OLD",
            )
        except ConditionFailed as error:
            self._delete_if_it_only_counts(connection_id, error.item)
            found = find_participant(error.item)
            return None if found is None or found.is_present else found
        return find_participant(before)

    def _delete_if_it_only_counts(self, connection_id: str, item: Item) -> None:
        """Delete the item of a connection that isn't a participant and only counts refusals."""
        if item and "sessionId" not in item:
            self._table.try_delete(connection_id, "attribute_not_exists(sessionId)")

    def set_language(self, connection_id: str, session_id: str, target_language: str) -> str | None:
        """Change a listener's target language, and reset its refused commands.

        Returns:
            The previous language; None if the connection isn't a listener of that session.
        """
        try:
            before = self._table.update(
                connection_id,
                "SET targetLanguage = :language REMOVE refusals",
                condition="sessionId = :session AND targetLanguage < :none"
                " AND attribute_not_exists(leftAt)",
                values={
                    ":language": {"S": target_language},
                    ":session": {"S": session_id},
                    **NO_LANGUAGE_VALUES,
                },
                returning="ALL_OLD",
            )
        except ConditionFailed:
            return None
        return str(before["targetLanguage"]["S"])

    def note_service_close(self, connection_id: str) -> None:
        """Mark a participant whose connection the service is about to close. Idempotent."""
        self._table.try_update(
            connection_id,
            "SET closedByService = :yes",
            "attribute_exists(sessionId)",
            {":yes": {"BOOL": True}},
        )

    def supersede_speaker(self, session_id: str, connection_id: str, by_connection_id: str) -> None:
        """Mark a speaker as superseded. Its commands and its close then have no effect."""
        expires_at_seconds = int(self._clock()) + SUPERSEDED_RECORD_SECONDS
        self._table.try_update(
            connection_id,
            "SET supersededBy = :new, #ttl = :ttl",
            "sessionId = :session",
            {
                ":new": {"S": by_connection_id},
                ":session": {"S": session_id},
                ":ttl": number(expires_at_seconds),
            },
            {"#ttl": "ttl"},
        )

    def restore_superseded(self, participant: Participant, superseded_by: str) -> None:
        """Undo `supersede_speaker`, unless another connection has superseded the speaker since."""
        self._table.try_update(
            participant.connection_id,
            "SET #ttl = :ttl REMOVE supersededBy",
            "supersededBy = :current",
            {":current": {"S": superseded_by}, ":ttl": number(participant.expires_at_seconds)},
            {"#ttl": "ttl"},
        )

    def put_back_speaker(self, speaker: Participant) -> None:
        """Restore a removed speaker that couldn't be notified of the session's end."""
        self._table.try_put(encode_participant(speaker), "attribute_not_exists(sessionId)")

    def delete(
        self,
        connection_id: str,
        session_id: str,
        *,
        joined_at_ms: int | None = None,
        arrival: str | None = None,
    ) -> Participant | None:
        """Delete a connection's item in a session.

        Args:
            connection_id: The connection's ID.
            session_id: The session's ID.
            joined_at_ms: Delete only the participant that joined at this time.
            arrival: Delete only the participant of this join.

        Returns:
            The participant that was deleted, or None.
        """
        condition = "sessionId = :session"
        values: dict[str, Any] = {":session": {"S": session_id}}
        if joined_at_ms is not None:
            condition += " AND takenAt = :taken"
            values[":taken"] = number(joined_at_ms)
        if arrival is not None:
            condition += " AND (targetLanguage = :arrival OR arrival = :arrival)"
            values[":arrival"] = {"S": arrival}
        item = self._table.delete_returning(connection_id, condition, values)
        return None if item is None else find_participant(item)

    def delete_arriving(self, participant: Participant) -> bool:
        """Delete a participant whose join is incomplete.

        Returns:
            False if it has become a listener.
        """
        return self._table.try_delete(
            participant.connection_id,
            "sessionId = :session AND takenAt = :taken AND begins_with(targetLanguage, :none)",
            {
                ":session": {"S": participant.session_id},
                ":taken": number(participant.joined_at_ms),
                **NO_LANGUAGE_VALUES,
            },
        )
