"""How places and sessions end: leaves, interruptions, ends, and who is told of them.

Shared by what clients ask for (sessions) and by what nobody asks for (sweep). All of it may be
called twice, late, or by two at a time: a conditional write picks the one who goes on.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from chalicelib import protocol, telemetry
from chalicelib.aws.connections import (
    FAN_OUT_SECONDS,
    POST_SECONDS,
    Connections,
    FanOut,
    Gone,
    PostFailed,
)
from chalicelib.aws.retries import seconds_left
from chalicelib.models import Connection, EndReason, Role, Session, SessionStatus
from chalicelib.store import TRANSACTION_ITEMS, Store

END_SECONDS: Final = 20
"""How long an end may go on telling people, before the rest is left to the sweep."""

ANSWER_SECONDS: Final = 5
"""The same for an end whose speaker waits for the answer."""

NOTICE_SECONDS: Final = 2
"""The time limit of a notice that tells of no end. The speaker often waits for it, and a listener
that misses it learns the status from the next one, or from a join or refresh. The posts to 500
listeners take a fraction of it, see connections.AT_ONCE.
"""

TAKE_SECONDS: Final = 5
"""How long it may take to remove records. Source: retries.EVENT_SECONDS (one request)."""

PUT_BACK_SECONDS: Final = 3
"""What an event keeps of its budget to put back the records of those it could not notify."""

CLEAN_CLOSES: Final = frozenset({1000, 1005})
"""A browser's `close()` sends a close frame without a code, which the other side sees as 1005.
Source: RFC 6455, section 7.4.1; "The WebSocket interface", WHATWG.
"""

LONGEST_GRACE_TO_WAIT_SECONDS: Final = 10
"""A function waits for the end of a grace up to this; Lambda stops it after 29 s."""

LONGEST_NAP_SECONDS: Final = 0.25
"""Between two looks at the clock, which may run faster than time on a developer's machine."""


