"""The immutable values of the domain, such as sessions and participants."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hmac import compare_digest
from typing import Final

IN_FLIGHT_SECONDS: Final = 35
"""Longer than any event runs. Older work has finished or failed.

Source: "WebSocket API quotas", Amazon API Gateway Developer Guide (integration timeout, 29 s).
"""

CONNECTION_SECONDS: Final = 2 * 3600
"""Longest life of a WebSocket connection. Source: as above (connection duration)."""

CONNECTION_RECORD_SECONDS: Final = CONNECTION_SECONDS + 600
"""Longest life of a connection's item, which is the connection's life and a margin."""

SUPERSEDED_RECORD_SECONDS: Final = 600
"""How long a superseded participant's item stays. Within this time, a client that got no answer to
its refresh can repeat it with the same old connection ID.
"""

SETTLING_SECONDS: Final = 300
"""How long a new listener sends heartbeats as often as a speaker.

Source: docs/reference/protocol.md.
"""

SOURCE: Final = "source"
"""The key of the captions in a session's source language, whichever that is.

A speaker's caption gets its number without a read of the session, which names the language.
"""


MAX_QUIET_LANGUAGES: Final = 3
"""The most languages without listeners into which captions are translated."""


class Role(StrEnum):
    """The two kinds of participants."""

    SPEAKER = "speaker"
    LISTENER = "listener"


class QualityTier(StrEnum):
    """The quality of a session's translation."""

    STANDARD = "standard"
    PREMIUM = "premium"


class Admission(StrEnum):
    """How listeners join a session: by its ID alone, or only with its invite code."""

    OPEN = "open"
    INVITED = "invited"


class SessionStatus(StrEnum):
    """The status of a session.

    Clients see `INTERRUPTED`, but it is never stored: a paused session that is interrupted stays
    paused. `ENDED` is stored, but clients never see it: it marks a session whose participants are
    being removed.
    """

    ACTIVE = "active"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    ENDED = "ended"


class EndReason(StrEnum):
    """Why a session has ended."""

    SPEAKER_ENDED = "speakerEnded"
    SPEAKER_LOST = "speakerLost"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Caller:
    """The connection that a command comes from.

    Attributes:
        connection_id: The connection's ID.
        user_id: The Cognito user that opened the connection with a token; None for an anonymous
            listener.
        connected_at_ms: When the connection opened.
        address: The public IP address, which a whole audience may share.
        is_connecting: Whether the command is part of the connect URL.
    """

    connection_id: str
    user_id: str | None
    connected_at_ms: int
    address: str
    is_connecting: bool = False


@dataclass(frozen=True, slots=True)
class CountNote:
    """The counts of a session that one sweep found wrong, for comparison by the next sweep.

    Attributes:
        changes: The session's `changes` at that time.
        drifts: How much each wrong count was too high (negative if it was too low). The key is a
            target language, or counts.TOTAL for all listeners.
        seen_at_ms: When the sweep read the counts.
    """

    changes: int
    drifts: Mapping[str, int]
    seen_at_ms: int


