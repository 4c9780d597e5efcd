"""The listener counts in a session's item, in total and per target language."""

from collections.abc import Callable, Mapping

from chalicelib.admission import Invitation, refusal_to_join
from chalicelib.aws.dynamodb import ConditionFailed, Item
from chalicelib.counts import TOTAL
from chalicelib.errors import unavailable
from chalicelib.models import Admission, CountNote
from chalicelib.store.count_updates import Counted, CountUpdate, new_count_token
from chalicelib.store.items import encode_count_note, number, parse_session
from chalicelib.store.open_sessions import IS_OPEN, NAMES, open_values
from chalicelib.store.table import Table


class SeatStore:
    """Takes and releases the seats of sessions. `Audience` acts on the results.

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
    ) -> Counted:
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
            update = self._update({target_language: 1}, total=1)
            invited, invited_values = _count_invited(update, invitation, last_window)
            try:
                return self._apply(
                    session_id, update, condition + invited, {**values, **invited_values}
                )
            except ConditionFailed as error:
                session = parse_session(error.item) if error.item else None
                refusal = refusal_to_join(
                    session, invitation, max_listeners, self._clock(), is_return=is_return
                )
                if refusal is not None or session is None:
                    raise refusal or error from None
                last_window = session.invited_window
        raise unavailable()

    def release(self, session_id: str, languages: Mapping[str, int]) -> Counted | None:
        """Release the seats of listeners that left, in one write.

        Not idempotent: call it once, from the code path that removed the participants, or that took
        seats without storing any participant.

        Args:
            session_id: The session's ID.
            languages: The number of listeners that left, per target language.

        Returns:
            None if the session no longer exists, or has fewer seats taken.
        """
        seats = sum(languages.values())
        return self._try(
            session_id,
            self._update({name: -count for name, count in languages.items()}, total=-seats),
            "attribute_exists(sessionId) AND listenerCount >= :seats",
            {":seats": number(seats)},
        )

    def change_language(self, session_id: str, before: str, after: str) -> Counted | None:
        """Count a listener under another target language.

        Not idempotent. Call it after the listener's item has changed. After a crash between the two
        writes, the sweep repairs the counts.

        Returns:
            None if the session no longer exists.
        """
        update = self._update({before: -1, after: 1})
        return self._try(session_id, update, "attribute_exists(sessionId)")

    def pass_on(self, session_id: str, before: str, after: str) -> Counted | None:
        """Count a listener's refresh, which has passed its seat to another connection.

        Args:
            session_id: The session's ID.
            before: The target language of the connection that had the seat.
            after: The target language of the connection that has it now. If they differ, the counts
                of both change in the same write.

        Returns:
            None if the session is not open.
        """
        is_same = before == after
        update = self._update({} if is_same else {before: -1, after: 1})
        if is_same:
            update.activate(after)
        return self._try(
            session_id, update, IS_OPEN, open_values(self._clock()), is_repeatable=is_same
        )

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
    ) -> Counted | None:
        """Lower counts by their drifts (negative: raise them), in one write.

        Args:
            session_id: The session's ID.
            drifts: How much each count is too high, by target language, or TOTAL for all listeners.
            rest: The remaining drifts. `changes` is that of the session after this write.
            max_listeners: The number of a session's seats, which the count never exceeds.

        Returns:
            None if a count has changed since, in which case nothing was written.
        """
        too_many = drifts.get(TOTAL, 0)
        languages = {key: -drift for key, drift in drifts.items() if key != TOTAL}
        update = self._update(languages, total=-too_many)
        update.set("driftNote = :rest", {":rest": encode_count_note(rest)})
        return self._try(
            session_id,
            update,
            "changes = :changes AND listenerCount >= :low AND listenerCount <= :high",
            {
                ":changes": number(rest.changes - 1),
                ":low": number(max(too_many, 0)),
                ":high": number(max_listeners + min(too_many, 0)),
            },
        )

    def _update(self, languages: Mapping[str, int], total: int = 0) -> CountUpdate:
        return CountUpdate(new_count_token(self._clock()), languages, total)

    def _try(
        self,
        session_id: str,
        update: CountUpdate,
        condition: str,
        values: Item | None = None,
        *,
        is_repeatable: bool = False,
    ) -> Counted | None:
        try:
            return self._apply(
                session_id, update, condition, values or {}, is_repeatable=is_repeatable
            )
        except ConditionFailed:
            return None

    def _apply(
        self,
        session_id: str,
        update: CountUpdate,
        condition: str,
        values: Item,
        *,
        is_repeatable: bool = False,
    ) -> Counted:
        names = {**update.names, **(NAMES if "#status" in condition else {})}
        item = self._table.update(
            session_id,
            update.expression,
            condition=condition,
            names=names,
            values={**update.values, **values},
            returning="ALL_NEW",
            is_repeatable=is_repeatable,
        )
        return Counted(parse_session(item), update.token)


def _count_invited(
    update: CountUpdate, invitation: Invitation | None, last_window: int
) -> tuple[str, Item]:
    """Add the count of a join with an invite code in its window to an update.

    Returns:
        The condition of the count, which continues another one, and its values.
    """
    if invitation is None:
        return "", {}
    values: Item = {":code": {"S": invitation.code}}
    if invitation.window > last_window:
        window = {":window": number(invitation.window)}
        update.set("invitedWindow = :window, invitedJoins = :one", window)
        return (
            " AND inviteCode = :code"
            " AND (attribute_not_exists(invitedWindow) OR invitedWindow < :window)",
            values,
        )
    update.add("invitedJoins :one")
    values |= {":window": number(last_window), ":most": number(invitation.max_joins)}
    return (
        " AND inviteCode = :code AND invitedWindow = :window AND invitedJoins < :most",
        values,
    )
