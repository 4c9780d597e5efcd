"""HTTP/1.1 over sockets, in steps that yield wherever they would wait."""

import errno
import os
import select
import socket
import ssl
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import SplitResult

ADDRESS_SECONDS: Final = 5
"""How long a host's addresses are kept: all the connections of a fan-out need one look-up."""

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 4 * 1024 * 1024
"""A page of a Query or Scan has 1 MB of items at most, and JSON takes up to four times as much.
Source: "Query" (1 MB), Amazon DynamoDB API Reference.
"""

_Address = tuple[Any, Any, int, str, Any]
_READ_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said; the headers' names are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Unreachable(Exception):
    """There was no answer, or none that could be read, within the time for it.

    `was_sent` is false if it is certain that the server did not get the whole request, and so
    did nothing about it. `is_timeout` says that the time ran out.
    """

    def __init__(self, reason: str, *, was_sent: bool, is_timeout: bool = False) -> None:
        super().__init__(reason)
        self.was_sent = was_sent
        self.is_timeout = is_timeout


class Transport(Protocol):
    """Sends one request; http.SignedClient is one. Raises: Unreachable."""

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,
    ) -> Answer: ...


Result = TypeVar("Result")

Wait = tuple[int, int, float]
"""A file descriptor, the events of poll that are waited for, and until when at most."""

Steps = Generator[Wait, None, Result]
"""Something under way that yields where it has to wait.

Whoever drives it goes on once one of the events is there, and throws TimeoutError if none came.
"""


def run(steps: Steps[Result]) -> Result:
    """Drive one alone, and wait where it waits."""
    try:
        wait = next(steps)
        while True:
            wait = next(steps) if _is_ready(*wait) else steps.throw(TimeoutError())
    except StopIteration as end:
        result: Result = end.value
        return result


def _is_ready(descriptor: int, events: int, ends_at: float) -> bool:
    seconds = ends_at - time.monotonic()
    poll = select.poll()
    poll.register(descriptor, events)
    return seconds > 0 and bool(poll.poll(poll_ms(seconds)))


def poll_ms(seconds: float) -> float | None:
    return None if seconds == inf else seconds * 1000


def patiently(
    operation: Callable[[], Result], connected: socket.socket, events: int, ends_at: float
) -> Steps[Result]:
    """Do what does not block, again and again until it can be done."""
    while True:
        try:
            return operation()
        except ssl.SSLWantReadError:
            wanted = select.POLLIN
        except ssl.SSLWantWriteError:
            wanted = select.POLLOUT
        except BlockingIOError:
            wanted = events
        yield connected.fileno(), wanted, ends_at


def unreachable(error: Exception, *, was_sent: bool) -> Unreachable:
    is_timeout = isinstance(error, TimeoutError)
    return Unreachable(repr(error), was_sent=was_sent, is_timeout=is_timeout)


class Host:
    """Opens connections to the host of a URL."""

    def __init__(
        self,
        url: SplitResult,
        tls_context: "Callable[[], ssl.SSLContext]",
        clock: Callable[[], float],
    ) -> None:
        self._name = url.hostname or ""
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._tls_context = tls_context if url.scheme == "https" else None
        self._clock = clock
        self._addresses: list[_Address] = []
        self._addresses_found_at = -inf

    def connect(self, ends_at: float) -> "Steps[Connection]":
        """Raises: Unreachable, if none of the host's addresses takes a connection."""
        failure: Exception = OSError("no address")
        try:
            for address in self._find_addresses():
                try:
                    return (yield from self._connect_to(address, ends_at))
                except TimeoutError:
                    raise
                except OSError as error:
                    failure = error
        except (OSError, UnicodeError) as error:
            failure = error
        self._addresses_found_at = -inf
        raise unreachable(failure, was_sent=False)

    def _find_addresses(self) -> list[_Address]:
        """Look the host up, once for all connections of a fan-out.

        Raises: OSError, UnicodeError.
        """
        if self._clock() - self._addresses_found_at > ADDRESS_SECONDS:
            self._addresses = socket.getaddrinfo(self._name, self._port, type=socket.SOCK_STREAM)
            self._addresses_found_at = self._clock()
        return self._addresses

    def _connect_to(self, address: _Address, ends_at: float) -> "Steps[Connection]":
        """Raises: OSError."""
        family, kind, protocol, _, target = address
        connecting = socket.socket(family, kind, protocol)
        try:
            connecting.setblocking(False)
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = connecting.connect_ex(target)
            if number == errno.EINPROGRESS:
                yield connecting.fileno(), select.POLLOUT, ends_at
                number = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise OSError(number, os.strerror(number))
            if self._tls_context:
                connecting = self._tls_context().wrap_socket(
                    connecting, server_hostname=self._name, do_handshake_on_connect=False
                )
                yield from patiently(connecting.do_handshake, connecting, 0, ends_at)
        except BaseException:
            connecting.close()
            raise
        return Connection(connecting)


