"""The events of listeners and speakers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
class CaptionReceived(Event):
    """A caption has arrived. Only for listeners.

    Attributes:
        caption: The message's fields.
    """

    caption: Mapping[str, Any]
