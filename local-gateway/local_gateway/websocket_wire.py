"""The WebSocket protocol on a TCP connection.

Framing uses the sans-I/O core of the websockets package, without a task or timer per message.
"""

import asyncio
import logging
from typing import NamedTuple, cast

from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as WebSocketRequest
from websockets.http11 import Response as WebSocketResponse
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol

from local_gateway.connection import MAX_MESSAGE_BYTES, NETWORK_LOSS, Connection
from local_gateway.http_messages import Request
from local_gateway.reading import ReadingProtocol

MAX_FRAME_BYTES = 32 * 1024
"""Maximum size of a frame. Source: developer guide, limits of WebSocket APIs."""

MIN_MESSAGE_BYTES = 6
"""Minimum size of a client's frame, with its mask. No message takes fewer bytes."""

CLOSE_TIMEOUT_SECONDS = 2
"""Timeout for the client to answer a close frame and close the TCP connection."""

NO_STATUS = (1005, "Client-side close frame status not set")
"""The code and reason for a close frame without a status. Source: a real $disconnect event."""

_HANDSHAKE_HEADERS = (
    "connection",
    "upgrade",
    "sec-websocket-key",
    "sec-websocket-version",
)

_NOTHING = memoryview(b"")

_LOGGER = logging.getLogger("local_gateway.websocket")
_LOGGER.setLevel(logging.WARNING)


class Acceptance(NamedTuple):
    """The response to a handshake, with the protocol's state after it."""

    response: WebSocketResponse
    core: ServerProtocol


def negotiate(request: Request) -> Acceptance:
    """Validate a handshake.

    The websockets package gets only the headers that it needs, because its limit for a header
    (8 KiB) is lower than API Gateway's. No extension or subprotocol is negotiated.

    Returns:
        A response with status 101, or with 400, 405 or 426 for an invalid handshake.
    """
    headers = Headers([pair for pair in request.headers if pair[0].lower() in _HANDSHAKE_HEADERS])
    core = ServerProtocol(
        state=State.OPEN, max_size=(MAX_MESSAGE_BYTES, MAX_FRAME_BYTES), logger=_LOGGER
    )
    response = core.accept(
        WebSocketRequest(request.path, headers, method=request.method, protocol="HTTP/1.1")
    )
    return Acceptance(response, core)


def encode_acceptance(response: WebSocketResponse, subprotocol: str | None) -> bytes:
    """Encode the response that opens the WebSocket."""
    if subprotocol is not None:
        response.headers["Sec-WebSocket-Protocol"] = subprotocol
    return response.serialize()


