"""The dispatcher, which maps WebSocket events to use cases.

It answers an error of a frame by an `error` message, and an error of a connect URL by the status of
the handshake.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Final, assert_never

from chalicelib import commands, messages, telemetry
from chalicelib.aws.retries import event_budget
from chalicelib.captions import Captions
from chalicelib.fields import Fields, read_frame, read_query
from chalicelib.joining import Joining
from chalicelib.lifecycle import Lifecycle
from chalicelib.messages import Message, Reply
from chalicelib.models import Caller
from chalicelib.outcomes import Delivery, Outcomes
from chalicelib.presence import Presence
from chalicelib.rate_limits import RateLimits
from chalicelib.refresh import Refresh
from chalicelib.refusals import Refusals, to_refusal
from chalicelib.sessions import Sessions

Event = Mapping[str, Any]
"""An event as API Gateway sends it."""

Answer = dict[str, Any]
"""An answer in the form that API Gateway accepts."""

FOLLOW_UP_DELAY_MS: Final = 50
"""Time between an answer and its follow-ups, in which the client receives the answer."""


class Dispatcher:
    """Handles the three events of the WebSocket API."""

    def __init__(
        self,
        sessions: Sessions,
        joining: Joining,
        refresh: Refresh,
        presence: Presence,
        lifecycle: Lifecycle,
        captions: Captions,
        refusals: Refusals,
        rate_limits: RateLimits,
        outcomes: Outcomes,
        endpoint_url: str,
        clock: Callable[[], float],
    ) -> None:
        self._sessions = sessions
        self._joining = joining
        self._refresh = refresh
        self._presence = presence
        self._lifecycle = lifecycle
        self._captions = captions
        self._refusals = refusals
        self._rate_limits = rate_limits
        self._outcomes = outcomes
        self._endpoint_url = endpoint_url
        self._clock = clock

    def connect(self, event: Event) -> Answer:
        """Run the connect URL's command, if it has one. A refused command refuses the handshake."""
        caller = replace(caller_of(event), is_connecting=True)
        with _handled("connect", event) as record, event_budget():
            command: commands.Command | None = None
            try:
                fields = read_query(_query(event))
                record.operation = commands.find_action(fields) or "connect"
                command, request_id = self._read_connect(caller, fields)
                if command is None:
                    return {"statusCode": 200}
                reply = self._run(caller, command)
            except Exception as error:
                refusal = self._refusals.refusal(error, caller, with_connection=_has_code(command))
                return {"statusCode": record.refused(refusal).status}
            # A post inside $connect would fail.
            self._deliver(caller, _with_request_id(reply.message, request_id))
            return {"statusCode": 200}

    def _read_connect(
        self, caller: Caller, fields: Fields
    ) -> tuple[commands.Command | None, str | None]:
        """Read a connect URL's command and request ID, and count the connection.

        The write that counts a join also counts its connection. With an invite code, only a
        refused attempt counts the connection, because a valid code passes the limit, even without
        a command.
        """
        command: commands.Command | None = None
        try:
            request_id = commands.parse_request_id(fields) if "action" in fields else None
            command = commands.parse_connect_command(fields)
        finally:
            is_counted_later = isinstance(command, commands.JoinSession) or _has_code(command)
            if not is_counted_later and not self._is_invited(command, fields):
                self._rate_limits.count_connection(caller)
        return command, request_id

    def _is_invited(self, command: commands.Command | None, fields: Fields) -> bool:
        invitation = None if command else commands.find_invitation(fields)
        return invitation is not None and self._joining.is_invited(*invitation)

    def message(self, event: Event) -> Answer:
        """Run a frame's command. The route response returns the answer's body.

        The status is always 200, because sources disagree about the frame that a client gets with
        another status.
        """
        request_id: str | None = None
        caller = caller_of(event)
        with _handled("message", event) as record, event_budget():
            try:
                fields = read_frame(event.get("body") or "")
                record.operation = commands.find_action(fields) or "message"
                request_id = commands.parse_request_id(fields)
                reply = self._run(caller, commands.parse_command(fields))
            except Exception as error:
                refusal = record.refused(self._refusals.refusal(error, caller))
                if self._refusals.count_refused_command(refusal, caller):
                    self._deliver(caller, delay_ms=FOLLOW_UP_DELAY_MS, closes=True)
                reply = Reply(messages.error(refusal))
            if reply.follow_ups:
                self._deliver(caller, *reply.follow_ups, delay_ms=FOLLOW_UP_DELAY_MS)
            answer = _with_request_id(reply.message, request_id)
            return {"statusCode": 200, "body": messages.encode(answer, int(self._clock() * 1000))}

    def disconnect(self, event: Event) -> Answer:
        """Handle a closed connection. API Gateway ignores the answer."""
        context = event["requestContext"]
        with _handled("disconnect", event) as record, event_budget():
            try:
                code = context.get("disconnectStatusCode")
                self._lifecycle.leave(context["connectionId"], code)
            except Exception as error:
                record.refused(to_refusal(error))
            return {"statusCode": 200}

    def _run(self, caller: Caller, command: commands.Command) -> Reply:
        match command:
            case commands.CreateSession():
                return self._sessions.create(caller, command)
            case commands.JoinSession():
                return self._joining.join(caller, command)
            case commands.RefreshSpeaker():
                return self._refresh.refresh_speaker(caller, command)
            case commands.RefreshListener():
                return self._refresh.refresh_listener(caller, command)
            case commands.Heartbeat():
                return self._presence.heartbeat(caller)
            case commands.ChangeLanguage():
                return self._joining.change_language(caller, command)
            case commands.GetSessionStatus():
                return self._sessions.get_status(caller, command)
            case commands.PauseSession():
                return self._sessions.pause(caller, command)
            case commands.ResumeSession():
                return self._sessions.resume(caller, command)
            case commands.RotateInviteCode():
                return self._sessions.rotate_invite_code(caller, command)
            case commands.EndSession():
                return self._sessions.end(caller, command)
            case commands.SendCaption():
                return self._captions.send(caller, command)
            case commands.GetCaptions():
                return self._captions.get(caller, command)
            case _:
                assert_never(command)

    def _deliver(
        self, caller: Caller, *delivered: Message, delay_ms: int = 0, closes: bool = False
    ) -> None:
        """Deliver messages, or close the connection, after this event's answer."""
        self._outcomes.send(
            Delivery(caller.connection_id, self._endpoint_url, delivered, delay_ms, closes)
        )


