"""A client of broadcast sessions: listeners and speakers for asyncio."""

from broadcast_sessions_client.errors import SessionError
from broadcast_sessions_client.events import (
    AudienceChanged,
    CaptionReceived,
    Event,
    Failed,
    SessionEnded,
    StateChanged,
)
from broadcast_sessions_client.languages import LANGUAGES, Language, find_language
from broadcast_sessions_client.links import Invitation, invite_link, read_invite_link
from broadcast_sessions_client.listener import Listener
from broadcast_sessions_client.sessions import Membership, OwnedSession, Session, SessionStatus
from broadcast_sessions_client.speaker import Speaker

__all__ = [
    "LANGUAGES",
    "AudienceChanged",
    "CaptionReceived",
    "Event",
    "Failed",
    "Invitation",
    "Language",
    "Listener",
    "Membership",
    "OwnedSession",
    "Session",
    "SessionEnded",
    "SessionError",
    "SessionStatus",
    "Speaker",
    "StateChanged",
    "find_language",
    "invite_link",
    "read_invite_link",
]
