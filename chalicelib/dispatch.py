"""Action to use case: the one place where both ways of giving a command meet.

An event comes in as API Gateway wrote it and leaves as the answer that API Gateway takes. Errors
are mapped here and nowhere else: to a handshake's status, or to an `error` message.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, assert_never

from chalicelib import protocol, telemetry
from chalicelib.errors import InternalError, RateLimitExceeded, ServiceError
from chalicelib.models import Caller
from chalicelib.outcomes import Outcomes
from chalicelib.rate_limits import RateLimits
from chalicelib.resilience import event_budget
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
        caller = caller_of(event)
        with _handled("connect", event) as record, event_budget():
            try:
                self._rate_limits.count_connection(caller.address)
                fields = protocol.read_query(_query(event))
                record.operation = protocol.find_action(fields) or "connect"
                command = protocol.parse_connect_command(fields)
                if command is None:
                    return {"statusCode": 200}
                request_id = protocol.parse_request_id(fields)
                outcome = self._run(caller, command)
            except Exception as error:
                return {"statusCode": record.refused(self._refusal(error, caller)).status}
            self._send_later(caller, [self._encode(outcome, request_id)])
            return {"statusCode": 200}

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
                reply = protocol.error(record.refused(self._refusal(error, caller)))
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

    def _refusal(self, error: Exception, caller: Caller) -> ServiceError:
        """Return what the caller is told: with too many refused attempts from there, only that."""
        refusal = _foreseen(error)
        if not refusal.is_attempt:
            return refusal
        retry_after_seconds = self._rate_limits.count_refusal(caller.address)
        if retry_after_seconds is None or caller.user_id is not None:
            return refusal
        return RateLimitExceeded(
            "Too many refused attempts.", retry_after_seconds=retry_after_seconds
        )

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
