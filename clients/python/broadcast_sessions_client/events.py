"""The events of listeners and speakers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from broadcast_sessions_client.errors import SessionError

State = Literal[
    "idle",
    "connecting",
    "joined",
    "live",
    "paused",
    "interrupted",
    "refreshing",
    "reconnecting",
    "ended",
    "failed",
]


@dataclass(frozen=True)
class Event:
    """Something that the application may want to show."""


@dataclass(frozen=True)
class StateChanged(Event):
    """The client's state, its reason or its wait has changed.

    Attributes:
        state: `connecting`, `joined` or `live`, `paused`, `interrupted`, `refreshing`,
            `reconnecting`, `ended`, `failed`, or `idle` after a `create()` that failed.
        reason: Why, for example `connectionLost` or `SESSION_FULL`.
        retry_in_seconds: The time until the next attempt, 0 while it runs, or None without one.
    """

    state: State
    reason: str | None = None
    retry_in_seconds: float | None = None


@dataclass(frozen=True)
class SessionEnded(StateChanged):
    """The session is over, or the application closed the client. The last event."""


@dataclass(frozen=True)
class Failed(StateChanged):
    """The service refused the client for good. The last event.

    Attributes:
        error: The refusal.
    """

    error: SessionError | None = None


@dataclass(frozen=True)
class AudienceChanged(Event):
    """Listeners came, left or changed their language. Only for speakers.

    Attributes:
        listener_count: The number of listeners.
        languages: The number of listeners by language.
    """

    listener_count: int
    languages: Mapping[str, int]


@dataclass(frozen=True)
class Audio:
    """The speech of a caption: a URL, or data with its content type.

    Attributes:
        url: Where the audio is.
        data: The audio itself.
        content_type: The type of the data, such as `audio/mpeg`.
    """

    url: str | None = None
    data: bytes | None = field(default=None, repr=False)
    content_type: str | None = None


@dataclass(frozen=True)
class Caption(Event):
    """A finished phrase in the listener's language. Only for listeners.

    Attributes:
        session_id: The session's ID.
        language: The code of the language of the text.
        seq: The caption's number in this language. It grows from caption to caption.
        caption_id: The publisher's ID of the phrase, the same in every language.
        text: The phrase.
        started_at: When the speaker began the phrase, as Unix time in milliseconds.
        duration_ms: How long the speaker spoke, or None if it isn't known.
        audio: The phrase as speech, if there is any.
    """

    session_id: str
    language: str
    seq: int
    caption_id: str
    text: str
    started_at: int
    duration_ms: int | None = None
    audio: Audio | None = None


@dataclass(frozen=True)
class Gap(Event):
    """Captions that the listener has missed for good. Only for listeners.

    Attributes:
        language: The code of their language.
        after_seq: The number before the first of them.
        count: How many they are.
    """

    language: str
    after_seq: int
    count: int