class WebSocketWire(ReadingProtocol):
    """An open WebSocket."""

    def __init__(
        self, transport: asyncio.Transport, core: ServerProtocol, connection: Connection
    ) -> None:
        """Take over the transport after the handshake.

        Args:
            transport: The TCP connection.
            core: The protocol's state after the handshake.
            connection: Receives the messages and the end of the WebSocket.
        """
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._connection = connection
        self._core = core
        self._fragments = bytearray()
        self._pauses = 0
        self._end: tuple[int, str] | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._held: bytearray | None = None
        self._unread = _NOTHING
        self._is_abandoned = False

    @property
    def unsent_bytes(self) -> int:
        """The number of bytes that the client hasn't read yet."""
        return self._transport.get_write_buffer_size() + len(self._held or b"")

    def send_text(self, text: bytes) -> None:
        """Send a text message. Does nothing if the connection is closing."""
        if self._core.state is State.OPEN:
            self._core.send_text(text)
            self._flush()

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake. A silent client gets none, and the connection ends now."""
        if self._held is not None:
            self._is_abandoned = True
            self._connection.closed(code, reason)
        elif self._core.state is State.OPEN:
            self._end = (code, reason)
            self._core.send_close(code, reason)
            self._flush()

    def pause_reading(self) -> None:
        """Stop reading until `resume_reading` has been called once per pause."""
        if self._core.state is State.OPEN:
            self._pauses += 1
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Undo one pause. Reading continues after the last one."""
        self._pauses = max(0, self._pauses - 1)
        if self._pauses == 0 and not self._transport.is_closing():
            self._transport.resume_reading()
            self._handle_unread()

    def silence(self) -> None:
        """Neither read nor write until the end of the silence, although the socket stays open."""
        self._held = bytearray()
        self.pause_reading()

    def end_silence(self) -> None:
        """Continue to read and write, or abort the TCP connection if `close` was called."""
        held, self._held = self._held, None
        if self._is_abandoned:
            self._transport.abort()
            return
        self._transport.write(bytes(held or b""))
        self.resume_reading()

    # The transport calls the following methods.

    def data_received(self, data: bytes) -> None:
        """Handle bytes from the client, up to a pause. Early data can arrive during a silence."""
        self._unread = memoryview(data)
        self._handle_unread()

    def eof_received(self) -> None:
        """Handle the end of the client's data. The transport then closes itself."""
        self._core.receive_eof()

    def connection_lost(self, _error: Exception | None) -> None:
        """Notify the connection of its end. Without a closing handshake, the code is 1006.

        The messages that arrived during a pause are handled first.
        """
        if not self._is_abandoned:
            if self._unread and self._held is None:
                self._handle(bytes(self._unread))
            self._connection.closed(*(self._end or NETWORK_LOSS))
        if self._close_timer is not None:
            self._close_timer.cancel()

    def pause_writing(self) -> None:
        """Stop reading from a client that doesn't read its messages."""
        self.pause_reading()

    def resume_writing(self) -> None:
        """Continue reading because the client has read its messages."""
        self.resume_reading()

    def _handle_unread(self) -> None:
        """Handle the unread bytes, in parts that contain no more messages than are accepted."""
        while self._unread and self._pauses == 0 and self._held is None:
            size = len(self._unread)
            if self._core.state is State.OPEN:
                size = MIN_MESSAGE_BYTES * self._connection.accepted_messages
            part, self._unread = self._unread[:size], self._unread[size:] or _NOTHING
            self._handle(bytes(part))

    def _handle(self, data: bytes) -> None:
        core = self._core
        core.receive_data(data)
        for event in core.events_received():
            self._frame_received(cast(Frame, event))
        if core.parser_exc is not None and self._end is None:
            self._end = _failure(core)
        if core.writes:
            self._flush()

    def _frame_received(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT and frame.fin:
            self._message_received(frame.data)
        elif frame.opcode is Opcode.TEXT or frame.opcode is Opcode.CONT:
            self._fragments += frame.data
            if frame.fin:
                message, self._fragments = self._fragments, bytearray()
                self._message_received(message)
        elif frame.opcode is Opcode.BINARY:
            self._fail(1003, "Binary frames are not supported")
        elif frame.opcode is Opcode.CLOSE:
            self._close_received()

    def _message_received(self, message: bytes | bytearray | memoryview) -> None:
        if self._end is not None:
            return
        try:
            body = str(message, "utf-8")
        except UnicodeDecodeError:
            self._fail(1007, "Invalid UTF-8")
            return
        self._connection.receive(body)

    def _close_received(self) -> None:
        close = self._core.close_rcvd
        if self._end is None and close is not None:
            self._end = NO_STATUS if close.code == 1005 else (int(close.code), close.reason)

    def _fail(self, code: int, reason: str) -> None:
        if self._end is None:
            self._end = (code, reason)
            self._core.fail(code, reason)

    def _flush(self) -> None:
        for data in self._core.data_to_send():
            if data == SEND_EOF:
                self._end_writing()
            elif self._held is not None:
                self._held += data
            else:
                self._transport.write(data)
        if self._core.state is not State.OPEN:
            self._expect_end()

    def _end_writing(self) -> None:
        """Close the transport, or only its write side if the client can still send.

        A full close with unread data would reset the connection.
        """
        if self._core.close_rcvd is not None:
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.write_eof()

    def _expect_end(self) -> None:
        """Make the connection unreachable now, and abort the transport after a timeout."""
        self._connection.close(*(self._end or NETWORK_LOSS))
        self._pauses = 0
        self.resume_reading()
        if self._close_timer is None:
            self._close_timer = self._loop.call_later(CLOSE_TIMEOUT_SECONDS, self._transport.abort)


def _failure(core: ServerProtocol) -> tuple[int, str]:
    close = core.close_sent
    return NETWORK_LOSS if close is None else (int(close.code), close.reason)
