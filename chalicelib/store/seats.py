"""The listener counts in a session's item, in total and per target language."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from chalicelib.admission import Invitation, refusal_to_join
from chalicelib.aws.dynamodb import ConditionFailed, Item
from chalicelib.counts import TOTAL
from chalicelib.errors import unavailable
from chalicelib.models import Admission, CountNote, Session
from chalicelib.store.items import LANGUAGE_COUNT, encode_count_note, number, parse_session
from chalicelib.store.open_sessions import IS_OPEN, NAMES, open_values
from chalicelib.store.table import Table


class SeatStore:
    """Takes and releases the seats of sessions.

    Counters aren't idempotent, so a request that may have been applied isn't sent again.
    """

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def take(
        self,
        session_id: str,
        target_language: str,
        invitation: Invitation | None,
        max_listeners: int,
        *,
        last_window: int = 0,
        is_return: bool = False,
    ) -> Session:
        """Take a seat for a listener, and return the session with this seat taken.

        One write has all conditions: the seats, the expiry, the admission, the invite code and the
        limit of joins with it. So the count never exceeds `max_listeners`. A second write follows
        if a new window of that limit has begun since the session was read.

        Args:
            session_id: The session's ID.
            target_language: The listener's target language, whose count also increases.
            invitation: The invitation, if the listener has given an invite code.
            max_listeners: The number of a session's seats.
            last_window: The session's `invited_window` when it was read, for an invitation.
            is_return: Whether the listener had a seat before and returns.

        Raises:
            SessionNotFound: The session is not open.
            Forbidden: The invite code is missing or wrong.
            SessionFull: All seats are taken.
            RateLimitExceeded: Too many listeners join with the invite code.
        """
        condition = f"{IS_OPEN} AND listenerCount < :max"
        values = {":max": number(max_listeners), **open_values(self._clock())}
        if invitation is None and not is_return:
            condition += " AND admission <> :invited"
            values[":invited"] = {"S": Admission.INVITED}
        for _ in range(2):
            invited = _count_invited(invitation, last_window)
            try:
                item = self._table.update(
                    session_id,
                    f"{invited.update} listenerCount :one, changes :one, #language :one",
                    condition=condition + invited.condition,
                    names={**NAMES, "#language": LANGUAGE_COUNT + target_language},
                    values={":one": number(1), **values, **invited.values},
                    returning="ALL_NEW",
                    is_repeatable=False,
                )
                return parse_session(item)
            except ConditionFailed as error:
                session = parse_session(error.item) if error.item else None
                refusal = refusal_to_join(
                    session, invitation, max_listeners, self._clock(), is_return=is_return
                )
                if refusal is not None or session is None:
                    raise refusal or error from None
                last_window = session.invited_window
        raise unavailable()

    def release(self, session_id: str, languages: Mapping[str, int]) -> bool:
        """Release the seats of listeners that left, in one write.

        Not idempotent: call it once, from the code path that removed the participants, or that took
        seats without storing any participant.

        Args:
            session_id: The session's ID.
            languages: The number of listeners that left, per target language.

        Returns:
            False if the session no longer exists, or has fewer seats taken.
        """
        seats = sum(languages.values())
        counts = _add({language: -count for language, count in languages.items()})
        return self._table.try_update(
            session_id,
            f"ADD listenerCount :out, changes :one{counts.update}",
            "attribute_exists(sessionId) AND listenerCount >= :seats",
            {
                ":out": number(-seats),
                ":seats": number(seats),
                ":one": number(1),
                **counts.values,
            },
            counts.names,
            is_repeatable=False,
        )

    def change_language(self, session_id: str, before: str, after: str) -> Session | None:
        """Count a listener under another target language.

        Not idempotent. Call it after the listener's item has changed. After a crash between the two
        writes, the sweep repairs the counts.

        Returns:
            The session; None if it no longer exists.
        """
        counts = _add({before: -1, after: 1})
        try:
            item = self._table.update(
                session_id,
                f"ADD changes :one{counts.update}",
                condition="attribute_exists(sessionId)",
                values={":one": number(1), **counts.values},
                names=counts.names,
                returning="ALL_NEW",
                is_repeatable=False,
            )
        except ConditionFailed:
            return None
        return parse_session(item)

    def pass_on(self, session_id: str, before: str, after: str) -> Session | None:
        """Count a listener's refresh, which has passed its seat to another connection.

        Args:
            session_id: The session's ID.
            before: The target language of the connection that had the seat.
            after: The target language of the connection that has it now. If they differ, the counts
                of both change in the same write.

        Returns:
            The session, or None if it is not open.
        """
        counts = _add({} if before == after else {before: -1, after: 1})
        try:
            item = self._table.update(
                session_id,
                f"ADD changes :one{counts.update}",
                condition=IS_OPEN,
                values={":one": number(1), **counts.values, **open_values(self._clock())},
                names={**NAMES, **counts.names},
                returning="ALL_NEW",
                is_repeatable=before == after,
            )
        except ConditionFailed:
            return None
        return parse_session(item)

    def note_drifts(self, session_id: str, note: CountNote) -> bool:
        """Store the counts that a sweep found wrong.

        Returns:
            False if a participant has come or gone in the meantime.
        """
        return self._table.try_update(
            session_id,
            "SET driftNote = :note",
            "attribute_exists(sessionId) AND changes = :changes",
            {":note": encode_count_note(note), ":changes": number(note.changes)},
        )

    def repair(
        self, session_id: str, drifts: Mapping[str, int], rest: CountNote, max_listeners: int
    ) -> bool:
        """Lower counts by their drifts (negative: raise them), in one write.

        Args:
            session_id: The session's ID.
            drifts: How much each count is too high, by target language, or TOTAL for all listeners.
            rest: The remaining drifts. `changes` is that of the session after this write.
            max_listeners: The number of a session's seats, which the count never exceeds.

        Returns:
            False if a count has changed since, in which case nothing was written.
        """
        too_many = drifts.get(TOTAL, 0)
        counts = _add({key: -drift for key, drift in drifts.items() if key != TOTAL})
        return self._table.try_update(
            session_id,
            f"SET driftNote = :rest ADD #total :repair, changes :one{counts.update}",
            "changes = :changes AND #total >= :low AND #total <= :high",
            {
                **counts.values,
                ":rest": encode_count_note(rest),
                ":repair": number(-too_many),
                ":one": number(1),
                ":changes": number(rest.changes - 1),
                ":low": number(max(too_many, 0)),
                ":high": number(max_listeners + min(too_many, 0)),
            },
            {"#total": "listenerCount", **counts.names},
            is_repeatable=False,
        )


class _Part(NamedTuple):
    """A part of an update expression."""

    update: str
    condition: str
    names: dict[str, str]
    values: Item


def _add(numbers: Mapping[str, int]) -> _Part:
    """Continue an ADD with numbers to add to the counts of languages."""
    keys = range(len(numbers))
    return _Part(
        "".join(f", #language{key} :number{key}" for key in keys),
        "",
        {f"#language{key}": LANGUAGE_COUNT + each for key, each in enumerate(numbers)},
        {f":number{key}": number(each) for key, each in enumerate(numbers.values())},
    )


def _count_invited(invitation: Invitation | None, last_window: int) -> _Part:
    """Begin an ADD that counts a join with an invite code in its window."""
    if invitation is None:
        return _Part("ADD", "", {}, {})
    if invitation.window > last_window:
        return _Part(
            "SET invitedWindow = :window, invitedJoins = :one ADD",
            " AND inviteCode = :code"
            " AND (attribute_not_exists(invitedWindow) OR invitedWindow < :window)",
            {},
            {":code": {"S": invitation.code}, ":window": number(invitation.window)},
        )
    return _Part(
        "ADD invitedJoins :one,",
        " AND inviteCode = :code AND invitedWindow = :window AND invitedJoins < :most",
        {},
        {
            ":code": {"S": invitation.code},
            ":window": number(last_window),
            ":most": number(invitation.max_joins),
        },
    )
