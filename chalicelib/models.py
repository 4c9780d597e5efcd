"""Sessions, connections, their states and legal changes. Pure: no I/O, no clock, no wire names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hmac import compare_digest
from typing import Final

from chalicelib.errors import (
    Forbidden,
    RateLimitExceeded,
    ServiceError,
    SessionFull,
    SessionNotFound,
)

IN_FLIGHT_SECONDS: Final = 35
"""Longer than any event is at work, so that what is this old is settled or was broken off.

Source: "WebSocket API quotas", Amazon API Gateway Developer Guide (integration timeout, 29 s).
"""

CONNECTION_SECONDS: Final = 2 * 3600
"""How long API Gateway keeps a connection at most. Source: as above (connection duration)."""

CONNECTION_RECORD_SECONDS: Final = CONNECTION_SECONDS + 600
"""How long a connection's record may live: that, and a margin."""

SUPERSEDED_RECORD_SECONDS: Final = 600
"""How long a superseded participant's record lives, in which a refresh whose answer was lost can be
repeated with the same old connection ID.
"""

SETTLING_SECONDS: Final = 300
"""How long a listener is asked for heartbeats as often as a speaker.

Source: docs/reference/protocol.md.
"""

MISSED_HEARTBEATS: Final = 3
"""Heartbeats in a row whose absence makes a participant lost.

Source: docs/reference/protocol.md.
"""


class Role(StrEnum):
    SPEAKER = "speaker"
    LISTENER = "listener"


class QualityTier(StrEnum):
    STANDARD = "standard"
    PREMIUM = "premium"


class Admission(StrEnum):
    """How listeners join a session: by its ID alone, or only with its invite code."""

    OPEN = "open"
    INVITED = "invited"


class SessionStatus(StrEnum):
    """`INTERRUPTED` is shown and never stored: a paused session that is interrupted stays paused.

    `ENDED` is stored and never shown: it marks a session whose records are being removed.
    """

    ACTIVE = "active"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    ENDED = "ended"


