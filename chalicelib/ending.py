"""Ends of sessions, each claimed by one event, which then removes the participants."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from chalicelib import messages, telemetry
from chalicelib.aws.connections import FAN_OUT_SECONDS, POST_SECONDS, Gone, PostFailed
from chalicelib.aws.retries import seconds_left
from chalicelib.models import EndReason, Session
from chalicelib.notices import Notices
from chalicelib.pipeline import Pipeline
from chalicelib.slices import Slice
from chalicelib.store.listeners import TRANSACTION_ITEMS
from chalicelib.store.stores import Stores

END_SECONDS: Final = 20
"""How long an end notifies participants. The sweep notifies the rest."""

ANSWER_SECONDS: Final = 5
"""The same for an end whose speaker waits for the answer."""

REMOVE_SECONDS: Final = 5
"""The part of an event's time that is reserved for removing items."""

PUT_BACK_SECONDS: Final = 3
"""The part of an event's time that is reserved for restoring participants that it can't notify."""


class Ending:
    """Ends sessions. Every method may raise ServiceUnavailable.

    All methods may be called twice, late, or by two events at once. A conditional write decides
    which of them ends the session.
    """

    def __init__(
        self, stores: Stores, notices: Notices, pipeline: Pipeline, clock: Callable[[], float]
    ) -> None:
        self._sessions = stores.sessions
        self._participants = stores.participants
        self._listeners = stores.listeners
        self._notices = notices
        self._pipeline = pipeline
        self._clock = clock

    def end_by_speaker(self, session_id: str, speaker_connection_id: str) -> bool:
        """End a session for its speaker, which waits for the answer and gets no notice.

        The sweep notifies the listeners that can't be notified within ANSWER_SECONDS.

        Returns:
            False if another connection is the speaker, or if the session has ended.
        """
        reason = EndReason.SPEAKER_ENDED
        session = self._sessions.claim_end(session_id, reason, speaker_connection_id)
        return self._finish_claimed(session, ANSWER_SECONDS)

    def end_expired(self, session_id: str) -> bool:
        """End a session that has expired, and return whether this call has ended it."""
        return self._finish_claimed(self._sessions.claim_end(session_id, EndReason.EXPIRED))

    def end_after_grace(self, session_id: str, grace_ends_at_ms: int | None = None) -> bool:
        """End a session whose grace is over, and return whether this call has ended it.

        Args:
            session_id: The session's ID.
            grace_ends_at_ms: End only this grace.
        """
        return self._finish_claimed(self._sessions.claim_end_of_grace(session_id, grace_ends_at_ms))

    def _finish_claimed(self, session: Session | None, limit_seconds: float = END_SECONDS) -> bool:
        if session is None or session.end_reason is None:
            return False
        reason = session.end_reason
        telemetry.put_metrics(reason, SessionsEnded=1)
        telemetry.log_done("session ended", sessionId=session.session_id, reason=reason)
        with self._pipeline.notifying("sessionEnded", session.session_id, reason=reason):
            self.finish(session, limit_seconds)
        return True

    def finish(self, session: Session, limit_seconds: float = END_SECONDS) -> bool:
        """Remove the participants of an ended session, and notify each of them, after its captions.

        The notices wait for the posts of the last caption, because a sweep may continue an end
        whose event is still waiting for them. Each participant is removed by one caller and then
        notified, so no connection gets two notices. If a notice has certainly not arrived, its
        participant is restored for the next sweep. Nothing is removed if the event has no time left
        to post and to restore it.

        Returns:
            Whether all were notified.
        """
        self._notices.wait_for_captions(session)
        is_speaker_done = self._dismiss_speaker(session)
        return self._dismiss_listeners(session, limit_seconds) and is_speaker_done

    def _dismiss_speaker(self, session: Session) -> bool:
        """Remove the speaker, and notify it unless it has ended the session itself."""
        has_ended_it = session.end_reason is EndReason.SPEAKER_ENDED
        if not has_ended_it and not _has_time_to_dismiss(POST_SECONDS):
            return False
        speaker = self._participants.delete(session.speaker_connection_id, session.session_id)
        if has_ended_it or speaker is None or not speaker.is_present:
            return True
        try:
            self._notices.post(speaker.connection_id, self._end_notice(session))
        except Gone:
            return True
        except PostFailed as failure:
            if failure.may_have_arrived:
                return True
            self._participants.put_back_speaker(speaker)
            return False
        return True

    def _dismiss_listeners(self, session: Session, limit_seconds: float) -> bool:
        """Remove and notify listeners until the index, which lags behind, lists no new ones.

        Other invocations dismiss the listeners beyond one slice. The sweep finds any that they have
        left. A connection that was the session's speaker gets no second notice, even if it has
        become a listener.
        """
        stop_at = self._clock() + min(limit_seconds, seconds_left() - PUT_BACK_SECONDS)
        session_id, speaker_id = session.session_id, session.speaker_connection_id
        done: set[str] = set()
        are_all_notified = True
        while self._clock() < stop_at:
            listing = self._listeners.list_all(session_id)
            if not (listing.present.keys() | listing.arriving) - done:
                return are_all_notified
            # A join that the index lists as in progress can be complete by now.
            arriving = listing.arriving - done
            arriving -= self._listeners.remove_arriving(session_id, arriving)
            present = (listing.present.keys() | arriving) - done
            if speaker_id in present:
                self._listeners.remove(session_id, [speaker_id])
            others = sorted(present - {speaker_id})
            are_all_notified &= self._dismiss_in_slices(session, others, stop_at)
            done |= listing.present.keys() | listing.arriving
        return False

    def _dismiss_in_slices(
        self, session: Session, connection_ids: Sequence[str], stop_at: float
    ) -> bool:
        """Dismiss listeners, those beyond one slice by other invocations, which don't answer.

        Returns:
            Whether this event has notified all of them.
        """
        session_id, notice = session.session_id, self._end_notice(session)
        until = self._clock() + END_SECONDS
        own, sending = self._notices.split(session_id, connection_ids, notice, until, is_end=True)
        try:
            are_own_notified = self._dismiss_all(session_id, list(own), notice, stop_at)
        finally:
            refused = sending.find_refused()
        rest = [each for part in refused for each in part.connection_ids]
        are_rest_notified = self._dismiss_all(session_id, rest, notice, stop_at)
        are_all_own = len(own) + len(rest) == len(connection_ids)
        return are_own_notified and are_rest_notified and are_all_own

    def dismiss_slice(self, part: Slice) -> None:
        """Remove the listeners of a slice of an ended session, and notify each of them.

        A slice that is delivered again finds no listeners to remove. The sweep dismisses those that
        a slice has left because it was late or failed.
        """
        stop_at = min(part.posts_until_ms / 1000, self._clock() + seconds_left() - PUT_BACK_SECONDS)
        self._dismiss_all(part.session_id, part.connection_ids, part.text, stop_at)

    def _dismiss_all(
        self, session_id: str, connection_ids: Sequence[str], notice: str, stop_at: float
    ) -> bool:
        """Remove listeners, notify them, and return whether all were notified.

        The batches share the remaining time. A slow listener in one batch can't use it up.
        """
        are_all_notified = True
        starts = range(0, len(connection_ids), TRANSACTION_ITEMS)
        for start in starts:
            remaining_seconds = stop_at - self._clock()
            if remaining_seconds <= 0 or not _has_time_to_dismiss():
                return False
            batch = connection_ids[start : start + TRANSACTION_ITEMS]
            batches_left = len(starts) - start // TRANSACTION_ITEMS
            are_all_notified &= self._dismiss(
                session_id, batch, notice, remaining_seconds / batches_left
            )
        return are_all_notified

    def _dismiss(
        self, session_id: str, connection_ids: Collection[str], notice: str, limit_seconds: float
    ) -> bool:
        """Remove at most TRANSACTION_ITEMS listeners, as `_dismiss_all`."""
        stop_at = self._clock() + limit_seconds
        removed = self._listeners.remove(session_id, connection_ids)
        limit_seconds = min(max(stop_at - self._clock(), 0), FAN_OUT_SECONDS)
        result = self._notices.fan_out(session_id, removed, notice, limit_seconds)
        self._listeners.put_back(session_id, result.unreached)
        return not result.unreached

    def _end_notice(self, session: Session) -> str:
        assert session.end_reason is not None
        return self._notices.encode(messages.session_ended(session.session_id, session.end_reason))


def _has_time_to_dismiss(post_seconds: float = 0) -> bool:
    """Return whether the event still has time to remove items, to post and to restore items."""
    return seconds_left() >= REMOVE_SECONDS + post_seconds + PUT_BACK_SECONDS
