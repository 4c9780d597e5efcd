"""The commands with which listeners join a session or change their language."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from chalicelib import messages
from chalicelib.admission import refusal_to_join
from chalicelib.audience import Audience
from chalicelib.commands import ChangeLanguage, JoinSession
from chalicelib.errors import (
    Conflict,
    Forbidden,
    NoSession,
    ServiceError,
    ServiceUnavailable,
    SessionFull,
    SessionNotFound,
)
from chalicelib.limits import Limits
from chalicelib.membership import Membership, follow
from chalicelib.messages import Reply
from chalicelib.models import Caller, Participant, Role, Session
from chalicelib.rate_limits import RateLimits
from chalicelib.store.items import new_arrival
from chalicelib.store.stores import Stores


class Joining:
    """Lets listeners join. Every method may raise ServiceUnavailable."""

    def __init__(
        self,
        stores: Stores,
        audience: Audience,
        membership: Membership,
        rate_limits: RateLimits,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._sessions = stores.sessions
        self._audience = audience
        self._participants = stores.participants
        self._membership = membership
        self._rate_limits = rate_limits
        self._limits = limits
        self._clock = clock

    def join(self, caller: Caller, command: JoinSession) -> Reply:
        """Let the caller join as a listener.

        Raises:
            RateLimitExceeded: Too many listeners join from the caller's address, or with the code.
            Conflict: The connection is a participant already.
            SessionNotFound: The session is not open.
            Forbidden: The invite code is missing or wrong.
            SessionFull: All seats are taken.
        """
        session = self.admit(
            caller,
            command.session_id,
            command.target_language,
            command.invite_code,
            with_connection=caller.is_connecting,
        )
        return Reply(
            messages.session_joined(
                session,
                caller.connection_id,
                command.target_language,
                self._limits.heartbeat_interval_seconds,
            )
        )

    def admit(
        self,
        caller: Caller,
        session_id: str,
        target_language: str,
        invite_code: str | None,
        *,
        with_connection: bool = False,
    ) -> Session:
        """Make the caller a listener, under the limits of a join; see `join` for the errors.

        The join first counts against the limit, then stores an arriving participant, and then takes
        a seat. So a refused join never takes a seat, and a connection that is a participant already
        learns nothing about the session. If the session ends after the seat was taken, the end
        finds the participant, so the join needs no second read of the session's item. After a
        crash, the sweep removes the arriving participant and releases the seat.

        Args:
            caller: The caller.
            session_id: The session's ID.
            target_language: The listener's target language.
            invite_code: The invite code, or None.
            with_connection: Whether the limit of joins also counts the connection.
        """
        if invite_code is None:
            self._rate_limits.count_join(caller, with_connection=with_connection)
        arriving = replace(
            self._membership.new_participant(caller, session_id, Role.LISTENER, target_language),
            is_present=False,
            is_arriving=True,
            arrival=new_arrival(),
        )
        if self._membership.claim(arriving).existing is not None:
            raise Conflict
        try:
            session = self._take_seat(session_id, target_language, invite_code)
        except ServiceError as refusal:
            if isinstance(refusal, Forbidden | SessionFull):
                follow(arriving)
            # If this fails, a participant without a seat stays until the sweep.
            with suppress(ServiceUnavailable):
                self._participants.withdraw(arriving)
            raise
        follow(arriving)
        self._activate(arriving)
        return session

    def _take_seat(self, session_id: str, target_language: str, invite_code: str | None) -> Session:
        """Take a seat, by the session's ID or by its invite code.

        With a code, the session is read first, so guesses of the code write nothing to its item.
        """
        max_listeners = self._limits.max_listeners
        if invite_code is None:
            return self._audience.take(session_id, target_language, None, max_listeners)
        invitation = self._rate_limits.invitation(invite_code)
        session = self._sessions.find_open(session_id)
        refusal = refusal_to_join(session, invitation, max_listeners, self._clock())
        if refusal is not None or session is None:
            raise refusal or SessionNotFound()
        return self._audience.take(
            session_id,
            target_language,
            invitation,
            max_listeners,
            last_window=session.invited_window,
        )

    def _activate(self, arriving: Participant) -> None:
        """Complete the join of a listener that has a seat, or release the seat.

        The join fails if its connection has closed, if another command on it came first, or if the
        session has ended. None of these events releases the seat, so this method does.
        """
        try:
            placement = self._participants.activate(arriving)
        except ServiceUnavailable:
            self._membership.undo(arriving)
            raise
        if placement.is_done:
            return
        self._membership.release_seat(arriving)
        if placement.existing is None:
            raise SessionNotFound
        if placement.existing.is_present or placement.existing.is_arriving:
            raise Conflict
        raise NoSession

    def change_language(self, caller: Caller, command: ChangeLanguage) -> Reply:
        """Change the caller's target language.

        Raises:
            Forbidden: The caller is a speaker, or in another session.
            NoSession: The caller is no participant.
        """
        listener = self._membership.get_own(caller, Role.LISTENER, command.session_id)
        session_id, language = listener.session_id, command.target_language
        before = self._participants.set_language(caller.connection_id, session_id, language)
        if before is None:
            raise NoSession
        if before == language:
            session = self._sessions.find_open(session_id)
        else:
            session = self._audience.change_language(session_id, before, language)
        if session is None:
            raise NoSession
        return Reply(messages.language_changed(session, language))

    def is_invited(self, session_id: str, invite_code: str) -> bool:
        """Return whether an open session has this invite code; False if DynamoDB doesn't answer."""
        try:
            session = self._sessions.find_open(session_id)
        except ServiceUnavailable:
            return False
        return session is not None and session.has_invite_code(invite_code)