@dataclass(frozen=True, slots=True)
class Session:
    """One broadcast.

    Attributes:
        session_id: The ID that listeners join with, such as `golden-eagle-427`.
        speaker_user_id: The Cognito user that created the session.
        speaker_connection_id: The speaker's current connection.
        source_language: The speaker's language.
        quality_tier: The quality of the translation.
        invite_code: The code that lets listeners join past the limits of an address.
        created_at_ms: When it was created.
        expires_at_seconds: When it ends unless the speaker's heartbeats extend it.
        status: The stored status; see `shown_status`.
        listener_count: The number of seats that are taken.
        changes: A number that grows whenever a participant can have come, gone or been replaced.
            If two reads find the same number, the session was quiet in between.
        grace_ends_at_ms: When the session ends unless the speaker returns; None while the speaker
            is connected.
        end_reason: Why it has ended, or None.
        ended_at_ms: When it has ended, or None.
        previous_speaker_connection_id: The connection that the current speaker's connection
            replaced.
        speaker_connection_ids: All connections that have ever been its speaker.
        has_unannounced_return: Whether the speaker has returned and listeners may not know.
        status_token: Identifies the write that set the status.
        count_note: The counts that the last sweep found wrong, or None.
        admission: How listeners join.
        invited_window: The last window in which a listener joined with the invite code.
        invited_joins: The number of listeners that joined with the code in that window.
        language_counts: The stored number of listeners per target language. A number can be 0, or
            negative for a moment.
        caption_numbers: The number of the last caption per language; see `number_key`.
        captions_until_ms: When the posts of the last caption end, or 0.
        translated_numbers: The number of the last spoken caption whose translation was published or
            has failed, per language.
        active_tokens: For each active language, the token of the write that made it active.
        quiet_since_ms: When the last listener of an active language left, in Unix milliseconds, for
            each language without listeners.
        status_due: The token of the write that claimed the next notice of the status, or None.
        status_at_ms: When the last notice of the status was written, or 0.
    """

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
    changes: int = 0
    grace_ends_at_ms: int | None = None
    end_reason: EndReason | None = None
    ended_at_ms: int | None = None
    previous_speaker_connection_id: str | None = None
    speaker_connection_ids: frozenset[str] = frozenset()
    has_unannounced_return: bool = False
    status_token: str = ""
    count_note: CountNote | None = None
    admission: Admission = Admission.OPEN
    invited_window: int = 0
    invited_joins: int = 0
    language_counts: Mapping[str, int] = field(default_factory=dict)
    caption_numbers: Mapping[str, int] = field(default_factory=dict)
    captions_until_ms: int = 0
    translated_numbers: Mapping[str, int] = field(default_factory=dict)
    active_tokens: Mapping[str, str] = field(default_factory=dict)
    quiet_since_ms: Mapping[str, int] = field(default_factory=dict)
    status_due: str | None = None
    status_at_ms: int = 0

    @property
    def languages(self) -> dict[str, int]:
        """The number of listeners per target language that has any, sorted by language."""
        return {name: count for name, count in sorted(self.language_counts.items()) if count > 0}

    @property
    def demanded_languages(self) -> list[str]:
        """The languages, sorted, into which the speaker's captions are translated.

        They are those with listeners, and a few of those whose last listener has just left: it may
        come back, but an anonymous listener that tries all languages must not start a translation
        into each of them.
        """
        active = self.active_tokens.keys() - {self.source_language}
        heard = active & self.languages.keys()
        latest = sorted(active - heard, key=lambda it: self.quiet_since_ms.get(it, 0), reverse=True)
        return sorted([*heard, *latest[:MAX_QUIET_LANGUAGES]])

    @property
    def shown_status(self) -> SessionStatus:
        """The status that clients see."""
        return self.status if self.grace_ends_at_ms is None else SessionStatus.INTERRUPTED

    def number_key(self, language: str) -> str:
        """Return the key of a language's captions in `caption_numbers`."""
        return SOURCE if language == self.source_language else language

    def last_seq(self, language: str) -> int:
        """Return the number of the last caption in a language, or 0."""
        return self.caption_numbers.get(self.number_key(language), 0)

    def has_invite_code(self, code: str) -> bool:
        """Compare an invite code in constant time."""
        return compare_digest(code.encode(), self.invite_code.encode())

    def is_open(self, now_seconds: float) -> bool:
        """Return whether the session accepts commands.

        An open session hasn't ended or expired, and its grace isn't over.

        Args:
            now_seconds: Unix time.
        """
        return (
            self.status is not SessionStatus.ENDED
            and not self.is_expired(now_seconds)
            and not self.is_grace_over(now_seconds)
        )

    def is_expired(self, now_seconds: float) -> bool:
        """Return whether the session has expired."""
        return self.expires_at_seconds <= now_seconds

    def is_grace_over(self, now_seconds: float) -> bool:
        """Return whether the grace for the speaker's return is over."""
        return self.grace_ends_at_ms is not None and self.grace_ends_at_ms <= now_seconds * 1000


