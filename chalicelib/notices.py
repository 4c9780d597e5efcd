"""Delivery of notices to the listeners of a session. `messages.py` has their fields."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Final

from chalicelib import messages, telemetry
from chalicelib.audience import Audience
from chalicelib.aws.connections import Connections, FanOut
from chalicelib.messages import Message
from chalicelib.models import Participant, Session, SessionStatus
from chalicelib.pipeline import Pipeline
from chalicelib.store.stores import Stores

NOTICE_SECONDS: Final = 2
"""The time limit of a notice, for which the speaker often waits. A listener that misses a notice
learns the status from the next one, or from a join or refresh. Posts to 500 listeners take a
fraction of this time; see aws.connections.AT_ONCE.
"""


class Notices:
    """Posts notices. Every method may raise ServiceUnavailable."""

    def __init__(
        self,
        stores: Stores,
        connections: Connections,
        audience: Audience,
        pipeline: Pipeline,
        clock: Callable[[], float],
    ) -> None:
        self._sessions = stores.sessions
        self._audience = audience
        self._pipeline = pipeline
        self._participants = stores.participants
        self._listeners = stores.listeners
        self._connections = connections
        self._clock = clock

    def notify_listeners(self, session_id: str, notice: Message, at_seconds: float) -> FanOut:
        """Post a notice to a session's listeners, and remove those whose connections are gone.

        Args:
            session_id: The session's ID.
            notice: The notice.
            at_seconds: The time before the write or read that determined the status in the notice.
                Clients ignore a notice that is older than the last one, so a slow function can't
                overwrite a later status.
        """
        listener_ids = self._listeners.list_ids(session_id)
        text = messages.encode(notice, int(at_seconds * 1000))
        result = self.fan_out(session_id, listener_ids, text, NOTICE_SECONDS)
        self.remove_gone(session_id, result.gone)
        return result

    def announce_return(self, session: Session, at_seconds: float) -> None:
        """Notify the pipeline and a session's listeners that an interruption is over.

        The notice says whether the session is paused, as before, or active.

        Args:
            session: The session.
            at_seconds: The time before the session was read or written.
        """
        is_paused = session.status is SessionStatus.PAUSED
        notice = messages.session_paused if is_paused else messages.session_resumed
        self._pipeline.tell(
            "sessionPaused" if is_paused else "sessionResumed",
            session.session_id,
            at_seconds=at_seconds,
        )
        self.notify_listeners(session.session_id, notice(session.session_id), at_seconds)
        self._sessions.note_return_announced(session.session_id)

    def remove_gone(self, session_id: str, connection_ids: Collection[str]) -> int:
        """Remove listeners whose connections no longer exist, and return how many there were.

        A listener that joined a moment ago stays, because its connection may not be open yet.
        """
        removed = [
            listener
            for each in connection_ids
            if (listener := self._participants.mark_left(each, if_past_joining=True))
            and listener.is_present
        ]
        if removed:
            self.release_seats(session_id, removed)
        return len(removed)

    def release_seats(self, session_id: str, removed: Iterable[Participant]) -> None:
        """Release the seats of listeners that this event has removed."""
        self._audience.release(session_id, Counter(each.target_language or "" for each in removed))

    def fan_out(
        self, session_id: str, connection_ids: Collection[str], text: str, limit_seconds: float
    ) -> FanOut:
        """Post a text to connections side by side, and log and measure the result."""
        result = self._connections.fan_out(connection_ids, text, limit_seconds)
        gone = len(result.gone)
        telemetry.put_metrics(
            FanoutRecipients=result.reached + gone + result.failed,
            FanoutGone=gone,
            FanoutFailed=result.failed,
            FanoutDuration=result.duration_ms,
        )
        telemetry.log_done(
            "fan-out done",
            sessionId=session_id,
            reached=result.reached,
            gone=gone,
            failed=result.failed,
            durationMs=round(result.duration_ms, 1),
        )
        return result

    def post(self, connection_id: str, text: str) -> None:
        """Post an encoded notice to one connection; see Connections.post for the errors."""
        self._connections.post(connection_id, text)

    def encode(self, message: Message) -> str:
        """Encode a message with the current time."""
        return messages.encode(message, int(self._clock() * 1000))
