"""The use cases: what speakers and listeners can do, and in which order it is written down.

Each takes the caller, and its command where that carries something, and returns the message that
answers it. Every use case may raise ServiceUnavailable. The order of the writes is such that a
crash between any two of them leaves a count too high, or records that nobody uses, and never a
session with more listeners than it may have; the sweep sets right what is left.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from chalicelib import heartbeats, protocol, telemetry
from chalicelib.aws.connections import Gone, PostFailed
from chalicelib.errors import (
    Conflict,
    Forbidden,
    InternalError,
    NoSession,
    ServiceError,
    ServiceUnavailable,
    SessionFull,
    SessionNotFound,
    Unauthorized,
    unavailable,
)
from chalicelib.lifecycle import Lifecycle
from chalicelib.models import (
    CONNECTION_SECONDS,
    MISSED_HEARTBEATS,
    Caller,
    Connection,
    EndReason,
    Role,
    Session,
    SessionStatus,
    refusal_to_join,
)
from chalicelib.rate_limits import RateLimits
from chalicelib.store import Claim, Store, new_arrival

ID_ATTEMPTS: Final = 5
"""Ids to try before giving up. Of some 20 million ids a handful are ever in use at once."""

MAX_REPLACEMENTS: Final = 10
"""How far to follow who replaced whom: each is a refresh whose answer was lost on the way."""

SEAT_DELAYS_SECONDS: Final = (0.05, 0.1, 0.2, 0.4)
"""Waits of a listener that returns: the second write of its leave gives its own seat back, and
another refresh by the same old connection may be under way.
"""

OUTCOME_DELAYS_SECONDS: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Waits between posts of an outcome to a connection that is not open yet."""


class HasPlace(Conflict):
    """The connection has a place, or had one that another has taken since."""

    def __init__(self, held: Connection) -> None:
        super().__init__("This connection already has a session.")
        self.held = held


@dataclass(frozen=True, slots=True)
class Limits:
    max_listeners: int
    heartbeat_interval_seconds: int
    heartbeat_settled_seconds: int
    heartbeat_timeout_seconds: int
    heartbeats_per_minute: int
    session_max_duration_seconds: int
    refresh_after_seconds: float
    warn_after_seconds: float
    max_refused_commands: int


