"""The command `heartbeat`, which shows that a participant is present."""

from collections.abc import Callable

from chalicelib import heartbeats, messages
from chalicelib.limits import Limits
from chalicelib.membership import Membership, follow
from chalicelib.messages import Message, Reply
from chalicelib.models import CONNECTION_SECONDS, Caller, Participant, Role
from chalicelib.store.stores import Stores


class Presence:
    """Answers heartbeats."""

    def __init__(
        self, stores: Stores, membership: Membership, limits: Limits, clock: Callable[[], float]
    ) -> None:
        self._sessions = stores.sessions
        self._participants = stores.participants
        self._membership = membership
        self._limits = limits
        self._clock = clock

    def heartbeat(self, caller: Caller) -> Reply:
        """Answer a heartbeat. A speaker's also extends its session.

        The follow-ups ask an old connection to refresh.

        Raises:
            RateLimitExceeded: The connection sends too many heartbeats; this one still counts.
            ServiceUnavailable: DynamoDB is throttling, failing or unreachable.
        """
        now = self._clock()
        limits = self._limits
        heartbeat = self._participants.record_heartbeat(
            caller.connection_id,
            lost_at_ms=limits.lost_at_ms(now),
            settled_lost_at_ms=limits.settled_lost_at_ms(now),
            times_kept=heartbeats.times_to_keep(limits.heartbeats_per_minute),
        )
        connected_seconds = max(0, now - caller.connected_at_ms / 1000)
        ack = messages.heartbeat_ack(int(connected_seconds), limits.heartbeat_interval_seconds)
        if heartbeat is None:
            return Reply(ack)
        participant = heartbeat.participant
        follow(participant)
        heartbeats.check_limit(heartbeat.times_ms)
        self._membership.reset_refused_commands(participant)
        ack["heartbeatSeconds"] = limits.heartbeat_seconds(participant, now)
        reminders = self._reminders(participant, connected_seconds)
        if participant.role is Role.LISTENER:
            listeners_ack = messages.listeners_heartbeat_ack(ack, participant.session_id)
            return Reply(listeners_ack, reminders)
        session = self._sessions.extend(
            participant.session_id, caller.connection_id, limits.session_end_seconds(now)
        )
        if session is None:
            return Reply(ack)
        return Reply(messages.speakers_heartbeat_ack(ack, session), reminders)

    def _reminders(self, participant: Participant, connected_seconds: float) -> tuple[Message, ...]:
        """Return the notices that an old connection gets after each heartbeat."""
        limits = self._limits
        remaining_seconds = max(0, int(CONNECTION_SECONDS - connected_seconds))
        reminders: tuple[Message, ...] = ()
        if connected_seconds >= limits.refresh_after_seconds:
            reminders += (messages.refresh_required(participant, remaining_seconds),)
        if connected_seconds >= limits.warn_after_seconds:
            reminders += (messages.connection_warning(remaining_seconds),)
        return reminders