def caller_of(event: Event) -> Caller:
    """Read the caller from an event.

    The authorizer runs only for $connect. API Gateway repeats its context in every later event.
    """
    context = event["requestContext"]
    return Caller(
        connection_id=context["connectionId"],
        user_id=_user_id(context),
        connected_at_ms=context["connectedAt"],
        address=(context.get("identity") or {}).get("sourceIp") or "",
    )


def _handled(name: str, event: Event) -> AbstractContextManager[telemetry.Record]:
    context = event["requestContext"]
    return telemetry.handled(
        name,
        connection_id=context["connectionId"],
        user_id=_user_id(context),
        request_id=context.get("requestId"),
    )


def _with_request_id(message: Message, request_id: str | None) -> Message:
    return message if request_id is None else {**message, "requestId": request_id}


def _has_code(command: commands.Command | None) -> bool:
    match command:
        case commands.JoinSession() | commands.RefreshListener():
            return command.invite_code is not None
        case _:
            return False


def _user_id(context: Mapping[str, Any]) -> str | None:
    # AWS sends null for values that it leaves out elsewhere.
    return (context.get("authorizer") or {}).get("userId") or None


def _query(event: Event) -> Mapping[str, list[str]]:
    # Absent or null if the URL has no query string.
    query = event.get("multiValueQueryStringParameters") or {}
    return {name: values or [] for name, values in query.items()}
