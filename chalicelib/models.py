"""Sessions, connections, their states and legal changes. Pure: no I/O, no clock, no wire names."""

from dataclasses import dataclass
from enum import StrEnum
from hmac import compare_digest

from chalicelib.errors import Forbidden, ServiceError, SessionFull, SessionNotFound


class Role(StrEnum):
    SPEAKER = "speaker"
    LISTENER = "listener"


class QualityTier(StrEnum):
    STANDARD = "standard"
    PREMIUM = "premium"


class SessionStatus(StrEnum):
    """`ENDED` is never shown to a client: it marks a session whose records are being removed."""

    ACTIVE = "active"
    ENDED = "ended"


class EndReason(StrEnum):
    SPEAKER_ENDED = "speakerEnded"
    SPEAKER_LOST = "speakerLost"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who speaks to us: a connection, and the user who opened it with a token, if any."""

    connection_id: str
    user_id: str | None
    connected_at_ms: int


@dataclass(frozen=True, slots=True)
class Session:
    """One broadcast. Points in time are Unix times, in the unit that their name ends in."""

    session_id: str
    speaker_user_id: str
    speaker_connection_id: str
    source_language: str
    quality_tier: QualityTier
    invite_code: str
    created_at_ms: int
    expires_at_seconds: int
    status: SessionStatus = SessionStatus.ACTIVE
    listener_count: int = 0

    def is_open(self, now_seconds: float) -> bool:
        return self.status is not SessionStatus.ENDED and self.expires_at_seconds > now_seconds


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection's place in a session; a connection without one has no record."""

    connection_id: str
    session_id: str
    role: Role
    expires_at_seconds: int
    target_language: str | None = None


def refusal_to_join(
    session: Session | None, invite_code: str | None, max_listeners: int, now_seconds: float
) -> ServiceError | None:
    """Say why a listener may not come in, or None if he may.

    `session` is the record as it was when a join was decided on, None if there was none.
    """
    if session is None or not session.is_open(now_seconds):
        return SessionNotFound("There is no such session.", field="sessionId")
    if invite_code is not None and not compare_digest(
        invite_code.encode(), session.invite_code.encode()
    ):
        return Forbidden("The invite code is not valid for this session.", field="inviteCode")
    if session.listener_count >= max_listeners:
        return SessionFull("The session is full.")
    return None
