"""Action to use case: the one place where both ways of giving a command meet.

An event comes in as API Gateway wrote it and leaves as the answer that API Gateway takes. Errors
are mapped here and nowhere else: to a handshake's status, or to an `error` message.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, assert_never

from chalicelib import protocol, telemetry
from chalicelib.aws.retries import event_budget
from chalicelib.errors import InternalError, ServiceError, ServiceUnavailable
from chalicelib.models import Caller
from chalicelib.outcomes import Outcomes
from chalicelib.rate_limits import RateLimits
from chalicelib.sessions import Sessions

Event = Mapping[str, Any]
Answer = dict[str, Any]

FOLLOW_MS = 50
"""After an answer has been returned, to what is to follow it: it is with the client by then."""


class Dispatcher:
    def __init__(
        self,
        sessions: Sessions,
        rate_limits: RateLimits,
        outcomes: Outcomes,
        endpoint_url: str,
        clock: Callable[[], float],
    ) -> None:
        self._sessions = sessions
        self._rate_limits = rate_limits
        self._outcomes = outcomes
        self._endpoint_url = endpoint_url
        self._clock = clock

    def connect(self, event: Event) -> Answer:
        """Carry out the connect URL's command, if any. A refusal refuses the handshake."""
        caller = replace(caller_of(event), is_connecting=True)
        with _handled("connect", event) as record, event_budget():
            command: protocol.Command | None = None
            try:
                fields = protocol.read_query(_query(event))
                record.operation = protocol.find_action(fields) or "connect"
                command, request_id = self._read_connect(caller, fields)
                if command is None:
                    return {"statusCode": 200}
                outcome = self._run(caller, command)
            except Exception as error:
                refusal = self._refusal(error, caller, with_connection=_has_code(command))
                return {"statusCode": record.refused(refusal).status}
            self._send_later(caller, [self._encode(outcome, request_id)])
            return {"statusCode": 200}

    def _read_connect(
        self, caller: Caller, fields: protocol.Fields
    ) -> tuple[protocol.Command | None, str | None]:
        """Read a connect URL's command and request ID, and count the connection.

        A join counts it in the write that counts the join. With an invite code only a refusal
        counts it: a valid code passes the limit, also that of a connection without a command.
        """
        command: protocol.Command | None = None
        try:
            request_id = protocol.parse_request_id(fields) if "action" in fields else None
            command = protocol.parse_connect_command(fields)
        finally:
            is_counted_later = isinstance(command, protocol.JoinSession) or _has_code(command)
            if not is_counted_later and not self._is_invited(command, fields):
                self._rate_limits.count_connection(caller)
        return command, request_id

    def _is_invited(self, command: protocol.Command | None, fields: protocol.Fields) -> bool:
        invitation = None if command else protocol.find_invitation(fields)
        return invitation is not None and self._sessions.is_invited(*invitation)

    def message(self, event: Event) -> Answer:
        """Carry out a frame's command. The answer's body goes back by the route response.

        The status is always 200: sources conflict about what a client hears with another.
        """
        request_id: str | None = None
        caller = caller_of(event)
        with _handled("message", event) as record, event_budget():
            try:
                fields = protocol.read_frame(event.get("body") or "")
                record.operation = protocol.find_action(fields) or "message"
                request_id = protocol.parse_request_id(fields)
                reply = self._run(caller, protocol.parse_command(fields))
            except Exception as error:
                refusal = record.refused(self._refusal(error, caller))
                self._close_if_refused_too_often(refusal, caller)
                reply = protocol.error(refusal)
            return {"statusCode": 200, "body": self._encode(reply, request_id)}

    def disconnect(self, event: Event) -> Answer:
        """Take in that a connection has closed. API Gateway takes no answer, and may not tell."""
        context = event["requestContext"]
        with _handled("disconnect", event) as record, event_budget():
            code = context.get("disconnectStatusCode")
            try:
                self._sessions.lifecycle.leave(context["connectionId"], code)
            except Exception as error:
                record.refused(_foreseen(error))
            return {"statusCode": 200}

    def _run(self, caller: Caller, command: protocol.Command) -> protocol.Message:
        sessions = self._sessions
        match command:
            case protocol.CreateSession():
                return sessions.create(caller, command)
            case protocol.JoinSession():
                return sessions.join(caller, command)
            case protocol.RefreshSpeaker():
                return sessions.refresh_speaker(caller, command)
            case protocol.RefreshListener():
                return sessions.refresh_listener(caller, command)
            case protocol.Heartbeat():
                return self._heartbeat(caller)
            case protocol.ChangeLanguage():
                return sessions.change_language(caller, command)
            case protocol.GetSessionStatus():
                return sessions.get_status(caller, command)
            case protocol.PauseSession():
                return sessions.pause(caller, command)
            case protocol.ResumeSession():
                return sessions.resume(caller, command)
            case protocol.RotateInviteCode():
                return sessions.rotate_invite_code(caller, command)
            case protocol.EndSession():
                return sessions.end(caller, command)
            case _:
                assert_never(command)

    def _heartbeat(self, caller: Caller) -> protocol.Message:
        answer, reminders = self._sessions.heartbeat(caller)
        if reminders:
            texts = [self._encode(reminder, None) for reminder in reminders]
            self._send_later(caller, texts, FOLLOW_MS)
        return answer

    def _send_later(self, caller: Caller, texts: Sequence[str], delay_ms: int = 0) -> None:
        self._outcomes.send(caller.connection_id, self._endpoint_url, texts, delay_ms)

    def _refusal(
        self, error: Exception, caller: Caller, *, with_connection: bool = False
    ) -> ServiceError:
        """Return the refusal for an error: after too many refused attempts only that."""
        refusal = _foreseen(error)
        if not refusal.is_attempt:
            return refusal
        return self._rate_limits.count_refusal(caller, with_connection=with_connection) or refusal

    def _close_if_refused_too_often(self, refusal: ServiceError, caller: Caller) -> None:
        """Close a connection that keeps being refused, after the answer to its command."""
        is_ours = isinstance(refusal, ServiceUnavailable | InternalError)
        if not is_ours and self._sessions.is_refused_too_often(caller):
            self._outcomes.close(caller.connection_id, self._endpoint_url, FOLLOW_MS)

    def _encode(self, message: protocol.Message, request_id: str | None) -> str:
        return protocol.encode(message, int(self._clock() * 1000), request_id)


