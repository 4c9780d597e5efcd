"""The use cases: what speakers and listeners can do, and in which order it is written down.

Each takes the caller, and its command where that carries something, and returns the message that
answers it. Every use case may raise ServiceUnavailable. The order of the writes is such that a
crash between any two of them leaves a count too high, or records that nobody uses, and never a
session with more listeners than it may have.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from chalicelib import protocol
from chalicelib.errors import (
    Conflict,
    Forbidden,
    InternalError,
    ServiceUnavailable,
    SessionNotFound,
    Unauthorized,
)
from chalicelib.gateway import Gateway, Gone
from chalicelib.models import Caller, Connection, EndReason, Role, Session
from chalicelib.store import Store

CONNECTION_RECORD_SECONDS: Final = 2 * 3600 + 600
"""How long a connection's record may live: API Gateway's two hours, and a margin.

Source: "WebSocket API quotas", Amazon API Gateway Developer Guide (connection duration).
"""

ID_ATTEMPTS: Final = 5
"""Ids to try before giving up. Of some 20 million ids a handful are ever in use at once."""

OUTCOME_DELAYS_SECONDS: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Waits between posts of an outcome to a connection that is not open yet."""


@dataclass(frozen=True, slots=True)
class Limits:
    max_listeners: int
    heartbeat_interval_seconds: int
    session_max_duration_seconds: int


