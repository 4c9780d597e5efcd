"""The life of a WebSocket connection after $connect accepted it."""

from asyncio import TimerHandle
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple, Protocol

from local_gateway import actions, events
from local_gateway.clock import now
from local_gateway.events import Client, Event
from local_gateway.functions import Function
from local_gateway.gateway import GOING_AWAY, Gateway, failure_body

MAX_PENDING_MESSAGES = 100
"""Number of unfinished messages at which the gateway stops reading from the client."""

MAX_MESSAGE_BYTES = 128 * 1024
"""Source: developer guide, limits of WebSocket APIs."""

MAX_UNSENT_BYTES = 1024 * 1024
"""Maximum size of the output buffer of a client that doesn't read. AWS documents no limit."""

NORMAL_CLOSURE = (1000, "Connection Closed Normally")
"""The code and reason with which a DELETE request closes a connection."""

NETWORK_LOSS = (1006, "Connection lost")
"""The code is from RFC 6455, 7.1.5. The reason is the gateway's choice."""


class Socket(Protocol):
    """The client's end of a connection."""

    @property
    def unsent_bytes(self) -> int:
        """The number of bytes that the client hasn't read yet."""

    def send_text(self, text: bytes) -> None:
        """Send a text message. Does nothing if the connection is closing."""

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake."""

    def pause_reading(self) -> None:
        """Stop reading from the client."""

    def resume_reading(self) -> None:
        """Continue reading from the client."""

    def silence(self) -> None:
        """Neither read nor write until the end of the silence, although the socket stays open."""

    def end_silence(self) -> None:
        """Continue to read and write, or abort the TCP connection if `close` was called."""


class BufferFull(Exception):
    """The client's output buffer is full because the client doesn't read."""


class _Message(NamedTuple):
    """A message from the client. `started` is the event loop's time at its arrival."""

    body: str
    request_id: str
    started: float


