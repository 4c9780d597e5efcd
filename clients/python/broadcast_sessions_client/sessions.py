"""What the calls return."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """What waits in a queue or a buffer.

    Attributes:
        length: The number of commands or events that wait.
        dropped: The number that found no room.
    """

    length: int
    dropped: int


@dataclass(frozen=True)
class Membership:
    """What a listener has joined.

    Attributes:
        id: The session's ID, such as `golden-eagle-427`.
        language: The code of the language that the listener hears.
        source_language: The code of the language that the speaker speaks.
        status: `active`, `paused` or `interrupted`.
    """

    id: str
    language: str
    source_language: str
    status: str


@dataclass(frozen=True)
class Session:
    """A session that a speaker has created.

    Attributes:
        id: The session's ID, such as `golden-eagle-427`.
        invite_code: The code that belongs into the link and the QR code.
        source_language: The code of the language that the speaker speaks.
        quality_tier: `standard` or `premium`.
        admission: `open` or `invited`.
        max_listeners: The number of seats.
        expires_at: When the session ends without its speaker, as Unix time in milliseconds.
    """

    id: str
    invite_code: str
    source_language: str
    quality_tier: str
    admission: str
    max_listeners: int
    expires_at: int


@dataclass(frozen=True)
class OwnedSession:
    """A session that a speaker has come back to.

    Attributes:
        id: The session's ID, such as `golden-eagle-427`.
        invite_code: The code that belongs into the link and the QR code.
        status: `active` or `paused`.
    """

    id: str
    invite_code: str
    status: str


@dataclass(frozen=True)
class SessionStatus:
    """A session as its speaker sees it.

    Attributes:
        listener_count: The number of listeners.
        languages: The number of listeners by language.
        status: `active`, `paused` or `interrupted`.
        created_at: Unix time in milliseconds.
        expires_at: When the session ends without its speaker, as Unix time in milliseconds.
    """

    listener_count: int
    languages: Mapping[str, int]
    status: str
    created_at: int
    expires_at: int


@dataclass(frozen=True)
class CaptionAccepted:
    """A caption that the service has accepted.

    Attributes:
        caption_id: The caption's ID, yours or the speaker's own.
        seq: The caption's number in the source language.
    """

    caption_id: str
    seq: int
