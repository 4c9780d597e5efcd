"""The commands of speakers, except heartbeats and refreshes."""

from collections.abc import Callable
from typing import Final

from chalicelib import messages
from chalicelib.commands import (
    CreateSession,
    EndSession,
    GetSessionStatus,
    PauseSession,
    ResumeSession,
    RotateInviteCode,
)
from chalicelib.ending import Ending
from chalicelib.errors import Conflict, Forbidden, InternalError, NoSession, Unauthorized
from chalicelib.limits import Limits
from chalicelib.membership import MUST_SIGN_IN, NOT_YOURS, Membership, follow
from chalicelib.messages import Message, Reply
from chalicelib.models import Caller, EndReason, Role, Session, SessionStatus
from chalicelib.notices import Notices
from chalicelib.pipeline import EventType, Pipeline
from chalicelib.rate_limits import RateLimits
from chalicelib.store.stores import Stores

ID_ATTEMPTS: Final = 5
"""IDs to try for a new session. Only a few of 26 million IDs are in use at once."""


class Sessions:
    """Carries out the commands of speakers.

    Every method may raise ServiceUnavailable. All except `create` raise Unauthorized without a
    token, Forbidden for another role or session, and NoSession if the caller isn't a participant.
    """

    def __init__(
        self,
        stores: Stores,
        membership: Membership,
        notices: Notices,
        ending: Ending,
        pipeline: Pipeline,
        rate_limits: RateLimits,
        limits: Limits,
        clock: Callable[[], float],
        new_session_id: Callable[[], str],
        new_invite_code: Callable[[], str],
    ) -> None:
        self._sessions = stores.sessions
        self._membership = membership
        self._notices = notices
        self._ending = ending
        self._pipeline = pipeline
        self._rate_limits = rate_limits
        self._limits = limits
        self._clock = clock
        self._new_session_id = new_session_id
        self._new_invite_code = new_invite_code

    def create(self, caller: Caller, command: CreateSession) -> Reply:
        """Create a session whose speaker is the caller.

        Raises:
            Unauthorized: The caller has no token.
            Forbidden: The caller is a listener.
            Conflict: The connection is a participant already.
            RateLimitExceeded: The user has created too many sessions.
        """
        if caller.user_id is None:
            if self._membership.find(caller):
                raise Forbidden(NOT_YOURS)
            raise Unauthorized(MUST_SIGN_IN)
        self._rate_limits.count_session(caller.user_id)
        session = self._create(caller, caller.user_id, command)
        self._pipeline.notify(
            "sessionStarted", session.session_id, sourceLanguage=session.source_language
        )
        limits = self._limits
        return Reply(
            messages.session_created(
                session, limits.max_listeners, limits.heartbeat_interval_seconds
            )
        )

    def _create(self, caller: Caller, user_id: str, command: CreateSession) -> Session:
        for _ in range(ID_ATTEMPTS):
            session = Session(
                session_id=self._new_session_id(),
                speaker_user_id=user_id,
                speaker_connection_id=caller.connection_id,
                source_language=command.source_language,
                quality_tier=command.quality_tier,
                invite_code=self._new_invite_code(),
                created_at_ms=int(self._clock() * 1000),
                expires_at_seconds=self._limits.session_end_seconds(self._clock()),
                admission=command.admission,
            )
            speaker = self._membership.new_participant(caller, session.session_id, Role.SPEAKER)
            placement = self._sessions.create(session, speaker)
            if placement.is_done:
                follow(speaker)
                return session
            if placement.existing and not self._membership.remove_leftover(placement.existing):
                raise Conflict
        raise InternalError("No free session ID was found.")

    def get_status(self, caller: Caller, command: GetSessionStatus) -> Reply:
        """Return the status of the caller's session."""
        speaker = self._membership.get_own(caller, Role.SPEAKER, command.session_id)
        session = self._sessions.find_open(speaker.session_id)
        if session is None or session.speaker_connection_id != caller.connection_id:
            raise NoSession
        self._membership.reset_refused_commands(speaker)
        return Reply(messages.session_status(session))

    def pause(self, caller: Caller, command: PauseSession) -> Reply:
        """Pause the caller's session, and notify the listeners unless it is paused already."""
        notice = messages.session_paused
        return self._set_status(
            caller, command.session_id, SessionStatus.PAUSED, notice, "sessionPaused"
        )

    def resume(self, caller: Caller, command: ResumeSession) -> Reply:
        """Resume the caller's session, and notify the listeners unless it is active already."""
        notice = messages.session_resumed
        return self._set_status(
            caller, command.session_id, SessionStatus.ACTIVE, notice, "sessionResumed"
        )

    def _set_status(
        self,
        caller: Caller,
        session_id: str | None,
        status: SessionStatus,
        notice: Callable[[str], Message],
        event_type: EventType,
    ) -> Reply:
        speaker = self._membership.get_own(caller, Role.SPEAKER, session_id)
        at_seconds = self._clock()
        change = self._sessions.set_status(speaker.session_id, caller.connection_id, status)
        if change is None:
            raise NoSession
        self._membership.reset_refused_commands(speaker)
        message = notice(speaker.session_id)
        if change.has_changed:
            with self._pipeline.notifying(event_type, speaker.session_id, at_seconds=at_seconds):
                self._notices.wait_for_captions(change.before)
                self._notices.notify_listeners(speaker.session_id, message, at_seconds)
        return Reply(message)

    def rotate_invite_code(self, caller: Caller, command: RotateInviteCode) -> Reply:
        """Replace the invite code of the caller's session. The old code then admits no one."""
        speaker = self._membership.get_own(caller, Role.SPEAKER, command.session_id)
        session = self._sessions.set_invite_code(
            speaker.session_id, caller.connection_id, self._new_invite_code()
        )
        if session is None:
            raise NoSession
        self._membership.reset_refused_commands(speaker)
        return Reply(messages.invite_code_rotated(session.session_id, session.invite_code))

    def end(self, caller: Caller, command: EndSession) -> Reply:
        """End the caller's session, and notify the listeners."""
        speaker = self._membership.get_own(caller, Role.SPEAKER, command.session_id)
        if not self._ending.end_by_speaker(speaker.session_id, caller.connection_id):
            raise NoSession
        return Reply(messages.session_ended(speaker.session_id, EndReason.SPEAKER_ENDED))
