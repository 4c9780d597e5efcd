"""The membership of a caller's connection in a session."""

from collections.abc import Callable
from typing import Final

from chalicelib import telemetry
from chalicelib.audience import Audience
from chalicelib.errors import Forbidden, NoSession, Unauthorized
from chalicelib.limits import Limits
from chalicelib.models import Caller, Participant, Role
from chalicelib.store.participants import Claim
from chalicelib.store.stores import Stores

MUST_SIGN_IN: Final = "This command requires a speaker's token."
NOT_YOURS: Final = "You aren't allowed to use this command."


class Membership:
    """Finds, claims and removes the participants of callers."""

    def __init__(
        self, stores: Stores, audience: Audience, limits: Limits, clock: Callable[[], float]
    ) -> None:
        self._sessions = stores.sessions
        self._audience = audience
        self._participants = stores.participants
        self._refused_commands = stores.refused_commands
        self._limits = limits
        self._clock = clock

    def find(self, caller: Caller) -> Participant | None:
        """Return the caller's participant if it is present."""
        return self._participants.find_present(caller.connection_id)

    def get_own(self, caller: Caller, role: Role, session_id: str | None) -> Participant:
        """Return the caller's participant if it has that role in the named session.

        Raises:
            Unauthorized: The command requires a speaker's token, and the caller has none.
            Forbidden: The caller has another role, or is in another session.
            NoSession: The caller is no participant.
        """
        participant = self.find(caller)
        if participant is None:
            if role is Role.SPEAKER and caller.user_id is None:
                raise Unauthorized(MUST_SIGN_IN)
            if session_id is not None:
                raise _not_in_session()
            raise NoSession
        follow(participant)
        if participant.role is not role:
            raise Forbidden(NOT_YOURS)
        if session_id not in (None, participant.session_id):
            raise _not_in_session()
        return participant

    def new_participant(
        self, caller: Caller, session_id: str, role: Role, target_language: str | None = None
    ) -> Participant:
        """Return a participant that is not stored yet."""
        now = self._clock()
        return Participant(
            connection_id=caller.connection_id,
            session_id=session_id,
            role=role,
            joined_at_ms=int(now * 1000),
            target_language=target_language,
            correlation=session_id if role is Role.SPEAKER else caller.connection_id,
            lost_at_ms=self._limits.lost_at_ms(now),
            settled_lost_at_ms=self._limits.settled_lost_at_ms(now),
        )

    def claim(self, participant: Participant) -> Claim:
        """Store a participant. It can replace a leftover of an incomplete command."""
        claim = self._participants.put(participant)
        if claim.existing is None or not self.remove_leftover(claim.existing):
            return claim
        return self._participants.put(participant)

    def remove_leftover(self, existing: Participant) -> bool:
        """Delete the caller's participant if it is a leftover.

        Returns:
            Whether it was one.
        """
        if not self._is_leftover(existing):
            return False
        self._participants.delete(
            existing.connection_id, existing.session_id, joined_at_ms=existing.joined_at_ms
        )
        return True

    def _is_leftover(self, existing: Participant) -> bool:
        """Return whether a participant has no effect any more.

        It was superseded in a session that has ended, or it is a speaker that its session has never
        named, because its refresh was incomplete.
        """
        if existing.superseded_by is None and (
            existing.role is not Role.SPEAKER
            or not existing.is_present
            or not existing.is_past_joining(self._clock())
        ):
            return False
        session = self._sessions.find_open(existing.session_id)
        if session is None or existing.superseded_by is not None:
            return session is None
        return existing.connection_id not in session.speaker_connection_ids

    def undo(self, participant: Participant) -> None:
        """Remove a listener that has a seat, and that may or may not be stored.

        If another event has removed it, that event has released the seat.
        """
        stored = self._participants.delete(
            participant.connection_id,
            participant.session_id,
            joined_at_ms=None if participant.is_arriving else participant.joined_at_ms,
            arrival=participant.arrival,
        )
        if stored is None or stored.is_arriving:
            self.release_seat(participant)
        elif stored.is_present:
            self.release_seat(stored)

    def release_seat(self, participant: Participant) -> None:
        """Release the seat of one listener."""
        self._audience.release(participant.session_id, {participant.target_language or "": 1})

    def reset_refused_commands(self, participant: Participant) -> None:
        """Reset the number of refused commands in a row, because a command has succeeded."""
        if participant.refusals:
            self._refused_commands.reset(participant.connection_id)


def follow(participant: Participant) -> None:
    """Add the participant to the log lines of the current event.

    Call it once the participant is known to be in the session, because a session ID in a command
    may be any text.
    """
    telemetry.follow(participant.session_id, participant.correlation)


def _not_in_session() -> Forbidden:
    return Forbidden("This connection isn't in the session with that ID.", field="sessionId")
