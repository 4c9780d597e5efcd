"""The repair of one session, as the sweep finds it."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

from chalicelib.audience import Audience
from chalicelib.counts import count_drifts, drifts_to_repair
from chalicelib.ending import Ending
from chalicelib.lifecycle import Lifecycle
from chalicelib.models import IN_FLIGHT_SECONDS, CountNote, Participant, Session, SessionStatus
from chalicelib.store.stores import Stores
from chalicelib.sweep_report import Visit


class SessionRepair:
    """Repairs sessions.

    Two sweeps may repair a session at once, because every change is a conditional write or harmless
    if repeated.
    """

    def __init__(
        self,
        stores: Stores,
        audience: Audience,
        lifecycle: Lifecycle,
        ending: Ending,
        max_listeners: int,
        clock: Callable[[], float],
    ) -> None:
        self._sessions = stores.sessions
        self._participants = stores.participants
        self._listeners = stores.listeners
        self._seats = stores.seats
        self._audience = audience
        self._lifecycle = lifecycle
        self._ending = ending
        self._max_listeners = max_listeners
        self._clock = clock

    def visit(self, session: Session) -> Visit:
        """Visit a session, and repair its state that no event has cleaned up.

        Raises:
            ServiceUnavailable: DynamoDB is throttling, failing or unreachable.
        """
        now = self._clock()
        if session.status is SessionStatus.ENDED:
            self._finish_end(session, now)
            return Visit()
        if session.is_expired(now):
            return Visit(has_ended=self._ending.end_expired(session.session_id))
        if session.is_grace_over(now):
            return Visit(has_ended=self._ending.end_after_grace(session.session_id))
        if session.grace_ends_at_ms is None:
            self._check_speaker(session, now)
        self._audience.check(session)
        return self._check_listeners(session, now)

    def _finish_end(self, session: Session, now: float) -> None:
        """Continue an incomplete end, and delete the session when no event can be working on it."""
        if not self._ending.finish(session):
            # Another sweep may have found no listeners while this one had removed them.
            self._sessions.put_back(session)
        elif now - (session.ended_at_ms or 0) / 1000 >= IN_FLIGHT_SECONDS:
            self._sessions.delete(session.session_id)

    def _check_speaker(self, session: Session, now: float) -> None:
        speaker = self._participants.find_present(session.speaker_connection_id)
        if speaker is None or speaker.session_id != session.session_id:
            # Two reads may see only half of the transaction that created both. Source: "Amazon
            # DynamoDB Transactions: How it works" (only TransactGetItems reads a snapshot).
            if now - session.created_at_ms / 1000 >= IN_FLIGHT_SECONDS:
                self._lifecycle.handle_lost_speaker(session, None)
        elif speaker.is_lost(now):
            self._lifecycle.handle_lost_speaker(session, speaker)

    def _check_listeners(self, session: Session, now: float) -> Visit:
        """Remove lost listeners and incomplete joins, and repair the counts.

        The reads are eventually consistent, because each removal has its own condition.
        """
        listing = self._listeners.list_all(session.session_id)
        participants = [
            each
            for each in self._listeners.find_many(listing.present.keys() | listing.arriving)
            if each.session_id == session.session_id
        ]
        lost = [each for each in participants if each.is_present and each.is_lost(now)]
        removed = self._lifecycle.remove_lost_listeners(session.session_id, lost)
        self._remove_broken_off(listing.arriving, participants, now)
        changes = session.changes + (removed > 0)
        return Visit(
            is_active=True,
            listeners=len(listing.present) - removed,
            removed=removed,
            repaired=self._repair_counts(session, Counter(listing.present.values()), changes, now),
        )

    def _remove_broken_off(
        self, arriving: Collection[str], participants: Iterable[Participant], now: float
    ) -> None:
        """Remove incomplete joins. They have no seats."""
        for each in participants:
            if each.connection_id in arriving and not each.is_present and each.is_past_joining(now):
                self._participants.delete_arriving(each)

    def _repair_counts(
        self, session: Session, listed: Mapping[str, int], changes: int, now: float
    ) -> int:
        """Repair counts that two sweeps have found wrong, and store those that are wrong now.

        Args:
            session: The session.
            listed: The number of listeners per target language.
            changes: The session's `changes` if no listener has come or gone since the reads.
            now: Unix time in seconds.

        Returns:
            The largest number by which a count was repaired.
        """
        drifts = count_drifts(session, listed)
        certain = drifts_to_repair(session, drifts, now)
        now_ms = int(now * 1000)
        if certain:
            rest = {key: left for key, it in drifts.items() if (left := it - certain.get(key, 0))}
            repaired = self._audience.repair(
                session.session_id,
                certain,
                CountNote(changes + 1, rest, now_ms),
                self._max_listeners,
            )
            return max(map(abs, certain.values())) if repaired else 0
        note = session.count_note
        noted = note.drifts if note and note.changes == changes else {}
        if any(drifts.get(key, 0) * noted.get(key, 0) <= 0 for key in {*drifts, *noted}):
            self._seats.note_drifts(session.session_id, CountNote(changes, drifts, now_ms))
        return 0