def _handled(name: str, event: Event) -> AbstractContextManager[telemetry.Record]:
    context = event["requestContext"]
    return telemetry.handled(
        name,
        connection_id=context["connectionId"],
        user_id=_user_id(context),
        request_id=context.get("requestId"),
    )


def caller_of(event: Event) -> Caller:
    """Read who speaks from what API Gateway says of the connection.

    The authorizer ran on $connect alone; API Gateway repeats its words on every later event.
    """
    context = event["requestContext"]
    return Caller(
        connection_id=context["connectionId"],
        user_id=_user_id(context),
        connected_at_ms=context["connectedAt"],
        address=(context.get("identity") or {}).get("sourceIp") or "",
    )


def _has_code(command: protocol.Command | None) -> bool:
    match command:
        case protocol.JoinSession() | protocol.RefreshListener():
            return command.invite_code is not None
        case _:
            return False


def _user_id(context: Mapping[str, Any]) -> str | None:
    # AWS sends null for what it leaves out elsewhere.
    return (context.get("authorizer") or {}).get("userId") or None


def _query(event: Event) -> Mapping[str, list[str]]:
    # Absent or null if the URL has no query string.
    query = event.get("multiValueQueryStringParameters") or {}
    return {name: values or [] for name, values in query.items()}


def _foreseen(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    telemetry.log_failure()
    return InternalError("Something went wrong on our side.")
