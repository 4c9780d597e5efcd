"""Minimal clients that cost little CPU beside the measured server.

They write and read bytes on an asyncio transport. A client library costs about as much as the
server, and would bring every ratio closer to 1.
"""

import asyncio
from collections import deque
from contextlib import suppress

_HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_POST = "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"

_HEAD_END = b"\r\n\r\n"
_TEXT = 0x81
_MASKED = 0x80
_MASK = bytes(4)
"""A mask of zeros, which leaves the payload unchanged. The server unmasks it anyway."""

_CLOSE_NORMALLY = bytes([0x88, _MASKED | 2]) + _MASK + (1000).to_bytes(2)

_TWO_MORE_BYTES, _EIGHT_MORE_BYTES = 126, 127
"""Lengths that stand for a longer length field. Source: RFC 6455, section 5.2."""


class Refused(Exception):
    """The server did not answer the handshake with 101."""


_received_bytes = memoryview(bytearray(64 * 1024))
"""The buffer of all connections, for one read at a time.

asyncio.Protocol gets a new buffer of 256 KiB for each read. Depending on the process's history,
glibc maps and unmaps it each time, which takes 30 microseconds or none.
"""


class Wire(asyncio.BufferedProtocol):
    """A TCP connection with the messages that it has received."""

    def __init__(self) -> None:
        """Start without a transport, which asyncio adds."""
        self.transport: asyncio.Transport
        self.is_lost = False
        self._buffer = bytearray()
        self._received: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None

    async def ask(self, request: bytes) -> bytes:
        """Send an encoded request, and wait for the next message.

        Raises:
            ConnectionError: The connection is closed.
        """
        self.transport.write(request)
        return await self.receive()

    async def receive(self) -> bytes:
        """Wait for the next message. Only one task may wait at a time.

        Raises:
            ConnectionError: The connection is closed.
        """
        while not self._received:
            if self.is_lost:
                raise ConnectionError
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._received.popleft()

    async def wait_closed(self) -> None:
        """Wait until the server closes the connection, and discard messages until then."""
        while not self.is_lost:
            self._received.clear()
            with suppress(ConnectionError):
                await self.receive()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def get_buffer(self, _size_hint: int) -> memoryview:
        """Return the buffer that all connections share."""
        return _received_bytes

    def buffer_updated(self, count: int) -> None:
        """Parse the bytes that asyncio has read, and wake the waiting task."""
        self._buffer += _received_bytes[:count]
        self._parse()
        if self._received:
            self._wake()

    def connection_lost(self, _error: Exception | None) -> None:
        """Wake the waiting task."""
        self.is_lost = True
        self._wake()

    def _parse(self) -> None:
        """Move complete messages from the buffer to the received ones."""
        raise NotImplementedError

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _take_head(self) -> bytes | None:
        """Remove a complete HTTP head from the buffer and return it."""
        end = self._buffer.find(_HEAD_END)
        if end < 0:
            return None
        head = bytes(self._buffer[:end])
        del self._buffer[: end + len(_HEAD_END)]
        return head


class WebSocket(Wire):
    """A WebSocket. It receives the handshake's head, then the text of messages."""

    def __init__(self) -> None:
        """Start before the handshake."""
        super().__init__()
        self._is_open = False

    def close(self) -> None:
        """Start to close with 1000. The server closes the connection."""
        if not self.is_lost:
            self.transport.write(_CLOSE_NORMALLY)

    def _parse(self) -> None:
        if not self._is_open:
            head = self._take_head()
            if head is None:
                return
            self._received.append(head)
            self._is_open = True
        while (frame := self._take_frame()) is not None:
            self._received.append(frame)

    def _take_frame(self) -> bytes | None:
        """Remove a complete frame from the buffer, and return its text unless it closes."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        start, length = 2, buffer[1]
        if length >= _TWO_MORE_BYTES:
            start += 8 if length == _EIGHT_MORE_BYTES else 2
            length = int.from_bytes(buffer[2:start]) if len(buffer) >= start else 0
        if len(buffer) < start + length:
            return None
        is_message = buffer[0] == _TEXT
        payload = bytes(buffer[start : start + length])
        del buffer[: start + length]
        return payload if is_message else None


class HttpClient(Wire):
    """A persistent HTTP connection. It receives the heads of responses without a body."""

    def _parse(self) -> None:
        while (head := self._take_head()) is not None:
            self._received.append(head)


def encode_message(message: str) -> bytes:
    """Encode a text message of at most 64 KiB as a client's frame."""
    payload = message.encode()
    length = len(payload)
    if length < _TWO_MORE_BYTES:
        head = bytes([_TEXT, _MASKED | length])
    else:
        head = bytes([_TEXT, _MASKED | _TWO_MORE_BYTES]) + length.to_bytes(2)
    return head + _MASK + payload


def encode_post(path: str, body: str) -> bytes:
    """Encode a POST request."""
    payload = body.encode()
    return _POST.format(path=path, length=len(payload)).encode() + payload


async def open_websocket(host: str, port: int, path: str) -> WebSocket:
    """Connect, and complete the handshake.

    Raises:
        Refused: The server refused the handshake.
        OSError: The server can't be reached.
    """
    _, wire = await asyncio.get_running_loop().create_connection(WebSocket, host, port)
    wire.transport.write(_HANDSHAKE.format(path=path).encode())
    head = await wire.receive()
    if not head.startswith(b"HTTP/1.1 101"):
        wire.transport.abort()
        raise Refused(head)
    return wire


async def open_http(host: str, port: int) -> HttpClient:
    """Connect.

    Raises:
        OSError: The server can't be reached.
    """
    _, client = await asyncio.get_running_loop().create_connection(HttpClient, host, port)
    return client