class Connection:
    """One HTTP/1.1 connection: a request, its answer, and then the next.

    http.client took more than twice the processor's time, 0.08 ms a signed post instead of 0.03: it
    reads headers with the parser of e-mails.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)
        self._buffer = b""
        self._ends_at = inf
        self.idle_since = 0.0
        self.was_sent = False
        self.is_reusable = False

    def close(self) -> None:
        self._socket.close()

    def is_quiet(self) -> bool:
        """Say whether nothing came since the last answer: else it is an end, or out of turn."""
        return not self._poll.poll(0)

    def exchange(self, method: str, message: bytes, ends_at: float) -> Steps[Answer]:
        """Raises: OSError; ValueError for what is not HTTP, or too long."""
        self.was_sent = self.is_reusable = False
        self._ends_at = ends_at
        yield from self._send(message)
        self.was_sent = True
        # No answer can be there yet, and reading in vain costs more than to wait.
        yield self._socket.fileno(), select.POLLIN, ends_at
        version, status, headers = yield from self._read_head()
        while 100 <= status < 200:
            version, status, headers = yield from self._read_head()
        body, has_end = yield from self._read_body(method, status, headers)
        is_lasting = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        self.is_reusable = is_lasting and has_end and not self._buffer
        return Answer(status, body, headers)

    def _send(self, message: bytes) -> Steps[None]:
        rest = memoryview(message)
        while rest:
            send = partial(self._socket.send, rest)
            sent = yield from patiently(send, self._socket, select.POLLOUT, self._ends_at)
            rest = rest[sent:]

    def _read_head(self) -> Steps[tuple[str, int, dict[str, str]]]:
        head = yield from self._read_until(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, status, *_ = status_line.split(" ", 2)
        if not version.startswith("HTTP/1."):
            raise ValueError("no HTTP/1")
        pairs = [line.partition(":") for line in lines]
        return version, int(status), {name.lower(): value.strip() for name, _, value in pairs}

    def _read_body(
        self, method: str, status: int, headers: dict[str, str]
    ) -> Steps[tuple[bytes, bool]]:
        """Return the body, and whether it had an end of its own.

        Source: RFC 9112, section 6.3.
        """
        if method == "HEAD" or status in (204, 304):
            return b"", True
        if coding := headers.get("transfer-encoding"):
            if coding.lower() != "chunked":
                raise ValueError("unknown transfer coding")
            return (yield from self._read_chunks()), True
        if length := headers.get("content-length"):
            return (yield from self._read_exactly(_parse_length(length, 10))), True
        return (yield from self._read_to_end()), False

    def _read_chunks(self) -> Steps[bytes]:
        body = b""
        while line := (yield from self._read_until(b"\r\n")):
            size = _parse_length(line.partition(b";")[0], 16)
            if size == 0:
                break
            body += yield from self._read_exactly(size)
            if (yield from self._read_exactly(2)) != b"\r\n" or len(body) > MAX_BODY_BYTES:
                raise ValueError("chunks that do not fit")
        while (yield from self._read_until(b"\r\n")):
            pass  # Trailers.
        return body

    def _read_to_end(self) -> Steps[bytes]:
        while (yield from self._receive()):
            if len(self._buffer) > MAX_BODY_BYTES:
                raise ValueError("too long a body")
        body, self._buffer = self._buffer, b""
        return body

    def _read_until(self, end: bytes) -> Steps[bytes]:
        while (at := self._buffer.find(end)) < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise ValueError("too long a head")
            yield from self._receive_more()
        read, self._buffer = self._buffer[:at], self._buffer[at + len(end) :]
        return read

    def _read_exactly(self, size: int) -> Steps[bytes]:
        while len(self._buffer) < size:
            yield from self._receive_more()
        read, self._buffer = self._buffer[:size], self._buffer[size:]
        return read

    def _receive_more(self) -> Steps[None]:
        if not (yield from self._receive()):
            raise ConnectionResetError("closed before the answer's end")

    def _receive(self) -> Steps[int]:
        read = partial(self._socket.recv, _READ_BYTES)
        received = yield from patiently(read, self._socket, select.POLLIN, self._ends_at)
        if time.monotonic() > self._ends_at:
            raise TimeoutError  # A server that always has more to send is never waited for.
        self._buffer += received
        return len(received)


def _parse_length(text: "str | bytes", base: int) -> int:
    length = int(text, base)
    if not 0 <= length <= MAX_BODY_BYTES:
        raise ValueError("a length out of bounds")
    return length
