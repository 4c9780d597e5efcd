"""The limits and grace periods of sessions, whose values `settings.py` reads."""

from dataclasses import dataclass
from typing import Final

from chalicelib.models import Participant

MAX_LISTENERS: Final = 10_000
"""The most seats that a session may have. A notice to as many takes the account's default quota of
requests to API Gateway for about a second.
Source: docs/how-to/prepare-for-a-large-event.md.
"""

MISSED_HEARTBEATS: Final = 3
"""Missed heartbeats in a row after which a participant can be lost."""


@dataclass(frozen=True, slots=True)
class Graces:
    """How long a session waits for its speaker, in seconds.

    Attributes:
        lost_seconds: After the speaker's connection is lost.
        closed_seconds: After the speaker has closed its connection.
    """

    lost_seconds: float
    closed_seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers and durations that apply to every session.

    Attributes:
        max_listeners: The seats of a session.
        heartbeat_interval_seconds: The time between heartbeats of speakers and new listeners.
        heartbeat_settled_seconds: The time between heartbeats of settled listeners.
        heartbeat_timeout_seconds: The shortest silence after which a participant is lost.
        heartbeats_per_minute: The heartbeats that a connection may send; see heartbeats.
        session_max_duration_seconds: How long a session lasts after its speaker's last heartbeat.
        refresh_after_seconds: The age of a connection at which it is asked to refresh.
        warn_after_seconds: The age of a connection at which it is warned of its end.
        max_refused_commands: The refused commands in a row after which a connection is closed.
        captions_per_minute: The captions that a speaker may send.
    """

    max_listeners: int
    heartbeat_interval_seconds: int
    heartbeat_settled_seconds: int
    heartbeat_timeout_seconds: int
    heartbeats_per_minute: int
    session_max_duration_seconds: int
    refresh_after_seconds: float
    warn_after_seconds: float
    max_refused_commands: int
    captions_per_minute: int

    def heartbeat_seconds(self, participant: Participant, now_seconds: float) -> int:
        """Return the time between a participant's heartbeats from now on."""
        if participant.has_settled_as_listener(int(now_seconds * 1000)):
            return self.heartbeat_settled_seconds
        return self.heartbeat_interval_seconds

    def lost_at_ms(self, now_seconds: float) -> int:
        """Return when a participant without a further heartbeat is lost, if it is not settled."""
        return self._lost_at_ms(now_seconds, self.heartbeat_interval_seconds)

    def settled_lost_at_ms(self, now_seconds: float) -> int:
        """Return when a participant without a further heartbeat is lost, if it is settled."""
        return self._lost_at_ms(now_seconds, self.heartbeat_settled_seconds)

    def session_end_seconds(self, now_seconds: float) -> int:
        """Return when a session ends if its speaker's last heartbeat is now."""
        return int(now_seconds) + self.session_max_duration_seconds

    def _lost_at_ms(self, now_seconds: float, interval_seconds: int) -> int:
        silence_seconds = max(MISSED_HEARTBEATS * interval_seconds, self.heartbeat_timeout_seconds)
        return int((now_seconds + silence_seconds) * 1000)