@dataclass(frozen=True, slots=True)
class Audio:
    """The speech of a caption, by reference or as data.

    Attributes:
        url: An https URL of the audio, or None.
        data: The audio in base64, or None.
        content_type: The media type of `data`, or None.
    """

    url: str | None = None
    data: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Caption:
    """One finished phrase in one language.

    Attributes:
        caption_id: The publisher's ID, with which publishing is idempotent.
        text: The phrase.
        started_at_ms: When the speaker began it, in Unix milliseconds.
        duration_ms: How long its speech takes, or None.
        audio: Its speech, or None.
    """

    caption_id: str
    text: str
    started_at_ms: int
    duration_ms: int | None = None
    audio: Audio | None = None


@dataclass(frozen=True, slots=True)
class Participant:
    """A connection's membership in a session.

    The item of a participant that has left or was superseded stays for a while. Its client can then
    refresh with the ID of that connection, and no other command treats the connection as new.

    The write of a heartbeat can't know how often its participant sends heartbeats. So it stores
    both possible times of a loss, `lost_at_ms` and `settled_lost_at_ms`.

    Attributes:
        connection_id: The connection's ID.
        session_id: The session's ID.
        role: Speaker or listener.
        joined_at_ms: When this connection got its seat, or began to join.
        target_language: A listener's language; None for a speaker, and for a listener that is not
            present.
        is_present: Whether it is a participant now, which hasn't left, isn't superseded and isn't
            arriving.
        superseded_by: The connection that has replaced this one, or None.
        correlation: An ID for the log that stays the same through a client's refreshes: the first
            connection of a listener, or the session of a speaker.
        listening_since_ms: When a listener joined, if that was on an earlier connection.
        left_at_ms: When it left, or None.
        heard_at_ms: The time of the last heartbeat, or None.
        lost_at_ms: When it is lost without a further heartbeat, if it sends them often.
        settled_lost_at_ms: The same for a listener that has settled.
        is_arriving: Whether its join is in progress, without a seat yet.
        arrival: A token that identifies a listener's join.
        refusals: The number of refused commands in a row on this connection.
        is_closed_by_service: Whether the service closes the connection because of them.
    """

    connection_id: str
    session_id: str
    role: Role
    joined_at_ms: int
    target_language: str | None = None
    is_present: bool = True
    superseded_by: str | None = None
    correlation: str = ""
    listening_since_ms: int | None = None
    left_at_ms: int | None = None
    heard_at_ms: int | None = None
    lost_at_ms: int | None = None
    settled_lost_at_ms: int | None = None
    is_arriving: bool = False
    arrival: str | None = field(default=None, compare=False)
    refusals: int = field(default=0, compare=False)
    is_closed_by_service: bool = False

    @property
    def expires_at_seconds(self) -> int:
        """When DynamoDB may delete the item."""
        return self.joined_at_ms // 1000 + CONNECTION_RECORD_SECONDS

    @property
    def was_admitted(self) -> bool:
        """Whether a listener ever had a seat. A refused join had none."""
        return not self.is_arriving and (
            self.arrival is not None or self.listening_since_ms is not None
        )

    @property
    def was_removed_as_lost(self) -> bool:
        """Whether the sweep has removed it because its heartbeats were missing."""
        return self.left_at_ms is not None and self.is_lost(self.left_at_ms / 1000)

    def has_settled_as_listener(self, at_ms: int) -> bool:
        """Return whether it is a listener that sends the less frequent heartbeats at that time."""
        since_ms = self.listening_since_ms or self.joined_at_ms
        return self.role is Role.LISTENER and at_ms - since_ms >= SETTLING_SECONDS * 1000

    def is_lost(self, now_seconds: float) -> bool:
        """Return whether its heartbeats have been missing for too long."""
        asked_at_ms = self.heard_at_ms or self.joined_at_ms
        has_settled = self.has_settled_as_listener(asked_at_ms)
        lost_at_ms = self.settled_lost_at_ms if has_settled else self.lost_at_ms
        return lost_at_ms is not None and lost_at_ms <= now_seconds * 1000

    def is_past_joining(self, now_seconds: float) -> bool:
        """Return whether the event in which it joined must be over by now."""
        return now_seconds - self.joined_at_ms / 1000 >= IN_FLIGHT_SECONDS

    def has_same_membership(self, other: "Participant") -> bool:
        """Return whether both are in the same session with the same role."""
        return self.session_id == other.session_id and self.role is other.role
