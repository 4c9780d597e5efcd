"""The command `refreshConnection`, which moves a client to a new connection."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from chalicelib import messages
from chalicelib.audience import Audience
from chalicelib.commands import RefreshListener, RefreshSpeaker
from chalicelib.errors import (
    Conflict,
    Forbidden,
    ServiceUnavailable,
    SessionFull,
    SessionNotFound,
    SessionOver,
    Unauthorized,
    unavailable,
)
from chalicelib.joining import Joining
from chalicelib.limits import Limits
from chalicelib.membership import MUST_SIGN_IN, NOT_YOURS, Membership, follow
from chalicelib.messages import Reply
from chalicelib.models import Caller, Participant, Role, Session
from chalicelib.notices import Notices
from chalicelib.rate_limits import RateLimits
from chalicelib.store.stores import Stores

MAX_REPLACEMENTS: Final = 10
"""Longest chain of superseded connections that a refresh follows. Each one is from a refresh whose
answer was lost.
"""

SEAT_DELAYS_SECONDS: Final = (0.05, 0.1, 0.2, 0.4)
"""Waits of a listener that returns. The second write of its own leave may still have to release the
seat, or another refresh by the same old connection may be in progress.
"""

Refreshed = tuple[Participant, Session]
"""The participant that results from a listener's refresh, and its session."""