class Connection:
    """A client's connection, from its acceptance by $connect to the end of $disconnect.

    Events run concurrently, as on AWS: each message's handler starts when the message arrives, and
    its answer is sent when the handler ends. $disconnect starts when the socket is closed, and
    doesn't wait for messages that are still being handled.
    Source: developer guide, "Set up a WebSocket API integration response" and "$disconnect route".
    """

    def __init__(self, gateway: Gateway, client: Client, ordinal: int) -> None:
        """Register the connection as unfinished; `open` makes it reachable.

        Args:
            gateway: The gateway that the connection belongs to.
            client: The client as events describe it.
            ordinal: The connection's number in the log.
        """
        self.client = client
        self.ordinal = ordinal
        self.last_active_at = gateway.loop.time()
        self._gateway = gateway
        self._socket: Socket | None = None
        self._unfinished_messages = 0
        self._is_paused = False
        self._age_timer: TimerHandle | None = None
        self._opened_at = self.last_active_at
        self._silence_number = gateway.fault_injector.draw_for_connection()
        gateway.unfinished.add(self)

    @property
    def accepted_messages(self) -> int:
        """The number of messages until the gateway stops reading from the client, at least 1."""
        return max(1, MAX_PENDING_MESSAGES - self._unfinished_messages)

    def open(self, socket: Socket) -> None:
        """Attach the socket. From now on the connection accepts posts, and its timeouts run."""
        self._socket = socket
        self._gateway.open_connections[self.client.connection_id] = self
        self._check_age()
        self.silence_by_fault()
        if self._gateway.is_stopping:
            self.close(*GOING_AWAY)

    def silence_by_fault(self) -> None:
        """Silence the connection if the fault applies to it."""
        gateway, socket = self._gateway, self._socket
        is_silent = self._silence_number < gateway.fault_injector.faults.connection_silent_share
        if is_silent and socket is not None and socket not in gateway.silent_sockets:
            gateway.silent_sockets[socket] = self._silence_number
            socket.silence()

    def receive(self, body: str) -> None:
        """Start the handler of a message from the client."""
        gateway = self._gateway
        self.last_active_at = started = gateway.loop.time()
        event = events.message_event(gateway.api, self.client, body, now())
        message = _Message(body, event["requestContext"]["requestId"], started)
        function = gateway.application.routes.get("$default")
        if function is None:
            self._fail("Forbidden", message)
            return
        injector = gateway.fault_injector
        if injector.affects_messages and injector.selects(injector.faults.message_throttled_share):
            self._fail("Too Many Requests", message)
            return
        self._unfinished_messages += 1
        if self._unfinished_messages >= MAX_PENDING_MESSAGES:
            self._pause()
        gateway.invoke(function, event, partial(self._answer, message))
        if injector.affects_messages and injector.selects(injector.faults.message_outlived_share):
            self.close(*GOING_AWAY)

    def post(self, text: bytes) -> None:
        """Send a message to the client.

        Raises:
            BufferFull: The client's output buffer exceeds MAX_UNSENT_BYTES.
        """
        assert self._socket is not None
        if self._socket.unsent_bytes > MAX_UNSENT_BYTES:
            raise BufferFull
        self.last_active_at = self._gateway.loop.time()
        self._socket.send_text(text)

    def close(self, code: int, reason: str) -> None:
        """Start to close. Posts fail from now on. $disconnect follows when the socket is closed."""
        self._gateway.open_connections.pop(self.client.connection_id, None)
        if self._socket is not None:
            self._socket.close(code, reason)

    def closed(self, code: int, reason: str) -> None:
        """Deliver $disconnect because the socket is closed. Faults can drop, delay or repeat it."""
        gateway, injector = self._gateway, self._gateway.fault_injector
        gateway.open_connections.pop(self.client.connection_id, None)
        self._socket = None
        if self._age_timer is not None:
            self._age_timer.cancel()
        faults = injector.faults
        if injector.selects(faults.disconnect_lost_share):
            self._log("$disconnect", f"{code} lost by a fault", gateway.loop.time())
            gateway.unfinished.discard(self)
            return
        event = events.disconnect_event(gateway.api, self.client, code, reason, now())
        count = 2 if injector.selects(faults.disconnect_twice_share) else 1
        late_seconds = injector.delay(faults.disconnect_late_share, faults.disconnect_late_seconds)
        if late_seconds:
            gateway.call_late(late_seconds, lambda: self._deliver(event, code, count))
        else:
            self._deliver(event, code, count)

    def _check_age(self) -> None:
        """Close the connection if it is idle or too old; otherwise schedule the next check.

        One timer is enough. Activity doesn't move it, as the check reads the last activity's time.
        """
        timeouts = self._gateway.timeouts
        due_at = min(
            self.last_active_at + timeouts.idle_seconds,
            self._opened_at + timeouts.lifetime_seconds,
        )
        if due_at <= self._gateway.loop.time():
            self.close(*GOING_AWAY)
        else:
            self._age_timer = self._gateway.loop.call_at(due_at, self._check_age)

    def _pause(self) -> None:
        if self._socket is not None and not self._is_paused:
            self._is_paused = True
            self._socket.pause_reading()

    def _resume(self) -> None:
        if self._socket is not None and self._is_paused:
            self._is_paused = False
            self._socket.resume_reading()

    def _answer(self, message: _Message, result: Any, error: BaseException | None) -> None:
        try:
            defect = _find_defect(result)
            if error is None and defect is None:
                self._reply(result, message)
                return
            failure = f": {defect}" if error is None else " failed"
            self._fail("Internal server error", message)
            self._gateway.log.error(f"#{self.ordinal} $default{failure}", error)
        finally:
            self._unfinished_messages -= 1
            if self._unfinished_messages < MAX_PENDING_MESSAGES // 2:
                self._resume()

    def _reply(self, result: Any, message: _Message) -> None:
        """Send the result's body if the route has a route response. The status isn't sent."""
        body = result.get("body") if isinstance(result, dict) else None
        status = result.get("statusCode") if isinstance(result, dict) else None
        if body and "$default" in self._gateway.application.route_responses:
            if self._send(_encode(body)):
                self._log_message(message, "replied", status)
            else:
                self._log_message(message, "reply lost")
        else:
            self._log_message(message, "ok", status)

    def _fail(self, error: str, message: _Message) -> None:
        """Send API Gateway's own error message. The connection stays open."""
        is_sent = self._send(failure_body(error, self.client.connection_id, message.request_id))
        self._log_message(message, error if is_sent else "reply lost")

    def _log_message(self, message: _Message, outcome: str, status: object = None) -> None:
        """Log a message with its action, if it is loggable, and the function's status."""
        log = self._gateway.log
        action = None if log.is_quiet else actions.in_message(message.body)
        if action is not None:
            action += f" {status if isinstance(status, int) else outcome}"
        log.event(self.ordinal, "$default", outcome, message.started, action)

    def _send(self, text: bytes) -> bool:
        """Send a text message. Returns False if the connection is closing or closed."""
        if self._socket is None or self._gateway.find_connection(self.client.connection_id) is None:
            return False
        self.last_active_at = self._gateway.loop.time()
        self._socket.send_text(text)
        return True

    def _deliver(self, event: Event, code: int, count: int) -> None:
        """Run $disconnect's handler this number of times, one after the other."""
        gateway = self._gateway
        function: Function | None = gateway.application.routes.get("$disconnect")
        if function is None or not count:
            gateway.unfinished.discard(self)
        else:
            # The handler can change its event, and a second one gets the same content.
            own_event = deepcopy(event) if count > 1 else event
            done = partial(self._disconnected, event, code, count, gateway.loop.time())
            gateway.invoke(function, own_event, done)

    def _disconnected(
        self,
        event: Event,
        code: int,
        count: int,
        started: float,
        _result: Any,
        error: BaseException | None,
    ) -> None:
        try:
            if error is not None:
                self._gateway.log.error(f"#{self.ordinal} $disconnect failed", error)
            self._log("$disconnect", f"{code} {'ok' if error is None else 'failed'}", started)
        finally:
            self._deliver(event, code, count - 1)

    def _log(self, route: str, outcome: str, started: float) -> None:
        self._gateway.log.event(self.ordinal, route, outcome, started)


def _find_defect(result: Any) -> str | None:
    """Return why a result isn't valid for a proxy integration; None if it is.

    A body is optional. If present, it must be a string within the message limit.
    """
    body = result.get("body") if isinstance(result, dict) else None
    if body is None:
        return None
    if not isinstance(body, str):
        return "the body must be a string"
    if len(_encode(body)) > MAX_MESSAGE_BYTES:
        return f"the body must not exceed {MAX_MESSAGE_BYTES} bytes"
    return None


def _encode(body: str) -> bytes:
    """Encode a body as UTF-8. Lone surrogates, which JSON allows, are replaced."""
    return body.encode(errors="replace")
