"""Departures of participants, and the grace period that a speaker has to return."""

from collections.abc import Callable, Collection, Iterable
from typing import Final

from chalicelib import messages, telemetry
from chalicelib.aws.connections import Connections
from chalicelib.aws.retries import seconds_left
from chalicelib.ending import Ending
from chalicelib.limits import Graces
from chalicelib.models import EndReason, Participant, Role, Session
from chalicelib.notices import Notices
from chalicelib.pipeline import Pipeline
from chalicelib.store.stores import Stores

CLEAN_CLOSES: Final = frozenset({1000, 1005})
"""Close codes of a client that leaves. A browser's `close()` without a code arrives as 1005.
Source: RFC 6455, section 7.4.1; "The WebSocket interface", WHATWG.
"""

LONGEST_GRACE_TO_WAIT_SECONDS: Final = 10
"""The longest grace for which a function waits. Lambda stops the function after 29 s."""

LONGEST_NAP_SECONDS: Final = 0.25
"""Longest time between two readings of the clock, which can run faster on a developer's machine."""


def sleep_until(
    at_seconds: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> None:
    """Sleep until a clock shows a time."""
    while (remaining_seconds := at_seconds - clock()) > 0:
        sleep(min(remaining_seconds, LONGEST_NAP_SECONDS))


class Lifecycle:
    """Handles participants that leave or are lost. Every method may raise ServiceUnavailable.

    All methods may be called twice, late, or by two events at once. A conditional write decides
    which of them acts.
    """

    def __init__(
        self,
        stores: Stores,
        notices: Notices,
        ending: Ending,
        connections: Connections,
        pipeline: Pipeline,
        graces: Graces,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._sessions = stores.sessions
        self._participants = stores.participants
        self._notices = notices
        self._ending = ending
        self._connections = connections
        self._pipeline = pipeline
        self._graces = graces
        self._clock = clock
        self._sleep = sleep

    def leave(self, connection_id: str, close_code: int | None = None) -> None:
        """Handle a closed connection. Nothing happens if it was superseded.

        Args:
            connection_id: The connection's ID.
            close_code: The WebSocket close code, if API Gateway reports one.
        """
        participant = self._participants.mark_left(connection_id)
        if participant is None:
            return
        telemetry.follow(participant.session_id, participant.correlation)
        if participant.superseded_by is not None:
            return
        if participant.role is Role.LISTENER:
            if participant.is_present:
                self._notices.release_seats(participant.session_id, [participant])
        elif participant.was_removed_as_lost:
            # The sweep has interrupted the session. Its own close of the connection comes as 1000.
            return
        elif close_code in CLEAN_CLOSES and not participant.is_closed_by_service:
            # This shortens a grace that began when a post found the connection gone.
            self._end_unless_speaker_returns(participant.session_id, connection_id)
        elif participant.is_present:
            self.interrupt(participant.session_id, connection_id)

    def _end_unless_speaker_returns(self, session_id: str, speaker_connection_id: str) -> None:
        """Interrupt a session whose speaker has closed its connection, and end it after the grace.

        If the grace is long, or the event has too little time left, the sweep ends the session.
        """
        grace_ends_at_ms = self.interrupt(
            session_id,
            speaker_connection_id,
            self._graces.closed_seconds,
            EndReason.SPEAKER_ENDED,
        )
        if grace_ends_at_ms is None:
            return
        is_short = self._graces.closed_seconds <= LONGEST_GRACE_TO_WAIT_SECONDS
        if is_short and grace_ends_at_ms / 1000 - self._clock() < seconds_left():
            with telemetry.waiting():
                sleep_until(grace_ends_at_ms / 1000, self._clock, self._sleep)
            self._ending.end_after_grace(session_id, grace_ends_at_ms)

    def interrupt(
        self,
        session_id: str,
        speaker_connection_id: str,
        grace_seconds: float | None = None,
        reason: EndReason = EndReason.SPEAKER_LOST,
    ) -> int | None:
        """Begin the grace of a session whose speaker is that connection.

        The pipeline and the listeners are notified.

        If the speaker returns before all listeners are notified, they are notified of its return
        once more, because the two notices may arrive in either order.

        Args:
            session_id: The session's ID.
            speaker_connection_id: The connection that is lost or closed.
            grace_seconds: How long the session waits for the speaker; by default, the grace of a
                lost speaker.
            reason: The reason if the session ends with the grace.

        Returns:
            When the grace ends, in Unix milliseconds; None if this call has not started it.
        """
        seconds = self._graces.lost_seconds if grace_seconds is None else grace_seconds
        at_seconds = self._clock()
        ends_at_ms = int((at_seconds + seconds) * 1000)
        if not self._sessions.interrupt(session_id, speaker_connection_id, ends_at_ms, reason):
            return None
        notice = messages.session_interrupted(session_id, seconds)
        with self._pipeline.notifying("sessionInterrupted", session_id, at_seconds=at_seconds):
            self._notices.notify_listeners(session_id, notice, at_seconds)
        at_seconds = self._clock()
        session = self._sessions.find_open(session_id)
        if session is not None and session.grace_ends_at_ms is None:
            self._notices.announce_return(session, at_seconds)
        return ends_at_ms

    def close_refused(self, connection_id: str) -> None:
        """Close a connection whose commands keep being refused.

        The participant is marked first, because API Gateway reports this close as 1000, as if the
        client had closed the connection. The mark gives a speaker the long grace.
        """
        self._participants.note_service_close(connection_id)
        self._connections.close([connection_id])

    def handle_never_opened(self, connection_id: str) -> None:
        """Handle a participant whose connection never opened.

        If it is a speaker that had taken over, its previous connection becomes the speaker again,
        because that connection was not notified.
        """
        participant = self._participants.find_present(connection_id)
        if participant is not None and participant.role is Role.SPEAKER:
            session = self._sessions.find_open(participant.session_id)
            if session is not None and session.speaker_connection_id == connection_id:
                self._restore_previous_speaker(session)
        self.leave(connection_id)

    def _restore_previous_speaker(self, session: Session) -> None:
        """Make the speaker's previous connection the speaker again.

        The participant is restored first. After a crash between the two writes, the sweep finds a
        previous speaker that is not superseded, and restores it.
        """
        previous_id = session.previous_speaker_connection_id
        current_id = session.speaker_connection_id
        if previous_id is None:
            return
        previous = self._participants.find(previous_id)
        if previous is not None:
            self._participants.restore_superseded(previous, current_id)
        if not self._sessions.restore_speaker(session.session_id, previous_id, current_id):
            self._participants.supersede_speaker(session.session_id, previous_id, current_id)

    def handle_lost_speaker(self, session: Session, speaker: Participant | None) -> None:
        """Interrupt a session whose speaker is lost, or is gone without a `$disconnect`.

        An incomplete refresh has not superseded the previous connection. If that connection is not
        lost, it becomes the speaker again, and the session isn't interrupted.

        Args:
            session: The session.
            speaker: The speaker's participant if there is one. It stays if a heartbeat comes first.
        """
        if self._has_previous_speaker(session):
            self._restore_previous_speaker(session)
            return
        if speaker is not None and not self._mark_lost([speaker]):
            return
        self.interrupt(session.session_id, session.speaker_connection_id)
        self._close([] if speaker is None else [speaker])

    def _has_previous_speaker(self, session: Session) -> bool:
        previous_id = session.previous_speaker_connection_id
        previous = None if previous_id is None else self._participants.find_present(previous_id)
        return (
            previous is not None
            and previous.session_id == session.session_id
            and not previous.is_lost(self._clock())
        )

    def remove_lost_listeners(self, session_id: str, lost: Collection[Participant]) -> int:
        """Remove a session's lost listeners, and return how many there were.

        A listener stays if its heartbeat comes first.
        """
        removed = self._mark_lost(lost)
        if removed:
            self._notices.release_seats(session_id, removed)
        self._close(removed)
        return len(removed)

    def _mark_lost(self, lost: Iterable[Participant]) -> list[Participant]:
        """Mark lost participants as left, and return those that this call has marked."""
        return [
            before
            for each in lost
            if (
                before := self._participants.mark_left(
                    each.connection_id, if_lost_at_ms=each.lost_at_ms
                )
            )
            and before.is_present
        ]

    def _close(self, lost: Collection[Participant]) -> None:
        """Close the connections of lost participants.

        API Gateway would keep them open for up to ten minutes. If a client is still there, the
        close makes it refresh.
        """
        if lost:
            self._connections.close([each.connection_id for each in lost])
