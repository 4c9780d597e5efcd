"""Delivery of notices to the listeners of a session. `messages.py` has their fields."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Final

from chalicelib import messages, telemetry
from chalicelib.audience import Audience
from chalicelib.aws.connections import Connections, FanOut, sum_up
from chalicelib.messages import Message
from chalicelib.models import Participant, Session, SessionStatus
from chalicelib.pipeline import EventType, Pipeline
from chalicelib.slices import SLICE_RECEIVERS, Sending, Slice, Slices
from chalicelib.store.stores import Stores

NOTICE_SECONDS: Final = 2
"""The time limit of a notice, for which the speaker often waits. A listener that misses a notice
learns the status from the next one, or from a join or refresh. Posts to 500 listeners take a
fraction of this time; see aws.connections.AT_ONCE.
"""

MAX_POSTS_SECONDS: Final = 2.0
"""The longest time for the posts of a caption, and so the longest wait of a pause or an end."""


class Notices:
    """Posts notices. Every method may raise ServiceUnavailable."""

    def __init__(
        self,
        stores: Stores,
        connections: Connections,
        audience: Audience,
        pipeline: Pipeline,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        slices: Slices | None = None,
    ) -> None:
        """Create notices.

        Args:
            stores: The stores.
            connections: The API's @connections.
            audience: Releases the seats of listeners that are gone.
            pipeline: Notifies the pipeline of a speaker's return.
            clock: Returns the Unix time in seconds.
            sleep: Waits for a number of seconds.
            slices: Requests the slices of large fan-outs. Without it, this process makes all posts.
        """
        self._sessions = stores.sessions
        self._audience = audience
        self._pipeline = pipeline
        self._participants = stores.participants
        self._listeners = stores.listeners
        self._event_claims = stores.event_claims
        self._connections = connections
        self._clock = clock
        self._sleep = sleep
        self._slices = slices

    def wait_for_captions(self, session: Session) -> None:
        """Wait until the posts of a session's last caption are over, so that none comes later."""
        left_seconds = seconds_for_captions(session, self._clock())
        if left_seconds > 0:
            with telemetry.waiting():
                self._sleep(left_seconds)

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
        event_type: EventType = "sessionPaused" if is_paused else "sessionResumed"
        with self._pipeline.notifying(event_type, session.session_id, at_seconds=at_seconds):
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
        """Post a text to connections side by side, and log and measure the result.

        More than SLICE_RECEIVERS connections are split. This event posts the first slice, while
        other invocations post the rest, until the same time. If Lambda refuses a slice, this event
        posts it afterwards.

        Returns:
            The result of the posts of this event. Each slice logs and measures its own result, and
            removes its listeners whose connections are gone.
        """
        until = self._clock() + limit_seconds
        own, sending = self.split(session_id, connection_ids, text, until)
        results = [self._post_all(session_id, own, text, until)]
        refused = sending.find_refused()
        results += [self._post_once(each, until) for each in refused if self._clock() < until]
        return sum_up(results)

    def split(
        self,
        session_id: str,
        connection_ids: Collection[str],
        text: str,
        until: float,
        *,
        is_end: bool = False,
    ) -> tuple[Collection[str], Sending]:
        """Request all slices of a fan-out but the first, whose receivers are left for this event.

        Args:
            session_id: The session's ID.
            connection_ids: The receivers.
            text: The text to post.
            until: When the posts stop.
            is_end: Whether the slices remove listeners of an ended session.

        Returns:
            The receivers of the first slice, and the requests of the others.
        """
        if self._slices is None or len(connection_ids) <= SLICE_RECEIVERS:
            return connection_ids, Sending([])
        first, *rest = self._slices.cut(session_id, connection_ids, text, until, is_end=is_end)
        return first.connection_ids, self._slices.send(rest)

    def post_slice(self, part: Slice) -> None:
        """Post a slice once, even if Lambda delivers it twice, and remove its gone listeners.

        After the end of the session, it posts only while the end waits for captions, so no receiver
        gets it after `sessionEnded`.
        """
        session = self._sessions.find(part.session_id)
        if session is None:
            return
        until = part.posts_until_ms / 1000
        if session.ended_at_ms is not None:
            ended_at = session.ended_at_ms / 1000
            until = min(until, ended_at + seconds_for_captions(session, ended_at))
        self.remove_gone(part.session_id, self._post_once(part, until).gone)

    def _post_once(self, part: Slice, until: float) -> FanOut:
        """Claim a slice and post it, or nothing if it was claimed before."""
        if not self._event_claims.claim(part.event_id):
            return sum_up([])
        return self._post_all(part.session_id, part.connection_ids, part.text, until)

    def _post_all(
        self, session_id: str, connection_ids: Collection[str], text: str, until: float
    ) -> FanOut:
        limit_seconds = max(until - self._clock(), 0)
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


def seconds_for_captions(session: Session, now_seconds: float) -> float:
    """Return how long a session's last caption may still be posted; 0 or less if it may not."""
    return min(session.captions_until_ms / 1000 - now_seconds, MAX_POSTS_SECONDS)