def nap_until(
    at_seconds: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> None:
    while (remaining_seconds := at_seconds - clock()) > 0:
        sleep(min(remaining_seconds, LONGEST_NAP_SECONDS))


def _has_time_to_dismiss(post_seconds: float = 0) -> bool:
    """Return whether the event can still take records, post for so long and put them back."""
    return seconds_left() >= TAKE_SECONDS + post_seconds + PUT_BACK_SECONDS


@dataclass(frozen=True, slots=True)
class Lifecycle:
    store: Store
    connections: Connections
    speaker_grace_seconds: float
    speaker_close_grace_seconds: float
    clock: Callable[[], float]
    sleep: Callable[[float], None] = time.sleep

    def leave(self, connection_id: str, close_code: int | None = None) -> None:
        """Take in that a connection has closed. Idempotent; nothing happens if it was replaced.

        `close_code` is what the client closed it with, if it did.
        """
        connection = self.store.close_connection(connection_id)
        if connection is None:
            return
        telemetry.follow(connection.session_id, connection.correlation)
        if connection.superseded_by is not None:
            return
        if connection.role is Role.LISTENER:
            if connection.is_present:
                self._count_out(connection.session_id, [connection])
        elif connection.was_removed_as_lost:
            # The sweep has interrupted the session. Its own close of the connection comes as 1000.
            return
        elif close_code in CLEAN_CLOSES and not connection.is_closed_by_service:
            # Also if a post has found the connection gone before: the grace becomes the short one.
            self._end_unless_speaker_returns(connection.session_id, connection_id)
        elif connection.is_present:
            self.interrupt(connection.session_id, connection_id)

    def _end_unless_speaker_returns(self, session_id: str, speaker_connection_id: str) -> None:
        """Interrupt a session whose speaker has closed its connection, and end it after the grace.

        The sweep ends it instead if the grace is long, or if the event has no time left for it.
        """
        grace_ends_at_ms = self.interrupt(
            session_id,
            speaker_connection_id,
            self.speaker_close_grace_seconds,
            EndReason.SPEAKER_ENDED,
        )
        if grace_ends_at_ms is None:
            return
        is_short = self.speaker_close_grace_seconds <= LONGEST_GRACE_TO_WAIT_SECONDS
        if is_short and grace_ends_at_ms / 1000 - self.clock() < seconds_left():
            with telemetry.waiting():
                nap_until(grace_ends_at_ms / 1000, self.clock, self.sleep)
            self.end_after_grace(session_id, grace_ends_at_ms)

    def close_refused(self, connection_id: str) -> None:
        """Close a connection whose commands keep being refused. Idempotent.

        The mark comes first: API Gateway reports the service's own close with 1000, as if the
        client had closed the connection, but a speaker that has not left gets the long grace.
        """
        self.store.note_own_close(connection_id)
        self.connections.close([connection_id])

    def never_opened(self, connection_id: str) -> None:
        """Take in that a connection which had its place never opened. Idempotent.

        A speaker's that had taken over gives the session back: nobody has told him that his
        previous connection was replaced.
        """
        connection = self.store.find_connection(connection_id)
        if connection is not None and connection.role is Role.SPEAKER:
            session = self.store.find_session(connection.session_id)
            if session is not None and session.speaker_connection_id == connection_id:
                self.store.give_back_to_previous_speaker(session)
        self.leave(connection_id)

    def miss_speaker(self, session: Session, speaker: Connection | None) -> None:
        """Interrupt a session whose speaker is lost, or has left without a `$disconnect`.

        `speaker` is its participant, if it still is one: it is removed, unless a heartbeat comes
        first. A refresh that broke off has not superseded the previous connection: if that is not
        lost, the session goes back to it instead.
        """
        if self._has_previous_speaker(session):
            self.store.give_back_to_previous_speaker(session)
            return
        if speaker is not None and not self._remove_lost([speaker]):
            return
        self.interrupt(session.session_id, session.speaker_connection_id)
        self._close([] if speaker is None else [speaker])

    def _has_previous_speaker(self, session: Session) -> bool:
        previous_id = session.previous_speaker_connection_id
        previous = None if previous_id is None else self.store.find_connection(previous_id)
        return (
            previous is not None
            and previous.session_id == session.session_id
            and not previous.is_lost(self.clock())
        )

    def remove_lost(self, session_id: str, lost: Collection[Connection]) -> int:
        """Remove a session's lost listeners, and return how many those were.

        One whose heartbeat comes first stays.
        """
        removed = self._remove_lost(lost)
        if removed:
            self._count_out(session_id, removed)
        self._close(removed)
        return len(removed)

    def _count_out(self, session_id: str, removed: Iterable[Connection]) -> None:
        """Count out listeners that this call has removed; `removed` are their records before."""
        self.store.count_out(session_id, Counter(each.target_language or "" for each in removed))

    def _close(self, lost: Collection[Connection]) -> None:
        """Close the connections of participants that were removed as lost.

        API Gateway would keep them for up to ten minutes, and a client that is there after all
        learns that it has to come back.
        """
        if lost:
            self.connections.close([each.connection_id for each in lost])

    def _remove_lost(self, lost: Iterable[Connection]) -> list[Connection]:
        """Remove lost participants, and return those that this call has removed."""
        return [
            before
            for each in lost
            if (
                before := self.store.close_connection(
                    each.connection_id, if_lost_at_ms=each.lost_at_ms
                )
            )
            and before.is_present
        ]

    def remove_gone(self, session_id: str, connection_ids: Collection[str]) -> int:
        """Take out the listeners whom API Gateway does not know; return how many those were.

        Not those who came a moment ago: their connections may not have opened yet.
        """
        closed = [
            connection
            for each in connection_ids
            if (connection := self.store.close_connection(each, if_settled=True))
            and connection.is_present
        ]
        if closed:
            self._count_out(session_id, closed)
        return len(closed)

    def interrupt(
        self,
        session_id: str,
        speaker_connection_id: str,
        grace_seconds: float | None = None,
        reason: EndReason = EndReason.SPEAKER_LOST,
    ) -> int | None:
        """Begin the grace if that connection is the session's current speaker.

        Should he have come back while the listeners were being told, they are told so once more:
        the two notices may have overtaken each other.

        Returns when the grace ends, in ms, or None if this call has not begun it.
        """
        seconds = self.speaker_grace_seconds if grace_seconds is None else grace_seconds
        ends_at_ms = int((self.clock() + seconds) * 1000)
        if not self.store.interrupt_session(session_id, speaker_connection_id, ends_at_ms, reason):
            return None
        self.tell_listeners(session_id, protocol.session_interrupted(session_id, seconds))
        session = self.store.find_session(session_id)
        if session is not None and session.grace_ends_at_ms is None:
            self.tell_how_it_goes_on(session)
        return ends_at_ms

    def tell_how_it_goes_on(self, session: Session) -> None:
        """Tell the listeners that an interruption is over: a paused session is paused again."""
        is_paused = session.status is SessionStatus.PAUSED
        notice = protocol.session_paused if is_paused else protocol.session_resumed
        self.tell_listeners(session.session_id, notice(session.session_id))
        self.store.note_return_told(session.session_id)

    def tell_listeners(self, session_id: str, notice: protocol.Message) -> FanOut:
        """Post a notice to a session's listeners. A connection that is gone is a leave."""
        listener_ids = self.store.list_listener_ids(session_id)
        told = self._fan_out(session_id, listener_ids, self._encode(notice), NOTICE_SECONDS)
        self.remove_gone(session_id, told.gone)
        return told

    def end_by_speaker(self, session_id: str, speaker_connection_id: str) -> bool:
        """End the session of that current speaker, which waits and gets no notice.

        Listeners that can't be reached within ANSWER_SECONDS are left to the sweep. False if
        another connection is the speaker, or if the session has ended.
        """
        reason = EndReason.SPEAKER_ENDED
        session = self.store.claim_end(session_id, reason, speaker_connection_id)
        return self._finish_claimed(session, ANSWER_SECONDS)

    def end_expired(self, session_id: str) -> bool:
        """End a session that has expired, if it still has."""
        return self._finish_claimed(self.store.claim_end(session_id, EndReason.EXPIRED))

    def end_after_grace(self, session_id: str, grace_ends_at_ms: int | None = None) -> bool:
        """End a session whose grace has run out, if it still has; or only if it is that grace."""
        return self._finish_claimed(self.store.claim_end_of_grace(session_id, grace_ends_at_ms))

    def _finish_claimed(self, session: Session | None, limit_seconds: float = END_SECONDS) -> bool:
        if session is None or session.end_reason is None:
            return False
        reason = session.end_reason
        telemetry.put_metrics(reason, SessionsEnded=1)
        telemetry.log_done("session ended", sessionId=session.session_id, reason=reason)
        self.finish_end(session, limit_seconds)
        return True

    def finish_end(self, session: Session, limit_seconds: float = END_SECONDS) -> bool:
        """Remove an ended session's participants, and notify each of them.

        May be repeated and done by two at a time. A record goes before its owner is notified, and
        only one caller gets it, so that no connection gets two notices. A notice that has
        certainly not arrived puts the record back, for the next sweep. No record goes if the event
        has no time left to post and to put it back.

        Returns whether all were notified.
        """
        is_speaker_done = self._dismiss_speaker(session)
        return self._dismiss_listeners(session, limit_seconds) and is_speaker_done

    def _dismiss_speaker(self, session: Session) -> bool:
        """Remove the speaker's record, and notify it, unless it was the one to end the session."""
        knows = session.end_reason is EndReason.SPEAKER_ENDED
        if not knows and not _has_time_to_dismiss(POST_SECONDS):
            return False
        speaker = self.store.delete_connection(session.speaker_connection_id, session.session_id)
        if knows or speaker is None or not speaker.is_present:
            return True
        try:
            self.connections.post(speaker.connection_id, self._end_notice(session))
        except Gone:
            return True
        except PostFailed as failure:
            if failure.may_have_arrived:
                return True
            self.store.put_back_speaker(speaker)
            return False
        return True

    def _dismiss_listeners(self, session: Session, limit_seconds: float) -> bool:
        """Read the list until it shows nobody new: who has just come may be missing in it.

        The batches share the time that is left, so a slow listener in one can't use up all of it.
        """
        stop_at = self.clock() + min(limit_seconds, seconds_left() - PUT_BACK_SECONDS)
        done: set[str] = set()
        are_all_notified = True
        while self.clock() < stop_at:
            listing = self.store.list_connections(session.session_id)
            if not (listing.present.keys() | listing.arriving) - done:
                return are_all_notified
            # The index lags behind: a join that it shows as under way can be complete by now.
            arriving = listing.arriving - done
            arriving -= self.store.delete_arriving_connections(session.session_id, arriving)
            present = sorted((listing.present.keys() | arriving) - done)
            starts = range(0, len(present), TRANSACTION_ITEMS)
            for start in starts:
                remaining_seconds = stop_at - self.clock()
                if remaining_seconds <= 0 or not _has_time_to_dismiss():
                    return False
                some = present[start : start + TRANSACTION_ITEMS]
                batches_left = len(starts) - start // TRANSACTION_ITEMS
                are_all_notified &= self._dismiss(session, some, remaining_seconds / batches_left)
            done |= listing.present.keys() | listing.arriving
        return False

    def _dismiss(
        self, session: Session, connection_ids: Collection[str], limit_seconds: float
    ) -> bool:
        """Remove some listeners' records, and notify them. Returns whether all were notified.

        The connection that was the session's speaker is not: it hears of the end as the speaker,
        even if it has become a listener since.
        """
        stop_at = self.clock() + limit_seconds
        taken = self.store.take_connections(session.session_id, connection_ids)
        taken.discard(session.speaker_connection_id)
        told = self._fan_out(
            session.session_id,
            taken,
            self._end_notice(session),
            min(max(stop_at - self.clock(), 0), FAN_OUT_SECONDS),
        )
        self.store.put_back_listeners(session.session_id, told.unreached)
        return not told.unreached

    def _end_notice(self, session: Session) -> str:
        assert session.end_reason is not None
        return self._encode(protocol.session_ended(session.session_id, session.end_reason))

    def _fan_out(
        self,
        session_id: str,
        connection_ids: Collection[str],
        text: str,
        limit_seconds: float,
    ) -> FanOut:
        told = self.connections.fan_out(connection_ids, text, limit_seconds)
        gone = len(told.gone)
        telemetry.put_metrics(
            FanoutRecipients=told.reached + gone + told.failed,
            FanoutGone=gone,
            FanoutFailed=told.failed,
            FanoutDuration=told.duration_ms,
        )
        telemetry.log_done(
            "fan-out done",
            sessionId=session_id,
            reached=told.reached,
            gone=gone,
            failed=told.failed,
            durationMs=round(told.duration_ms, 1),
        )
        return told

    def _encode(self, message: protocol.Message) -> str:
        return protocol.encode(message, int(self.clock() * 1000))
