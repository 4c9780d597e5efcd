"""Admission of an upgrade request, by the authorizer and then by $connect."""

from http import HTTPStatus
from typing import Any, Protocol

from local_gateway import actions, events, policy
from local_gateway.clock import now
from local_gateway.connection import NETWORK_LOSS, Connection
from local_gateway.events import Client, Handshake
from local_gateway.faults import Throttled
from local_gateway.functions import message_of
from local_gateway.gateway import Gateway, failure_body
from local_gateway.workers import TimedOut

_MESSAGES = {
    HTTPStatus.INTERNAL_SERVER_ERROR: "Internal server error",
    HTTPStatus.BAD_GATEWAY: "Internal server error",
}


class Upgrade(Protocol):
    """A client that is waiting for the response to its upgrade request."""

    client: Client
    handshake: Handshake
    is_gone: bool

    def accept(self, connection: Connection, subprotocol: str | None) -> None:
        """Respond with status 101 and hand the socket over to the connection."""

    def refuse(self, status: int, body: bytes) -> None:
        """Respond with the status and a JSON body, and close the socket."""


class Malformed(Exception):
    """The $connect handler returned a result that isn't valid for a proxy integration."""


class Admission:
    """The admission of one upgrade request. Each step is a callback of the previous one."""

    def __init__(self, gateway: Gateway, upgrade: Upgrade) -> None:
        """Assign the connection's number; `start` begins."""
        self._gateway = gateway
        self._upgrade = upgrade
        self._ordinal = gateway.next_ordinal()
        self._started = gateway.loop.time()
        gateway.unfinished.add(self)

    def start(self) -> None:
        """Invoke the authorizer and then $connect, each if the application has one."""
        gateway, injector = self._gateway, self._gateway.fault_injector
        faults = injector.faults
        if injector.selects(faults.connect_throttled_share):
            self._refuse("$connect", 429)
            return
        function = gateway.application.authorizer
        if function is None:
            self._connect()
            return
        handshake = self._upgrade.handshake
        if not all(source.is_in(handshake) for source in gateway.application.identity_sources):
            self._refuse("authorizer", 401)
            return
        if injector.selects(faults.authorizer_timeout_share):
            wait_seconds = faults.authorizer_timeout_ms / 1000
            error = TimedOut("authorizer_timeout_share")
            gateway.loop.call_later(wait_seconds, self._authorized, None, error)
            return
        upgrade = self._upgrade
        event = events.authorizer_event(gateway.api, upgrade.client, upgrade.handshake, now())
        gateway.invoke(function, event, self._authorized)

    def _authorized(self, result: Any, error: BaseException | None) -> None:
        """Continue if the authorizer allows it.

        Otherwise refuse with status 403 (Deny), 401 (the error "Unauthorized") or 500.
        """
        if error is not None:
            is_unauthorized = message_of(error) == "Unauthorized"
            if not is_unauthorized:
                self._gateway.log.error(f"#{self._ordinal} authorizer failed", error)
            self._refuse("authorizer", 401 if is_unauthorized else 500)
            return
        try:
            is_allowed = policy.is_allowed(result, self._gateway.api.connect_arn)
            self._upgrade.client.authorizer = policy.authorizer_context(result, self._elapsed_ms())
        except policy.InvalidResult as invalid:
            self._gateway.log.error(f"#{self._ordinal} authorizer: {invalid}")
            self._refuse("authorizer", 500)
            return
        if not is_allowed:
            self._refuse("authorizer", 403)
            return
        self._log("authorizer", "allow")
        self._connect()

    def _connect(self) -> None:
        gateway, upgrade = self._gateway, self._upgrade
        self._started = gateway.loop.time()
        function = gateway.application.routes.get("$connect")
        if function is None:
            self._admit(None)
            return
        event = events.connect_event(gateway.api, upgrade.client, upgrade.handshake, now())
        gateway.invoke(function, event, self._connected)

    def _connected(self, result: Any, error: BaseException | None) -> None:
        """Open the connection if $connect returns status 2xx.

        Otherwise refuse with that status, with 502 if $connect failed, or with 500 if Lambda
        throttled it.
        """
        if error is not None:
            self._gateway.log.error(f"#{self._ordinal} $connect failed", error)
            self._refuse("$connect", 500 if isinstance(error, Throttled) else 502)
            return
        try:
            status, subprotocol = _status(result), _subprotocol(result)
        except Malformed as malformed:
            self._gateway.log.error(f"#{self._ordinal} {malformed}")
            self._refuse("$connect", 502)
            return
        if 200 <= status < 300:
            self._admit(subprotocol)
        else:
            self._refuse("$connect", status)

    def _admit(self, subprotocol: str | None) -> None:
        """Open the connection. If the client has already disconnected, close it immediately."""
        self._log("$connect", 200)
        connection = Connection(self._gateway, self._upgrade.client, self._ordinal)
        self._gateway.unfinished.discard(self)
        if self._upgrade.is_gone:
            connection.closed(*NETWORK_LOSS)
        else:
            self._upgrade.accept(connection, subprotocol)

    def _refuse(self, route: str, status: int) -> None:
        """Respond with API Gateway's own body. API Gateway doesn't forward the integration's."""
        self._log(route, str(status))
        self._gateway.unfinished.discard(self)
        self._upgrade.refuse(status, refusal_body(status, self._upgrade.client.connection_id))

    def _elapsed_ms(self) -> int:
        return int((self._gateway.loop.time() - self._started) * 1000)

    def _log(self, route: str, outcome: str | int) -> None:
        action = actions.in_query(self._upgrade.handshake.query) if route == "$connect" else None
        text = None if action is None else f"{route} {action} {outcome}"
        self._gateway.log.event(self._ordinal, route, outcome, self._started, text)


def refusal_body(status: int, connection_id: str) -> bytes:
    """Encode the response body for a refusal with this status."""
    try:
        known = HTTPStatus(status)
        message = _MESSAGES.get(known, known.phrase)
    except ValueError:
        message = "Connection refused"
    return failure_body(message, connection_id, events.make_id())


def _status(result: Any) -> int:
    status = result.get("statusCode") if isinstance(result, dict) else None
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise Malformed("$connect must return an object with a statusCode from 200 to 599")
    return status


def _subprotocol(result: dict[str, Any]) -> str | None:
    """Return the subprotocol, which is the only header of $connect's that reaches the client."""
    for headers in (result.get("headers") or {}, result.get("multiValueHeaders") or {}):
        if not isinstance(headers, dict):
            raise Malformed("$connect must return its headers as an object")
        for name, values in headers.items():
            if name.lower() == "sec-websocket-protocol":
                return _single_value(values)
    return None


def _single_value(values: Any) -> str:
    value = values[0] if isinstance(values, list) and values else values
    if not isinstance(value, str) or not (value.isascii() and value.isprintable()):
        raise Malformed("Sec-WebSocket-Protocol must be one string of printable ASCII characters")
    return value