@dataclass(frozen=True, slots=True)
class Sessions:
    store: Store
    lifecycle: Lifecycle
    rate_limits: RateLimits
    limits: Limits
    clock: Callable[[], float]
    new_session_id: Callable[[], str]
    new_invite_code: Callable[[], str]
    sleep: Callable[[float], None] = time.sleep

    def create(self, caller: Caller, command: protocol.CreateSession) -> protocol.Message:
        """Open a session whose speaker is the caller.

        Raises: Unauthorized, Forbidden (a listener), Conflict, RateLimitExceeded.
        """
        if caller.user_id is None:
            raise self._refusal_without_token(caller)
        self.rate_limits.count_session(caller.user_id)
        session = self._create_session(caller, caller.user_id, command)
        return protocol.session_created(
            session, self.limits.max_listeners, self.limits.heartbeat_interval_seconds
        )

    def join(self, caller: Caller, command: protocol.JoinSession) -> protocol.Message:
        """Let the caller in as a listener.

        Raises: RateLimitExceeded, Conflict, SessionNotFound, Forbidden (no or a wrong invite code),
            SessionFull.
        """
        session = self._join(
            caller,
            command.session_id,
            command.target_language,
            command.invite_code,
            with_connection=caller.is_connecting,
        )
        return protocol.session_joined(
            session,
            caller.connection_id,
            command.target_language,
            self.limits.heartbeat_interval_seconds,
        )

    def refresh_speaker(self, caller: Caller, command: protocol.RefreshSpeaker) -> protocol.Message:
        """Make the caller's connection the speaker's current one. A later one wins.

        Its record goes first: it then is there whenever the session names it, and one that was
        replaced is known by its own record, so that a command that comes again changes nothing.

        Raises: Unauthorized, RateLimitExceeded (too many refused attempts), Conflict,
            Forbidden (another user's), SessionNotFound.
        """
        if caller.user_id is None:
            raise Unauthorized("This takes a speaker's token.")
        self.rate_limits.check_refused(caller)
        place = self._new_place(caller, command.session_id, Role.SPEAKER)
        claim = self._claim_place(place)
        held = claim.held
        if held is not None and not held.is_present:
            return self._speaker_refreshed_before(caller, held, command.session_id)
        if held is not None and not _is_same_place(held, place):
            raise HasPlace(held)
        try:
            before = self.store.replace_speaker(
                command.session_id, caller.user_id, caller.connection_id, self._session_end()
            )
        except (Forbidden, SessionNotFound):
            self.store.withdraw_speaker(caller.connection_id, command.session_id)
            raise
        _follow(place)
        self._forget_refused_commands(held or replace(place, refusals=claim.refusals))
        if before is None:
            return self._speaker_refreshed_before(caller, place, command.session_id)
        is_new = before.speaker_connection_id != caller.connection_id
        replaced_id = (
            before.speaker_connection_id if is_new else before.previous_speaker_connection_id
        )
        if replaced_id is not None:
            self.store.supersede_speaker(
                session_id=command.session_id,
                connection_id=replaced_id,
                by_connection_id=caller.connection_id,
            )
        if before.grace_ends_at_ms is not None or before.has_untold_return:
            self.lifecycle.tell_how_it_goes_on(before)
        return protocol.speaker_refreshed(
            # The write has ended an interruption.
            replace(before, grace_ends_at_ms=None),
            caller.connection_id,
            self.limits.heartbeat_interval_seconds,
        )

    def refresh_listener(
        self, caller: Caller, command: protocol.RefreshListener
    ) -> protocol.Message:
        """Give the caller the place of a connection that it had, or else let it join.

        The old connection comes first. Its ID is a secret, so this reveals no session to others.

        Raises: Conflict, RateLimitExceeded, SessionNotFound, Forbidden (no or a wrong invite code),
            SessionFull.
        """
        place = self._new_place(caller, command.session_id, Role.LISTENER, command.target_language)
        try:
            taken = self._replace_listener(place, command.connection_id)
        except SessionNotFound as ended:
            # A listener of the session has guessed nothing: this is no refused attempt.
            raise NoSession(ended.message, field=ended.field) from None
        if taken is None:
            held = place
            session = self._join(
                caller, place.session_id, command.target_language, command.invite_code
            )
        else:
            held, session = taken
        return protocol.listener_refreshed(
            session,
            caller.connection_id,
            held.target_language or command.target_language,
            self._heartbeat_seconds(held),
        )

    def heartbeat(self, caller: Caller) -> tuple[protocol.Message, list[protocol.Message]]:
        """Answer a sign of life. A speaker's also keeps the session from expiring.

        Returns the answer, and the notices that are to follow it on an old connection.

        Raises: RateLimitExceeded.
        """
        now = self.clock()
        limits = self.limits
        heartbeat = self.store.note_heartbeat(
            caller.connection_id,
            lost_at_ms=self._lost_at_ms(limits.heartbeat_interval_seconds),
            settled_lost_at_ms=self._lost_at_ms(limits.heartbeat_settled_seconds),
            times_kept=heartbeats.times_to_keep(limits.heartbeats_per_minute),
        )
        connected_seconds = max(0, now - caller.connected_at_ms / 1000)
        ack = protocol.heartbeat_ack(int(connected_seconds), limits.heartbeat_interval_seconds)
        if heartbeat is None:
            return ack, []
        participant = heartbeat.participant
        _follow(participant)
        heartbeats.check_limit(heartbeat.times_ms)
        self._forget_refused_commands(participant)
        ack["heartbeatSeconds"] = self._heartbeat_seconds(participant)
        reminders = self._reminders(participant, connected_seconds)
        if participant.role is Role.LISTENER:
            return {**ack, "sessionId": participant.session_id}, reminders
        session = self.store.extend_session(
            participant.session_id, caller.connection_id, self._session_end()
        )
        if session is None:
            return ack, []
        return {**ack, **protocol.in_session(session)}, reminders

    def _heartbeat_seconds(self, participant: Connection) -> int:
        """Return how often a participant is asked for a heartbeat from now on."""
        if participant.has_settled_as_listener(int(self.clock() * 1000)):
            return self.limits.heartbeat_settled_seconds
        return self.limits.heartbeat_interval_seconds

    def _lost_at_ms(self, interval_seconds: int) -> int:
        """Return when a participant is lost that sends no heartbeat from now on."""
        silence_seconds = max(
            MISSED_HEARTBEATS * interval_seconds, self.limits.heartbeat_timeout_seconds
        )
        return int((self.clock() + silence_seconds) * 1000)

    def change_language(self, caller: Caller, command: protocol.ChangeLanguage) -> protocol.Message:
        """Raises: Forbidden, SessionNotFound."""
        connection = self._own_connection(caller, Role.LISTENER, command.session_id)
        session_id, language = connection.session_id, command.target_language
        before = self.store.set_language(caller.connection_id, session_id, language)
        if before is None:
            raise _has_no_session()
        if before != language:
            self.store.count_language_change(session_id, before, language)
        return protocol.language_changed(language)

    def get_status(self, caller: Caller, command: protocol.GetSessionStatus) -> protocol.Message:
        """Raises: Unauthorized, Forbidden, SessionNotFound."""
        connection = self._own_connection(caller, Role.SPEAKER, command.session_id)
        session = self.store.find_session(connection.session_id)
        if session is None or session.speaker_connection_id != caller.connection_id:
            raise _has_no_session()
        self._forget_refused_commands(connection)
        return protocol.session_status(session)

    def pause(self, caller: Caller, command: protocol.PauseSession) -> protocol.Message:
        """Pause the caller's session. Listeners are told unless it is paused already.

        Raises: Unauthorized, Forbidden, SessionNotFound.
        """
        notice = protocol.session_paused
        return self._set_status(caller, command.session_id, SessionStatus.PAUSED, notice)

    def resume(self, caller: Caller, command: protocol.ResumeSession) -> protocol.Message:
        """End a pause. Raises: Unauthorized, Forbidden, SessionNotFound."""
        notice = protocol.session_resumed
        return self._set_status(caller, command.session_id, SessionStatus.ACTIVE, notice)

    def rotate_invite_code(
        self, caller: Caller, command: protocol.RotateInviteCode
    ) -> protocol.Message:
        """Give the caller's session a new invite code; the old one admits no listener any more.

        Raises: Unauthorized, Forbidden, SessionNotFound.
        """
        connection = self._own_connection(caller, Role.SPEAKER, command.session_id)
        session = self.store.set_invite_code(
            connection.session_id, caller.connection_id, self.new_invite_code()
        )
        if session is None:
            raise _has_no_session()
        self._forget_refused_commands(connection)
        return protocol.invite_code_rotated(session.session_id, session.invite_code)

    def end(self, caller: Caller, command: protocol.EndSession) -> protocol.Message:
        """End the caller's session. He hears of it by the answer, the listeners by a notice.

        Raises: Unauthorized, Forbidden, SessionNotFound.
        """
        connection = self._own_connection(caller, Role.SPEAKER, command.session_id)
        if not self.lifecycle.end_by_speaker(connection.session_id, caller.connection_id):
            raise _has_no_session()
        return protocol.session_ended(connection.session_id, EndReason.SPEAKER_ENDED)

    def is_invited(self, session_id: str, invite_code: str) -> bool:
        """Return whether an open session has that invite code; False if DynamoDB can't tell."""
        try:
            session = self.store.find_session(session_id)
        except ServiceUnavailable:
            return False
        return session is not None and session.has_invite_code(invite_code)

    def is_refused_too_often(self, caller: Caller) -> bool:
        """Count a refused command, and return whether its connection is to be closed.

        If this fails the connection stays open: the refusal is the answer in any case.
        """
        try:
            refusals = self.store.count_refused_command(caller.connection_id)
        except ServiceUnavailable:
            telemetry.log_warning("refused command not counted")
            return False
        except Exception:
            telemetry.log_failure()
            return False
        return refusals >= self.limits.max_refused_commands

    def deliver(self, event: Mapping[str, Any]) -> None:
        """Post, or close, what outcomes.Outcomes has asked for."""
        connection_id, messages = event["connectionId"], event["messages"]
        with telemetry.handled("outcome", connection_id=connection_id, is_clients=False) as record:
            record.fields |= {name: event[name] for name in telemetry.TRAIL if event.get(name)}
            if event.get("closes"):
                self.sleep(event["delayMs"] / 1000)
                self.lifecycle.close_refused(connection_id)
            elif event["delayMs"]:
                self.deliver_reminders(connection_id, event["id"], messages, event["delayMs"])
            else:
                self.deliver_outcome(connection_id, event["id"], messages[0])

    def deliver_outcome(self, connection_id: str, event_id: str, text: str) -> bool:
        """Post the outcome of a connect-time command as soon as its connection is open.

        It says how the session stands by then, or that it has ended: the notices of that have not
        reached the client. A connection that does not open in about three seconds is taken as
        closed: what its command did is undone, as on any other end. False then.

        An event that Lambda delivers again is skipped: the first delivery has claimed it. If that
        broke off between its claim and its post, the outcome is lost, as after any other loss on
        the way: the answer to the client's next heartbeat names its session.
        """
        if not self.store.claim_event(event_id):
            return True
        message = json.loads(text)
        for delay_seconds in (*OUTCOME_DELAYS_SECONDS, None):
            text = self._up_to_date(connection_id, message)
            try:
                self.lifecycle.connections.post(connection_id, text)
            except Gone:
                if delay_seconds is not None:
                    self.sleep(delay_seconds)
            except PostFailed:
                # It may have come. Whoever missed it hears from his next heartbeat.
                return True
            else:
                return True
        self.lifecycle.never_opened(connection_id)
        return False

    def deliver_reminders(
        self, connection_id: str, event_id: str, texts: Sequence[str], delay_ms: int
    ) -> None:
        """Post what is to follow an answer, no sooner than in `delay_ms`.

        To a connection that still has its place: one that was replaced hears no more. An event
        that Lambda delivers again is skipped. If the first delivery broke off between its claim
        and its posts, the next heartbeat brings the reminders again.
        """
        self.sleep(delay_ms / 1000)
        connection = self.store.find_connection(connection_id)
        if connection is None or not self.store.claim_event(event_id):
            return
        _follow(connection)
        try:
            for text in texts:
                self.lifecycle.connections.post(connection_id, text)
        except PostFailed:
            # The next heartbeat brings them again.
            return
        except Gone:
            self.lifecycle.leave(connection_id)

    def _up_to_date(self, connection_id: str, outcome: protocol.Message) -> str:
        """Encode an outcome with its session's present status, or as a refusal if it is over.

        A speaker that another connection has superseded is refused, too.
        """
        now_ms = int(self.clock() * 1000)
        session = self.store.find_session(outcome["sessionId"])
        is_speakers = outcome["type"] == "sessionCreated" or outcome.get("role") == Role.SPEAKER
        if session is None or (is_speakers and session.speaker_connection_id != connection_id):
            refusal = protocol.error(_no_such_session())
            return protocol.encode(refusal, now_ms, outcome.get("requestId"))
        status = {"status": session.shown_status} if "status" in outcome else {}
        return protocol.encode({**outcome, **status}, now_ms)

    def _join(
        self,
        caller: Caller,
        session_id: str,
        target_language: str,
        invite_code: str | None,
        *,
        with_connection: bool = False,
    ) -> Session:
        """Let the caller in, under the limits of a join.

        The limit comes first, then the connection's record, then the seat. So a refused join never
        takes a seat, and a connection that has a place learns nothing of the session. The record is
        no place until the seat is taken. An end that comes after the seat finds the record, so the
        session's item, which all joins write, needs no second look. A crash leaves a record that is
        no place, or a seat that the sweep gives back.
        """
        if invite_code is None:
            self.rate_limits.count_join(caller, with_connection=with_connection)
        place = replace(
            self._new_place(caller, session_id, Role.LISTENER, target_language),
            is_present=False,
            is_arriving=True,
            arrival=new_arrival(),
        )
        claim = self._claim_place(place)
        if claim.held is not None:
            raise HasPlace(claim.held)
        try:
            session = self._take_seat(session_id, target_language, invite_code)
        except ServiceError as refusal:
            if isinstance(refusal, Forbidden | SessionFull):
                _follow(place)
            # What stays if this fails is no place.
            with suppress(ServiceUnavailable):
                self.store.withdraw(place)
            raise
        _follow(place)
        self._activate(place)
        return session

    def _take_seat(self, session_id: str, target_language: str, invite_code: str | None) -> Session:
        """Count a listener in, by the session's ID or by its invite code.

        With a code the session is read first. So guesses write nothing to its item.
        """
        max_listeners = self.limits.max_listeners
        if invite_code is None:
            return self.store.count_in(session_id, target_language, None, max_listeners)
        invitation = self.rate_limits.invitation(invite_code)
        session = self.store.find_session(session_id)
        refusal = refusal_to_join(session, invitation, max_listeners, self.clock())
        if refusal is not None or session is None:
            raise refusal or _no_such_session()
        return self.store.count_in(
            session_id,
            target_language,
            invitation,
            max_listeners,
            last_window=session.invited_window,
        )

    def _activate(self, place: Connection) -> None:
        """Make the place of a listener that was counted in valid, or give its seat back.

        It is not arriving any more if its connection has closed, if another command on it came
        first, or if the session has ended. None of them has counted it out.

        Raises: HasPlace, NoSession, SessionNotFound.
        """
        try:
            placed = self.store.activate(place)
        except ServiceUnavailable:
            self._undo_place(place)
            raise
        if placed.is_done:
            return
        self._count_out(place)
        if placed.held is None:
            raise _no_such_session()
        if placed.held.is_present or placed.held.is_arriving:
            raise HasPlace(placed.held)
        raise _has_no_session()

    def _replace_listener(
        self, place: Connection, old_id: str | None
    ) -> tuple[Connection, Session] | None:
        """Put a listener into the place of his old connection, or of what replaced that.

        Returns the place that he has then, and its session; None if that was no listener of it.

        Raises: Conflict, SessionNotFound, SessionFull, ServiceUnavailable (too many others replace
            the same listener at once, or have).
        """
        for _ in range(MAX_REPLACEMENTS):
            if old_id is None or old_id == place.connection_id:
                return self._own_place(place)
            old = self.store.find_record(old_id)
            if old is None or not _is_same_place(old, place) or not old.was_admitted:
                return self._own_place(place)
            place = replace(
                place,
                correlation=old.correlation,
                listening_since_ms=old.listening_since_ms or old.taken_at_ms,
            )
            _follow(place)
            if old.superseded_by is not None:
                old_id = old.superseded_by
                continue
            if not old.is_present:
                return self._come_back(place, old)
            tried = self.store.hand_over(old, place)
            if tried.is_done:
                return place, self._settle(place, old.target_language)
            if tried.new is not None and not self._clear_left_over(tried.new):
                if tried.new.superseded_by is not None and not tried.was_done_before(
                    place.connection_id
                ):
                    raise HasPlace(tried.new)
                return self._refreshed_before(tried.new, place)
        raise unavailable()

    def _own_place(self, place: Connection) -> tuple[Connection, Session] | None:
        """Find the place that the same command gave to the same connection before.

        Raises: Conflict, SessionNotFound.
        """
        held = self.store.find_record(place.connection_id)
        if held is None or (not held.is_present and held.superseded_by is None):
            return None
        return self._refreshed_before(held, place)

    def _come_back(self, place: Connection, left: Connection) -> tuple[Connection, Session] | None:
        """Let a listener in again whose connection was lost and is counted out already.

        Its record is claimed before its seat: of many returns at once by the same left connection,
        one at a time is counted in.

        Raises: SessionNotFound, SessionFull, Conflict.
        """
        claim = self._claim_return(left)
        if claim is None:
            return self._replace_listener(place, left.connection_id)
        returned: tuple[Connection, Session] | None = None
        try:
            returned = self._take_seat_again(place, left)
        finally:
            if returned is None or returned[0] is not place:
                # What stays if this fails lapses by itself.
                with suppress(ServiceUnavailable):
                    self.store.release_return(left.connection_id, claim)
        return returned or self._replace_listener(place, left.connection_id)

    def _claim_return(self, left: Connection) -> str | None:
        """Claim a left listener's return, and return the claim; None if it has returned meanwhile.

        Raises: ServiceUnavailable if another return by that connection goes on for too long.
        """
        for delay_seconds in (*SEAT_DELAYS_SECONDS, None):
            claim = self.store.claim_return(left)
            if claim is not None:
                return claim
            record = self.store.find_record(left.connection_id)
            if record is None or record.superseded_by is not None:
                return None
            if delay_seconds is not None:
                self.sleep(delay_seconds)
        raise unavailable()

    def _take_seat_again(
        self, place: Connection, left: Connection
    ) -> tuple[Connection, Session] | None:
        """Count a listener in that returns, and give it its place; None if another command has.

        Raises: SessionNotFound, SessionFull, Conflict.
        """
        self._count_in_again(place)
        try:
            tried = self.store.hand_over(left, place)
        except ServiceUnavailable:
            self._undo_place(place)
            raise
        if tried.is_done:
            return place, self._settle(place, place.target_language)
        self._count_out(place)
        if tried.new is None or self._clear_left_over(tried.new):
            return None
        return self._refreshed_before(tried.new, place)

    def _count_in_again(self, place: Connection) -> None:
        """Count a listener in that returns; wait a moment if the session is full.

        The listener's own seat may be the one that is just being given back.

        Raises: SessionNotFound, SessionFull.
        """
        for delay_seconds in (*SEAT_DELAYS_SECONDS, None):
            try:
                self.store.count_in(
                    place.session_id,
                    place.target_language or "",
                    None,
                    self.limits.max_listeners,
                    is_return=True,
                )
                return
            except SessionFull:
                if delay_seconds is None:
                    raise
                self.sleep(delay_seconds)

    def _refreshed_before(self, held: Connection, place: Connection) -> tuple[Connection, Session]:
        """Answer a refresh that was given again: nothing changes.

        Raises: Conflict if it was another command that gave the caller his place; SessionNotFound.
        """
        if not _is_same_place(held, place):
            raise HasPlace(held)
        session = self.store.find_session(place.session_id)
        if session is None:
            raise _no_such_session()
        self._forget_refused_commands(held)
        return held, session

    def _speaker_refreshed_before(
        self, caller: Caller, held: Connection, session_id: str
    ) -> protocol.Message:
        """Answer a refresh by a connection that was replaced since: nothing changes."""
        if held.session_id != session_id or held.role is not Role.SPEAKER:
            raise HasPlace(held)
        session = self.store.find_session(session_id)
        if session is None:
            raise _no_such_session()
        if session.speaker_user_id != caller.user_id:
            raise _not_yours()
        self._forget_refused_commands(held)
        return protocol.speaker_refreshed(
            session, caller.connection_id, self.limits.heartbeat_interval_seconds
        )

    def _set_status(
        self,
        caller: Caller,
        session_id: str | None,
        status: SessionStatus,
        notice: Callable[[str], protocol.Message],
    ) -> protocol.Message:
        connection = self._own_connection(caller, Role.SPEAKER, session_id)
        is_news = self.store.set_status(connection.session_id, caller.connection_id, status)
        if is_news is None:
            raise _has_no_session()
        self._forget_refused_commands(connection)
        message = notice(connection.session_id)
        if is_news:
            self.lifecycle.tell_listeners(connection.session_id, message)
        return message

    def _reminders(
        self, connection: Connection, connected_seconds: float
    ) -> list[protocol.Message]:
        """Say what a connection that grows old is told after each heartbeat."""
        remaining_seconds = max(0, int(CONNECTION_SECONDS - connected_seconds))
        reminders = []
        if connected_seconds >= self.limits.refresh_after_seconds:
            reminders.append(protocol.refresh_required(connection, remaining_seconds))
        if connected_seconds >= self.limits.warn_after_seconds:
            reminders.append(protocol.connection_warning(remaining_seconds))
        return reminders

    def _new_place(
        self, caller: Caller, session_id: str, role: Role, target_language: str | None = None
    ) -> Connection:
        correlation = session_id if role is Role.SPEAKER else caller.connection_id
        return Connection(
            connection_id=caller.connection_id,
            session_id=session_id,
            role=role,
            taken_at_ms=int(self.clock() * 1000),
            target_language=target_language,
            correlation=correlation,
            lost_at_ms=self._lost_at_ms(self.limits.heartbeat_interval_seconds),
            settled_lost_at_ms=self._lost_at_ms(self.limits.heartbeat_settled_seconds),
        )

    def _undo_place(self, place: Connection) -> None:
        """Take back a place that may or may not have been stored, of a listener counted in.

        Who found it stored, and took it away, has counted him out.
        """
        stored = self.store.delete_connection(
            place.connection_id,
            place.session_id,
            None if place.is_arriving else place.taken_at_ms,
            place.arrival,
        )
        if stored is None or stored.is_arriving:
            self._count_out(place)
        elif stored.is_present:
            self._count_out(stored)

    def _count_out(self, place: Connection) -> None:
        self.store.count_out(place.session_id, {place.target_language or "": 1})

    def _claim_place(self, place: Connection) -> Claim:
        """Store a connection's place or arrival, and return what stands in its way.

        What a refresh that broke off has left there does not: nobody was told of it.
        """
        claim = self.store.put_connection(place)
        if claim.held is None or not self._clear_left_over(claim.held):
            return claim
        return self.store.put_connection(place)

    def _clear_left_over(self, held: Connection) -> bool:
        """Delete a record that no longer says anything, and return whether it was one."""
        if not self._is_left_over(held):
            return False
        self.store.delete_connection(held.connection_id, held.session_id, held.taken_at_ms)
        return True

    def _is_left_over(self, held: Connection) -> bool:
        """Return whether it is a superseded participant of an ended session.

        Or a speaker's record by which its connection has never become the speaker.
        """
        if held.superseded_by is None and (
            held.role is not Role.SPEAKER
            or not held.is_present
            or not held.is_settled(self.clock())
        ):
            return False
        session = self.store.find_session(held.session_id)
        if session is None or held.superseded_by is not None:
            return session is None
        return held.connection_id not in session.speaker_connection_ids

    def _settle(self, place: Connection, counted_language: str | None) -> Session:
        """Note that a place has changed hands, and return its session, which is still open.

        `counted_language` is the one under which its listener is counted until then. If this fails
        the place stays: the same command again finds it, and the sweep repairs the counts.

        Raises: SessionNotFound.
        """
        language = place.target_language or ""
        session = self.store.touch_session(place.session_id, counted_language or language, language)
        if session is None:
            self._undo_place(place)
            raise _no_such_session()
        return session

    def _create_session(
        self, caller: Caller, user_id: str, command: protocol.CreateSession
    ) -> Session:
        """Raises: HasPlace."""
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
                admission=command.admission,
            )
            place = self._new_place(caller, session.session_id, Role.SPEAKER)
            placed = self.store.create_session(session, place)
            if placed.is_done:
                _follow(place)
                return session
            if placed.held is not None and not self._clear_left_over(placed.held):
                raise HasPlace(placed.held)
        raise InternalError("No free session id was found.")

    def _forget_refused_commands(self, connection: Connection) -> None:
        """Begin to count a connection's refused commands anew: one has succeeded."""
        if connection.refusals:
            self.store.forget_refused_commands(connection.connection_id)

    def _own_connection(self, caller: Caller, role: Role, session_id: str | None) -> Connection:
        """Find the caller's place, if its role may give the command for the session it names."""
        connection = self.store.find_connection(caller.connection_id)
        if connection is None:
            if role is Role.SPEAKER and caller.user_id is None:
                raise Unauthorized("This takes a speaker's token.")
            if session_id is not None:
                raise _another_session()
            raise _has_no_session()
        _follow(connection)
        if connection.role is not role:
            raise _not_yours()
        if session_id not in (None, connection.session_id):
            raise _another_session()
        return connection

    def _refusal_without_token(self, caller: Caller) -> Forbidden | Unauthorized:
        if self.store.find_connection(caller.connection_id):
            return _not_yours()
        return Unauthorized("This takes a speaker's token.")

    def _session_end(self) -> int:
        return int(self.clock()) + self.limits.session_max_duration_seconds


def _follow(connection: Connection) -> None:
    """Log whose event this is. Not before the session is known: an id is what a client wrote."""
    telemetry.follow(connection.session_id, connection.correlation)


def _is_same_place(held: Connection, place: Connection) -> bool:
    return held.session_id == place.session_id and held.role is place.role


def _no_such_session() -> SessionNotFound:
    return SessionNotFound("There is no such session.", field="sessionId")


def _has_no_session() -> NoSession:
    return NoSession("This connection has no session.")


def _not_yours() -> Forbidden:
    return Forbidden("This command is not for you to give.")


def _another_session() -> Forbidden:
    return Forbidden("This connection is in no session of that ID.", field="sessionId")
