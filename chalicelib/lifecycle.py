"""How places and sessions end: leaves, interruptions, ends, and who is told of them.

Shared by what clients ask for (sessions) and by what nobody asks for (sweep). All of it may be
called twice, late, or by two at a time: a conditional write picks the one who goes on.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from chalicelib import protocol, telemetry
from chalicelib.gateway import FanOut, Gateway, Gone, PostFailed
from chalicelib.models import EndReason, Role, Session, SessionStatus
from chalicelib.store import TRANSACTION_ITEMS, Store

END_SECONDS: Final = 20
"""How long an end may go on telling people, before the rest is left to the sweep."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    store: Store
    gateway: Gateway
    speaker_grace_seconds: float
    clock: Callable[[], float]

    def leave(self, connection_id: str, *, cleanly: bool) -> None:
        """Take in that a connection has closed. Idempotent; nothing happens if it was replaced.

        `cleanly` is whether the client closed it of its own will (code 1000).
        """
        connection = self.store.close_connection(connection_id)
        if connection is None:
            return
        telemetry.follow(connection.session_id, connection.correlation)
        if connection.superseded_by is not None:
            return
        if connection.role is Role.LISTENER:
            if connection.is_present:
                self.store.count_out(connection.session_id)
        elif cleanly:
            # Also where a sweep has missed him before this came: he has not dropped, he has gone.
            self.end_by_speaker(connection.session_id, connection_id)
        elif connection.is_present:
            self.interrupt(connection.session_id, connection_id)

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
        self.leave(connection_id, cleanly=False)

    def miss_speaker(self, session: Session) -> None:
        """Take in that a session's current speaker is not there, and no event has said so.

        A refresh that broke off has not replaced the previous connection: if that is still there
        the session is his. Else do what $disconnect should have done, or did not come to do.
        """
        previous_id = session.previous_speaker_connection_id
        previous = previous_id and self.store.find_connection(previous_id)
        if previous and self.gateway.is_open(previous.connection_id):
            self.store.give_back_to_previous_speaker(session)
            return
        speaker = self.store.find_connection(session.speaker_connection_id)
        if speaker is not None and speaker.session_id == session.session_id:
            # Else a creation broke off, and what that connection has by now is another session's.
            self.leave(speaker.connection_id, cleanly=False)
        self.interrupt(session.session_id, session.speaker_connection_id)

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
            self.store.count_out(session_id, len(closed))
        return len(closed)

    def interrupt(self, session_id: str, speaker_connection_id: str) -> bool:
        """Begin the grace if that connection is the session's current speaker; False if not.

        Should he have come back while the listeners were being told, they are told so once more:
        the two notices may have overtaken each other.
        """
        grace_ends_at_ms = int((self.clock() + self.speaker_grace_seconds) * 1000)
        if not self.store.interrupt_session(session_id, speaker_connection_id, grace_ends_at_ms):
            return False
        notice = protocol.session_interrupted(session_id, self.speaker_grace_seconds)
        self.tell_listeners(session_id, notice)
        session = self.store.find_session(session_id)
        if session is not None and session.grace_ends_at_ms is None:
            self.tell_how_it_goes_on(session)
        return True

    def tell_how_it_goes_on(self, session: Session) -> None:
        """Tell the listeners that an interruption is over: a paused session is paused again."""
        is_paused = session.status is SessionStatus.PAUSED
        notice = protocol.session_paused if is_paused else protocol.session_resumed
        self.tell_listeners(session.session_id, notice(session.session_id))
        self.store.note_return_told(session.session_id)

    def tell_listeners(self, session_id: str, notice: protocol.Message) -> FanOut:
        """Post a notice to a session's listeners. A connection that is gone is a leave."""
        listener_ids = self.store.list_listener_ids(session_id)
        told = self._fan_out(session_id, listener_ids, self._encode(notice))
        self.remove_gone(session_id, told.gone)
        return told

    def end_by_speaker(self, session_id: str, speaker_connection_id: str) -> bool:
        """End the session of that current speaker. He is not told: he knows.

        False if it is not his, or over.
        """
        return self._end(session_id, EndReason.SPEAKER_ENDED, speaker_connection_id)

    def end_in_time(self, session_id: str, reason: EndReason) -> bool:
        """End a session that has expired, or whose speaker is lost, if it still is so."""
        return self._end(session_id, reason)

    def _end(
        self, session_id: str, reason: EndReason, speaker_connection_id: str | None = None
    ) -> bool:
        session = self.store.claim_end(session_id, reason, speaker_connection_id)
        if session is None:
            return False
        telemetry.put_metrics(reason, SessionsEnded=1)
        telemetry.log_done("session ended", sessionId=session_id, reason=reason)
        self.finish_end(session)
        return True

    def finish_end(self, session: Session) -> bool:
        """Remove an ended session's records, and tell everyone whose record it was.

        May be repeated and done by two at a time. A record goes before its owner is told, and only
        one caller gets it, so that nobody is told twice. False if the time was too short.
        """
        self._dismiss_speaker(session)
        return self._dismiss_listeners(session)

    def _dismiss_speaker(self, session: Session) -> None:
        """Remove the speaker's record, and tell him, unless it was he who ended the session."""
        speaker = self.store.delete_connection(session.speaker_connection_id, session.session_id)
        knows = session.end_reason is EndReason.SPEAKER_ENDED
        if knows or speaker is None or not speaker.is_present:
            return
        with suppress(Gone, PostFailed):
            self.gateway.post(speaker.connection_id, self._end_notice(session))

    def _dismiss_listeners(self, session: Session) -> bool:
        """Read the list until it shows nobody new: who has just come may be missing in it."""
        stop_at = self.clock() + END_SECONDS
        notice = self._end_notice(session)
        done: set[str] = set()
        while self.clock() < stop_at:
            listing = self.store.list_connections(session.session_id)
            present, gone = sorted(listing.present - done), listing.gone - done
            if not present and not gone:
                return True
            for start in range(0, len(present), TRANSACTION_ITEMS):
                some = present[start : start + TRANSACTION_ITEMS]
                taken = self.store.take_connections(session.session_id, some)
                self._fan_out(session.session_id, taken, notice)
                gone |= set(some) - taken
            self.store.delete_connections(session.session_id, gone)
            done |= listing.present | gone
        return False

    def _end_notice(self, session: Session) -> str:
        assert session.end_reason is not None
        return self._encode(protocol.session_ended(session.session_id, session.end_reason))

    def _fan_out(self, session_id: str, connection_ids: Collection[str], text: str) -> FanOut:
        told = self.gateway.fan_out(connection_ids, text)
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