class Refresh:
    """Moves clients to new connections. Every method may raise ServiceUnavailable.

    A repeated refresh gets the same answer and changes nothing.
    """

    def __init__(
        self,
        stores: Stores,
        audience: Audience,
        membership: Membership,
        joining: Joining,
        notices: Notices,
        rate_limits: RateLimits,
        limits: Limits,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._sessions = stores.sessions
        self._audience = audience
        self._participants = stores.participants
        self._hand_overs = stores.hand_overs
        self._membership = membership
        self._joining = joining
        self._notices = notices
        self._rate_limits = rate_limits
        self._limits = limits
        self._clock = clock
        self._sleep = sleep

    def refresh_speaker(self, caller: Caller, command: RefreshSpeaker) -> Reply:
        """Make the caller's connection the speaker of its session. The last refresh wins.

        The participant is stored first, so it exists whenever the session names it. A repeated
        command finds it, even after it was superseded.

        Raises:
            Unauthorized: The caller has no token.
            RateLimitExceeded: The user has made too many refused attempts.
            Conflict: The connection is a participant of another kind.
            Forbidden: The session is another user's.
            SessionNotFound: The session is not open.
        """
        if caller.user_id is None:
            raise Unauthorized(MUST_SIGN_IN)
        self._rate_limits.check_refused(caller)
        speaker = self._membership.new_participant(caller, command.session_id, Role.SPEAKER)
        claim = self._membership.claim(speaker)
        existing = claim.existing
        if existing is not None and not existing.is_present:
            return self._answer_superseded_speaker(caller, existing, command.session_id)
        if existing is not None and not existing.has_same_membership(speaker):
            raise Conflict
        at_seconds = self._clock()
        try:
            before = self._sessions.replace_speaker(
                command.session_id,
                caller.user_id,
                caller.connection_id,
                self._limits.session_end_seconds(at_seconds),
            )
        except (Forbidden, SessionNotFound):
            self._participants.withdraw_speaker(caller.connection_id, command.session_id)
            raise
        follow(speaker)
        self._membership.reset_refused_commands(
            existing or replace(speaker, refusals=claim.refusals)
        )
        if before is None:
            return self._answer_superseded_speaker(caller, speaker, command.session_id)
        self._supersede_speaker(before, caller.connection_id)
        if before.grace_ends_at_ms is not None or before.has_unannounced_return:
            self._notices.announce_return(before, at_seconds)
        # The write has ended an interruption.
        return self._speaker_refreshed(replace(before, grace_ends_at_ms=None), caller)

    def _supersede_speaker(self, before: Session, connection_id: str) -> None:
        """Supersede the connection that was the speaker before this refresh, or its first try."""
        replaced_id: str | None = before.speaker_connection_id
        if replaced_id == connection_id:
            replaced_id = before.previous_speaker_connection_id
        if replaced_id is not None:
            self._participants.supersede_speaker(before.session_id, replaced_id, connection_id)

    def _answer_superseded_speaker(
        self, caller: Caller, existing: Participant, session_id: str
    ) -> Reply:
        """Answer a repeated refresh by a connection that has been superseded since."""
        if existing.session_id != session_id or existing.role is not Role.SPEAKER:
            raise Conflict
        session = self._get_session(session_id)
        if session.speaker_user_id != caller.user_id:
            raise Forbidden(NOT_YOURS)
        self._membership.reset_refused_commands(existing)
        return self._speaker_refreshed(session, caller)

    def _speaker_refreshed(self, session: Session, caller: Caller) -> Reply:
        interval_seconds = self._limits.heartbeat_interval_seconds
        return Reply(messages.speaker_refreshed(session, caller.connection_id, interval_seconds))

    def refresh_listener(self, caller: Caller, command: RefreshListener) -> Reply:
        """Move the seat of an older connection to the caller's, or let the caller join.

        The old connection's ID is a secret, so this reveals no session to other clients.

        Raises:
            Conflict: The connection is another participant already.
            RateLimitExceeded: As for a join.
            SessionNotFound: The session is not open.
            Forbidden: The invite code is missing or wrong.
            SessionFull: All seats are taken.
        """
        new = self._membership.new_participant(
            caller, command.session_id, Role.LISTENER, command.target_language
        )
        try:
            refreshed = self._replace(new, command.connection_id)
        except SessionNotFound:
            raise SessionOver from None
        if refreshed is None:
            listener = new
            session = self._joining.admit(
                caller, new.session_id, command.target_language, command.invite_code
            )
        else:
            listener, session = refreshed
        return Reply(
            messages.listener_refreshed(
                session,
                caller.connection_id,
                listener.target_language or command.target_language,
                self._limits.heartbeat_seconds(listener, self._clock()),
            )
        )

    def _replace(self, new: Participant, old_id: str | None) -> Refreshed | None:
        """Give a listener the seat of its old connection, or of the connection that superseded it.

        Returns:
            The listener and its session; None if the old connection wasn't a listener of that
            session.

        Raises:
            ServiceUnavailable: The chain of superseded connections is too long.
        """
        for _ in range(MAX_REPLACEMENTS):
            if old_id is None or old_id == new.connection_id:
                return self._find_refreshed(new)
            old = self._participants.find(old_id)
            if old is None or not old.has_same_membership(new) or not old.was_admitted:
                return self._find_refreshed(new)
            new = replace(
                new,
                correlation=old.correlation,
                listening_since_ms=old.listening_since_ms or old.joined_at_ms,
            )
            follow(new)
            if old.superseded_by is not None:
                old_id = old.superseded_by
                continue
            if not old.is_present:
                return self._return(new, old)
            result = self._hand_overs.hand_over(old, new)
            if result.is_done:
                return new, self._finish(new, old.target_language)
            if result.new is not None and not self._membership.remove_leftover(result.new):
                if result.new.superseded_by is not None and not result.was_done_before(
                    new.connection_id
                ):
                    raise Conflict
                return self._answer_again(result.new, new)
        raise unavailable()

    def _find_refreshed(self, new: Participant) -> Refreshed | None:
        """Find the listener that an earlier attempt of this command has stored."""
        existing = self._participants.find(new.connection_id)
        if existing is None or (not existing.is_present and existing.superseded_by is None):
            return None
        return self._answer_again(existing, new)

    def _answer_again(self, existing: Participant, new: Participant) -> Refreshed:
        """Answer a repeated refresh.

        Raises:
            Conflict: Another command has made the connection a participant.
            SessionNotFound: The session is not open.
        """
        if not existing.has_same_membership(new):
            raise Conflict
        session = self._get_session(new.session_id)
        self._membership.reset_refused_commands(existing)
        return existing, session

    def _finish(self, new: Participant, counted_language: str | None) -> Session:
        """Update the session's counts after a hand-over.

        If this fails, the listener stays. A repeated command finds it, and the sweep repairs the
        counts.

        Args:
            new: The listener.
            counted_language: The target language under which the seat was counted.

        Raises:
            SessionNotFound: The session is not open; the listener is removed.
        """
        language = new.target_language or ""
        session = self._audience.pass_on(new.session_id, counted_language or language, language)
        if session is None:
            self._membership.undo(new)
            raise SessionNotFound
        return session

    def _return(self, new: Participant, left: Participant) -> Refreshed | None:
        """Give a new seat to a listener whose connection was lost and whose seat was released.

        The return is claimed before the seat is taken. Of many simultaneous returns by the same
        lost connection, only one at a time takes a seat.
        """
        claim = self._claim_return(left)
        if claim is None:
            return self._replace(new, left.connection_id)
        returned: Refreshed | None = None
        try:
            returned = self._take_seat_again(new, left)
        finally:
            if returned is None or returned[0] is not new:
                # If this fails, the claim expires.
                with suppress(ServiceUnavailable):
                    self._hand_overs.release_return(left.connection_id, claim)
        return returned or self._replace(new, left.connection_id)

    def _claim_return(self, left: Participant) -> str | None:
        """Claim the return of a listener that has left; None if it has already returned.

        Raises:
            ServiceUnavailable: Another return by that connection takes too long.
        """
        for delay_seconds in (*SEAT_DELAYS_SECONDS, None):
            claim = self._hand_overs.claim_return(left)
            if claim is not None:
                return claim
            found = self._participants.find(left.connection_id)
            if found is None or found.superseded_by is not None:
                return None
            if delay_seconds is not None:
                self._sleep(delay_seconds)
        raise unavailable()

    def _take_seat_again(self, new: Participant, left: Participant) -> Refreshed | None:
        """Take a seat for a listener that returns; None if another command came first."""
        self._wait_for_seat(new)
        try:
            result = self._hand_overs.hand_over(left, new)
        except ServiceUnavailable:
            self._membership.undo(new)
            raise
        if result.is_done:
            return new, self._finish(new, new.target_language)
        self._membership.release_seat(new)
        if result.new is None or self._membership.remove_leftover(result.new):
            return None
        return self._answer_again(result.new, new)

    def _wait_for_seat(self, new: Participant) -> None:
        """Take a seat. If the session is full, wait for the listener's own seat to be released.

        Raises:
            SessionNotFound: The session is not open.
            SessionFull: All seats stay taken.
        """
        for delay_seconds in (*SEAT_DELAYS_SECONDS, None):
            try:
                self._audience.take(
                    new.session_id,
                    new.target_language or "",
                    None,
                    self._limits.max_listeners,
                    is_return=True,
                )
                return
            except SessionFull:
                if delay_seconds is None:
                    raise
                self._sleep(delay_seconds)

    def _get_session(self, session_id: str) -> Session:
        session = self._sessions.find_open(session_id)
        if session is None:
            raise SessionNotFound
        return session
