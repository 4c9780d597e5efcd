"""Action to use case: the one place where both ways of giving a command meet.

An event comes in as API Gateway wrote it and leaves as the answer that API Gateway takes. Errors
are mapped here and nowhere else: to a handshake's status, or to an `error` message.
"""

from collections.abc import Callable, Mapping
from typing import Any, assert_never

from chalicelib import protocol, telemetry
from chalicelib.errors import InternalError, ServiceError
from chalicelib.gateway import Outcomes
from chalicelib.models import Caller
from chalicelib.sessions import Sessions

Event = Mapping[str, Any]
Answer = dict[str, Any]

CLEAN_CLOSE = 1000
"""Source: RFC 6455, section 7.4.1."""


class Dispatcher:
    def __init__(
        self,
        sessions: Sessions,
        outcomes: Outcomes,
        endpoint_url: str,
        clock: Callable[[], float],
    ) -> None:
        self._sessions = sessions
        self._outcomes = outcomes
        self._endpoint_url = endpoint_url
        self._clock = clock

    def connect(self, event: Event) -> Answer:
        """Carry out the connect URL's command, if any. A refusal refuses the handshake."""
        caller = caller_of(event)
        with telemetry.handled("connect", event) as record:
            try:
                fields = protocol.read_query(_query(event))
                command = protocol.parse_connect_command(fields)
                if command is None:
                    return {"statusCode": 200}
                request_id = protocol.parse_request_id(fields)
                outcome = self._run(caller, command)
            except Exception as error:
                return {"statusCode": record.refused(_refusal(error)).status}
            text = self._encode(outcome, request_id)
            self._outcomes.send(caller.connection_id, self._endpoint_url, text)
            return {"statusCode": 200}

    def message(self, event: Event) -> Answer:
        """Carry out a frame's command. The answer's body goes back by the route response.

        The status is always 200: sources conflict about what a client hears with another.
        """
        request_id: str | None = None
        with telemetry.handled("message", event) as record:
            try:
                fields = protocol.read_frame(event.get("body") or "")
                request_id = protocol.parse_request_id(fields)
                reply = self._run(caller_of(event), protocol.parse_command(fields))
            except Exception as error:
                reply = protocol.error(record.refused(_refusal(error)))
            return {"statusCode": 200, "body": self._encode(reply, request_id)}

    def disconnect(self, event: Event) -> Answer:
        """Take in that a connection has closed. API Gateway takes no answer, and may not tell."""
        with telemetry.handled("disconnect", event) as record:
            code = event["requestContext"].get("disconnectStatusCode")
            try:
                self._sessions.leave(
                    event["requestContext"]["connectionId"], cleanly=code == CLEAN_CLOSE
                )
            except Exception as error:
                record.refused(_refusal(error))
            return {"statusCode": 200}

    def _run(self, caller: Caller, command: protocol.Command) -> protocol.Message:
        sessions = self._sessions
        match command:
            case protocol.CreateSession():
                return sessions.create(caller, command)
            case protocol.JoinSession():
                return sessions.join(caller, command)
            case protocol.Heartbeat():
                return sessions.heartbeat(caller)
            case protocol.ChangeLanguage():
                return sessions.change_language(caller, command)
            case protocol.GetSessionStatus():
                return sessions.get_status(caller, command)
            case protocol.EndSession():
                return sessions.end(caller, command)
            case _:
                assert_never(command)

    def _encode(self, message: protocol.Message, request_id: str | None) -> str:
        return protocol.encode(message, int(self._clock() * 1000), request_id)


def caller_of(event: Event) -> Caller:
    """Read who speaks from what API Gateway says of the connection.

    The authorizer ran on $connect alone; API Gateway repeats its words on every later event.
    """
    context = event["requestContext"]
    return Caller(
        connection_id=context["connectionId"],
        user_id=context.get("authorizer", {}).get("userId") or None,
        connected_at_ms=context["connectedAt"],
    )


def _query(event: Event) -> Mapping[str, list[str]]:
    # Both keys are absent where the URL has no query string.
    return event.get("multiValueQueryStringParameters") or {}


def _refusal(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    telemetry.log_failure("unforeseen")
    return InternalError("Something went wrong on our side.")
