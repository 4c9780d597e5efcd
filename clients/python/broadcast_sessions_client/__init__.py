"""A client of broadcast sessions: listeners and speakers for asyncio."""

from broadcast_sessions_client.environment import Environment
from broadcast_sessions_client.errors import SessionError
from broadcast_sessions_client.events import (
    AudienceChanged,
    Audio,
    Caption,
    Event,
    Failed,
    Gap,
    SessionEnded,
    State,
    StateChanged,
)
from broadcast_sessions_client.languages import LANGUAGES, Language, find_language
from broadcast_sessions_client.links import Invitation, invite_link, read_invite_link
from broadcast_sessions_client.listener import Listener
from broadcast_sessions_client.sessions import (
    CaptionAccepted,
    Counts,
    Membership,
    OwnedSession,
    Session,
    SessionStatus,
)
from broadcast_sessions_client.speaker import Speaker
from broadcast_sessions_client.tokens import TokenCallback

__all__ = [
    "LANGUAGES",
    "AudienceChanged",
    "Audio",
    "Caption",
    "CaptionAccepted",
    "Counts",
    "Environment",
    "Event",
    "Failed",
    "Gap",
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
    "State",
    "StateChanged",
    "TokenCallback",
    "find_language",
    "invite_link",
    "read_invite_link",
]