@dataclass(frozen=True, slots=True)
class Sessions:
    store: Store
    gateway: Gateway
    limits: Limits
    clock: Callable[[], float]
    new_session_id: Callable[[], str]
    new_invite_code: Callable[[], str]

    def create(self, caller: Caller, command: protocol.CreateSession) -> protocol.Message:
        """Open a session whose speaker is the caller.

        The session goes first: after a crash the caller has no place yet and may try again, and
        nobody knows the id of the session that is left.

        Raises: Unauthorized, Forbidden (a listener), Conflict.
        """
        if caller.user_id is None:
            raise self._refusal_without_token(caller)
        session = self._put_new_session(caller, caller.user_id, command)
        try:
            self._take_place(caller, session.session_id, Role.SPEAKER)
        except (Conflict, ServiceUnavailable):
            self.store.delete_session(session.session_id)
            raise
        return protocol.session_created(
            session, self.limits.max_listeners, self.limits.heartbeat_interval_seconds
        )

    def join(self, caller: Caller, command: protocol.JoinSession) -> protocol.Message:
        """Let the caller in as a listener.

        He is counted in first, so that a full session is found out before anything has to be
        taken back; then he gets his place; then the session is looked at once more, for one that
        ended in between has not told him.

        Raises: SessionNotFound, Forbidden (a wrong invite code), SessionFull, Conflict.
        """
        session_id = command.session_id
        self.store.count_in(session_id, command.invite_code, self.limits.max_listeners)
        try:
            self._take_place(caller, session_id, Role.LISTENER, command.target_language)
        except Conflict:
            self.store.count_out(session_id)
            raise
        except ServiceUnavailable:
            self.store.delete_connection(caller.connection_id)
            self.store.count_out(session_id)
            raise
        session = self._look_again(caller, session_id)
        return protocol.session_joined(
            session,
            caller.connection_id,
            command.target_language,
            self.limits.heartbeat_interval_seconds,
        )

    def heartbeat(self, caller: Caller) -> protocol.Message:
        """Answer a sign of life. A speaker's also keeps the session from expiring."""
        connected_seconds = max(0, int(self.clock() - caller.connected_at_ms / 1000))
        ack = protocol.heartbeat_ack(connected_seconds, self.limits.heartbeat_interval_seconds)
        connection = self.store.find_connection(caller.connection_id)
        if connection is None:
            return ack
        if connection.role is Role.LISTENER:
            return {**ack, "sessionId": connection.session_id}
        session = self.store.extend_session(connection.session_id, self._session_end())
        if session is None:
            return ack
        return {
            **ack,
            "sessionId": session.session_id,
            "listenerCount": session.listener_count,
        }

    def change_language(self, caller: Caller, command: protocol.ChangeLanguage) -> protocol.Message:
        """Raises: Forbidden, SessionNotFound."""
        connection = self._own_connection(caller, Role.LISTENER, command.session_id)
        if not self.store.set_language(
            caller.connection_id, connection.session_id, command.target_language
        ):
            raise _has_no_session()
        return protocol.language_changed(command.target_language)

    def get_status(self, caller: Caller, command: protocol.GetSessionStatus) -> protocol.Message:
        """Raises: Unauthorized, Forbidden, SessionNotFound."""
        connection = self._own_connection(caller, Role.SPEAKER, command.session_id)
        session = self.store.find_session(connection.session_id)
        if session is None:
            raise _has_no_session()
        languages = self.store.count_listeners_by_language(connection.session_id)
        return protocol.session_status(session, languages)

    def end(self, caller: Caller, command: protocol.EndSession) -> protocol.Message:
        """End the caller's session. He hears of it by the answer, the listeners by a notice.

        Raises: Unauthorized, Forbidden, SessionNotFound.
        """
        connection = self._own_connection(caller, Role.SPEAKER, command.session_id)
        if not self._end(connection, EndReason.SPEAKER_ENDED):
            raise _has_no_session()
        self.store.delete_connection(caller.connection_id)
        return protocol.session_ended(connection.session_id, EndReason.SPEAKER_ENDED)

    def leave(self, connection_id: str, *, cleanly: bool) -> None:
        """Take in that a connection has closed. Idempotent.

        `cleanly` is whether the client closed it of its own will (code 1000).
        """
        connection = self.store.delete_connection(connection_id)
        if connection is None:
            return
        if connection.role is Role.LISTENER:
            self.store.count_out(connection.session_id)
        else:
            self._end(connection, EndReason.SPEAKER_ENDED if cleanly else EndReason.SPEAKER_LOST)

    def deliver_outcome(
        self, connection_id: str, text: str, sleep: Callable[[float], None] = time.sleep
    ) -> bool:
        """Post the outcome of a connect-time command as soon as its connection is open.

        A connection that does not open in about three seconds is taken as closed: what its
        command did is undone, as on any other end. False then.
        """
        for delay_seconds in (*OUTCOME_DELAYS_SECONDS, None):
            try:
                self.gateway.post(connection_id, text)
            except Gone:
                if delay_seconds is not None:
                    sleep(delay_seconds)
            else:
                return True
        self.leave(connection_id, cleanly=False)
        return False

    def _take_place(
        self, caller: Caller, session_id: str, role: Role, target_language: str | None = None
    ) -> None:
        """Raises: Conflict if the caller has a place, in whichever session."""
        end = int(self.clock()) + CONNECTION_RECORD_SECONDS
        place = Connection(caller.connection_id, session_id, role, end, target_language)
        if not self.store.put_connection(place):
            raise Conflict("This connection already has a session.")

    def _look_again(self, caller: Caller, session_id: str) -> Session:
        """Find the session that the caller has joined; take him out if it cannot be told.

        Raises: SessionNotFound, ServiceUnavailable.
        """
        try:
            session = self.store.find_session(session_id)
        except ServiceUnavailable:
            self.leave(caller.connection_id, cleanly=False)
            raise
        if session is None:
            self.leave(caller.connection_id, cleanly=False)
            raise SessionNotFound("There is no such session.", field="sessionId")
        return session

    def _put_new_session(
        self, caller: Caller, user_id: str, command: protocol.CreateSession
    ) -> Session:
        for _ in range(ID_ATTEMPTS):
            session = Session(
                session_id=self.new_session_id(),
                speaker_user_id=user_id,
                speaker_connection_id=caller.connection_id,
                source_language=command.source_language,
                quality_tier=command.quality_tier,
                invite_code=self.new_invite_code(),
                created_at_ms=int(self.clock() * 1000),
                expires_at_seconds=self._session_end(),
            )
            if self.store.put_session(session):
                return session
        raise InternalError("No free session id was found.")

    def _end(self, speaker: Connection, reason: EndReason) -> bool:
        """End a session and tell its listeners; False if somebody else is at it.

        Their records go before they are told, so that a crash tells nobody twice. The list is
        read until it shows nobody new, since a listener who has just come may be missing in it.
        """
        session_id = speaker.session_id
        if not self.store.mark_ended(session_id, speaker.connection_id):
            return False
        notice = self._encode(protocol.session_ended(session_id, reason))
        told: set[str] = set()
        while new := set(self.store.list_listener_ids(session_id)) - told:
            self.store.delete_connections(new)
            self.gateway.fan_out(new, notice)
            told |= new
        self.store.delete_session(session_id)
        return True

    def _own_connection(self, caller: Caller, role: Role, session_id: str | None) -> Connection:
        """Find the caller's place, if its role may give the command for the session it names."""
        connection = self.store.find_connection(caller.connection_id)
        if connection is None:
            if role is Role.SPEAKER and caller.user_id is None:
                raise Unauthorized("This takes a speaker's token.")
            if session_id is not None:
                raise _not_yours()
            raise _has_no_session()
        if connection.role is not role or session_id not in (None, connection.session_id):
            raise _not_yours()
        return connection

    def _refusal_without_token(self, caller: Caller) -> Forbidden | Unauthorized:
        if self.store.find_connection(caller.connection_id):
            return _not_yours()
        return Unauthorized("This takes a speaker's token.")

    def _session_end(self) -> int:
        return int(self.clock()) + self.limits.session_max_duration_seconds

    def _encode(self, message: protocol.Message) -> str:
        return protocol.encode(message, int(self.clock() * 1000))


def _has_no_session() -> SessionNotFound:
    return SessionNotFound("This connection has no session.")


def _not_yours() -> Forbidden:
    return Forbidden("This command is not for you to give.")