class EndReason(StrEnum):
    SPEAKER_ENDED = "speakerEnded"
    SPEAKER_LOST = "speakerLost"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who speaks to us: a connection, the user who opened it with a token, if any, and where from.

    `address` is the public IP address, which a whole hall may share. `is_connecting` is whether
    the command stands in the connect URL.
    """

    connection_id: str
    user_id: str | None
    connected_at_ms: int
    address: str
    is_connecting: bool = False


INVITED_WINDOW_SECONDS: Final = 60
"""The time in which a session's invited joins are limited."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invite code with which a listener joins, and the limit of such joins.

    `window` numbers the minutes of Unix time; `max_joins` is what one window allows.
    """

    code: str
    window: int
    max_joins: int


TOTAL: Final = "*"
"""The key of all listeners, beside those of the languages, in a mapping of drifts."""


@dataclass(frozen=True, slots=True)
class CountNote:
    """The counts that seemed wrong to a sweep: a second look decides.

    `drifts` is by how much each count, of all listeners (TOTAL) and of a language, was above the
    number of participants; a count without an entry was right. `changes` is the session's then.
    """

    changes: int
    drifts: Mapping[str, int]
    seen_at_ms: int


@dataclass(frozen=True, slots=True)
class Session:
    """One broadcast. Points in time are Unix times, in the unit that their name ends in.

    `changes` grows with whatever may change who has a place, so that two looks at a session tell
    whether it was quiet in between. `grace_ends_at_ms` is there while the speaker's connection is
    lost or closed, `ended_at_ms` and `end_reason` once the session has ended. `has_untold_return`:
    the speaker is back, and his listeners may not know; `status_token`: the write that set the
    status; `speaker_connection_ids`: all that have ever been the speaker's current one.
    `invited_window` is the last window in which a listener joined with the invite code, and
    `invited_joins` how many did in that window. `language_counts` are the stored counts of
    listeners per target language; one can be 0, or negative for a moment.
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
    has_untold_return: bool = False
    status_token: str = ""
    count_note: CountNote | None = None
    admission: Admission = Admission.OPEN
    invited_window: int = 0
    invited_joins: int = 0
    language_counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def languages(self) -> dict[str, int]:
        """Return the number of listeners per target language that has any, sorted."""
        return {name: count for name, count in sorted(self.language_counts.items()) if count > 0}

    @property
    def shown_status(self) -> SessionStatus:
        return self.status if self.grace_ends_at_ms is None else SessionStatus.INTERRUPTED

    def has_invite_code(self, code: str) -> bool:
        return compare_digest(code.encode(), self.invite_code.encode())

    def is_open(self, now_seconds: float) -> bool:
        return (
            self.status is not SessionStatus.ENDED
            and not self.is_expired(now_seconds)
            and not self.is_speaker_lost(now_seconds)
        )

    def is_expired(self, now_seconds: float) -> bool:
        return self.expires_at_seconds <= now_seconds

    def is_speaker_lost(self, now_seconds: float) -> bool:
        return self.grace_ends_at_ms is not None and self.grace_ends_at_ms <= now_seconds * 1000


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection's place in a session; a connection without one has no record.

    Whoever has left, or was replaced, has no `is_present`; his record stays for a while, so that
    he can come back by the id of that connection and is not taken for somebody else.
    `arrival` names the join by which a listener came; while that is under way `is_arriving`, and
    the record is no place. `refusals` counts the connection's refused commands in a row, and
    `is_closed_by_service` is whether the service closes the connection because of them.
    `correlation` is what stays the same through a client's refreshes, for the log: the connection
    by which a listener came in, or the session whose speaker he is.

    `listening_since_ms` is when a listener came in, if that was on an earlier connection.
    `heard_at_ms` is the time of the last heartbeat, if there was one. The write of a heartbeat
    can't know how often its participant is asked for one, so it stores both possible times of the
    loss: `lost_at_ms`, and `settled_lost_at_ms` for a listener that has settled.
    """

    connection_id: str
    session_id: str
    role: Role
    taken_at_ms: int
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
        return self.taken_at_ms // 1000 + CONNECTION_RECORD_SECONDS

    def has_settled_as_listener(self, at_ms: int) -> bool:
        """Return whether it is a listener that was asked for settled heartbeats at that time."""
        since_ms = self.listening_since_ms or self.taken_at_ms
        return self.role is Role.LISTENER and at_ms - since_ms >= SETTLING_SECONDS * 1000

    @property
    def was_removed_as_lost(self) -> bool:
        """Return whether the sweep has removed it, and closed its connection."""
        return self.left_at_ms is not None and self.is_lost(self.left_at_ms / 1000)

    def is_lost(self, now_seconds: float) -> bool:
        """Return whether its heartbeats have been missing for too long."""
        asked_at_ms = self.heard_at_ms or self.taken_at_ms
        has_settled = self.has_settled_as_listener(asked_at_ms)
        lost_at_ms = self.settled_lost_at_ms if has_settled else self.lost_at_ms
        return lost_at_ms is not None and lost_at_ms <= now_seconds * 1000

    @property
    def was_admitted(self) -> bool:
        """Whether a listener ever got its place: the record of a refused join has no such mark."""
        return not self.is_arriving and (
            self.arrival is not None or self.listening_since_ms is not None
        )

    def is_settled(self, now_seconds: float) -> bool:
        """Say whether it is so old that it must have opened, if it ever did."""
        return now_seconds - self.taken_at_ms / 1000 >= IN_FLIGHT_SECONDS


def refusal_to_join(
    session: Session | None,
    invitation: Invitation | None,
    max_listeners: int,
    now_seconds: float,
    *,
    is_return: bool = False,
) -> ServiceError | None:
    """Return why a listener can't join, or None if nothing is in the way.

    Args:
        session: The session as it was when the join was decided; None if there was none.
        invitation: The invite code, if the listener has given one.
        max_listeners: The number of a session's seats.
        now_seconds: Unix time.
        is_return: Whether the listener was in the session before and comes back for its seat.
    """
    if session is None or not session.is_open(now_seconds):
        return SessionNotFound("There is no such session.", field="sessionId")
    if invitation is not None:
        if not session.has_invite_code(invitation.code):
            return Forbidden("The invite code is not valid for this session.", field="inviteCode")
        window = max(session.invited_window, invitation.window)
        if window == session.invited_window and session.invited_joins >= invitation.max_joins:
            return RateLimitExceeded((window + 1) * INVITED_WINDOW_SECONDS - now_seconds)
    elif session.admission is Admission.INVITED and not is_return:
        return Forbidden("Joining this session requires its invite code.", field="inviteCode")
    if session.listener_count >= max_listeners:
        return SessionFull("The session is full.")
    return None


def count_drifts(session: Session, listed: Mapping[str, int]) -> dict[str, int]:
    """Return by how much each wrong count of a session is too high (negative: too low).

    Args:
        session: The session.
        listed: The number of its listener participants per target language.
    """
    counts = {TOTAL: session.listener_count, **session.language_counts}
    there = {TOTAL: sum(listed.values()), **listed}
    drifts = {key: counts.get(key, 0) - there.get(key, 0) for key in counts | there}
    return {key: drift for key, drift in drifts.items() if drift}


def drifts_to_mend(
    session: Session, drifts: Mapping[str, int], now_seconds: float
) -> dict[str, int]:
    """Return by how much each count of a session is certainly too high (negative: too low).

    Only drifts that two looks agree on, if no count changed and no listener refreshed in between,
    and if the looks are further apart than any event takes: a listener is counted before it gets
    its place, loses its place before it is counted out, and changes its language before the counts
    do, so a count is wrong for a moment in good order, too.
    """
    note = session.count_note
    if note is None or note.changes != session.changes:
        return {}
    if now_seconds * 1000 - note.seen_at_ms < IN_FLIGHT_SECONDS * 1000:
        return {}
    return {
        key: min(drift, note.drifts[key], key=abs)
        for key, drift in drifts.items()
        if drift * note.drifts.get(key, 0) > 0
    }
