"""Signed requests to AWS over kept connections, at a twentieth of what boto3 costs for each.

For the two callers that cannot pay for boto3: the fan-out, which posts once to each receiver, and
the authorizer, which would import it for one call. Nothing here knows a service: what a status
means is for the callers to say, and so is whether to try again. No proxies, redirects or queries.
`get` requests a public resource, without a signature and without a kept connection.
"""

import errno
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from math import inf
from typing import Any, Final, Generic, TypeVar
from urllib.parse import SplitResult, urlsplit

from chalicelib.signing import Credentials, Signer

MAX_IDLE_SECONDS: Final = 20
"""A connection kept for longer is not used again.

Lambda freezes the process between events, and the end of a connection may come to light only when
a request has been sent into it: then nobody knows whether it was taken. Source: "Best practices for
working with AWS Lambda functions" (keep-alive); aws-sdk-js-v3 issue 1196.
"""

MAX_KEPT_CONNECTIONS: Final = 128
"""Two fan-outs' worth; what comes back beyond it is closed."""

ADDRESS_SECONDS: Final = 5
"""How long a host's addresses are kept: all the connections of a fan-out need one look-up."""

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 1024 * 1024
"""An item of DynamoDB's has 400 KB at most, and JSON may double it. Source: "Quotas", DynamoDB
Developer Guide.
"""

USER_AGENT: Final = "broadcast-sessions"
"""Firewalls refuse requests that have none. Source: "AWS Managed Rules for AWS WAF", core rule set
(NoUserAgent_HEADER).
"""

_Address = tuple[Any, Any, int, str, Any]
_READ_BYTES: Final = 64 * 1024
_IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
"""Source: RFC 9110, section 9.2.2."""


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


Result = TypeVar("Result")
Key = TypeVar("Key")

Wait = tuple[int, int, float]
"""A file descriptor, the events of poll that are waited for, and until when at most."""

Steps = Generator[Wait, None, Result]
"""Something under way that yields where it has to wait.

Whoever drives it goes on once one of the events is there, and throws TimeoutError if none came.
"""


class SignedClient:
    """Makes signed requests to one endpoint; all threads may share it.

    Each request under way has a connection to itself. It goes back to the pool once its answer
    has been read, and whoever comes next gets the one that was used last.
    """

    def __init__(
        self,
        endpoint_url: str,
        service: str,
        region: str,
        credentials: Callable[[], Credentials],
        *,
        connect_timeout_seconds: float,
        read_timeout_seconds: float,
        clock: Callable[[], float] = time.time,
        tls_context: "Callable[[], ssl.SSLContext] | None" = None,
    ) -> None:
        """Open nothing yet.

        `credentials` is asked for each request, so it had better be quick; what it raises comes
        out of the request. `clock` is the wall's: it dates signatures, and goes on while Lambda
        freezes the process. `tls_context` is asked when an https connection is opened.
        """
        url = urlsplit(endpoint_url)
        self._host = _Host(url, tls_context or shared_tls_context, clock)
        self._base_path = url.path.rstrip("/")
        self._signer = Signer(url.netloc, service, region)
        self._credentials = credentials
        self._connect_timeout_seconds = connect_timeout_seconds
        self._read_timeout_seconds = read_timeout_seconds
        self._clock = clock
        self._kept: list[_Connection] = []

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,
    ) -> Answer:
        """Send a request and return its answer, whatever its status.

        `path` is quoted already, and goes below that of the endpoint's URL. A kept connection
        that turns out to be closed is replaced by a new one, once, and only if the request was
        not taken for certain, or if doing it twice does no harm (`is_idempotent`; by default as
        HTTP has it for the method). There is no other retry.

        Connecting has a time-out, and the whole answer another; only looking up the host's name
        has none.

        Raises: Unreachable.
        """
        return _run(self.steps(method, path, body, headers, is_idempotent=is_idempotent))

    def steps(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,
    ) -> Steps[Answer]:
        """Do as `request` does, but yield where that would wait."""
        message = self._encode(method, self._base_path + path, body, headers or {})
        if kept := self._find_kept():
            try:
                return (yield from self._exchange(kept, method, message))
            except Unreachable as error:
                if is_idempotent is None:
                    is_idempotent = method in _IDEMPOTENT_METHODS
                if error.is_timeout or (error.was_sent and not is_idempotent):
                    raise
        connection = yield from self._host.connect(time.monotonic() + self._connect_timeout_seconds)
        return (yield from self._exchange(connection, method, message))

    def close(self) -> None:
        """Close the connections that are kept. The client can be used again."""
        while self._kept:
            self._kept.pop().close()

    def _encode(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        signed = self._signer.sign(method, path, headers, body, self._credentials(), self._clock())
        lines = "".join([f"{name}: {value}\r\n" for name, value in signed.items()])
        if body or method == "POST":
            lines += f"content-length: {len(body)}\r\n"
        return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body

    def _find_kept(self) -> "_Connection | None":
        oldest_at = self._clock() - MAX_IDLE_SECONDS
        while True:
            try:
                kept = self._kept.pop()
            except IndexError:
                return None
            if kept.idle_since > oldest_at and kept.is_quiet():
                return kept
            kept.close()

    def _exchange(self, connection: "_Connection", method: str, message: bytes) -> Steps[Answer]:
        """Raises: Unreachable; the connection is then closed, and so it is when nobody goes on."""
        ends_at = time.monotonic() + self._read_timeout_seconds
        try:
            answer = yield from connection.exchange(method, message, ends_at)
        except (OSError, ValueError) as error:
            connection.close()
            raise _unreachable(error, was_sent=connection.was_sent) from None
        except BaseException:
            connection.close()
            raise
        if connection.is_reusable and len(self._kept) < MAX_KEPT_CONNECTIONS:
            connection.idle_since = self._clock()
            self._kept.append(connection)
        else:
            connection.close()
        return answer


class SideBySide(Generic[Key]):
    """Drives many requests, each known by a key. It belongs to one thread, and starts none.

    A thread for each of 64 requests took four times the processor's time, 0.13 ms a post instead
    of 0.03: most of it for waking them up and for handing on the interpreter's lock. And there is
    nothing to stop at a time limit, nor to be frozen with the process between two events.
    """

    def __init__(self) -> None:
        self._poll = select.poll()
        self._waiting: dict[int, tuple[Key, Steps[Answer], float]] = {}
        self._ended: list[tuple[Key, Answer | Unreachable]] = []

    def __len__(self) -> int:
        """Count what is under way, or has ended and not been returned."""
        return len(self._waiting) + len(self._ended)

    def start(self, key: Key, steps: Steps[Answer]) -> None:
        """Let a request go as far as it can without waiting."""
        self._go_on(key, steps, is_late=False)

    def wait(self, until: float) -> list[tuple[Key, Answer | Unreachable]]:
        """Return what has ended, in the order in which it did; nothing if it is `until` before."""
        while not self._ended and (now := time.monotonic()) < until:
            first_end_at = min([ends_at for _, _, ends_at in self._waiting.values()], default=inf)
            if now >= first_end_at:
                self._end_late(now)
                continue
            ready = self._poll.poll(_poll_ms(min(until, first_end_at) - now))
            for descriptor, _ in ready:
                self._resume(descriptor, is_late=False)
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """Abandon what is under way: its connections are closed."""
        for _, steps, _ in self._waiting.values():
            steps.close()
        self._waiting.clear()

    def _end_late(self, now: float) -> None:
        late = [fd for fd, (_, _, ends_at) in self._waiting.items() if ends_at <= now]
        for descriptor in late:
            self._resume(descriptor, is_late=True)

    def _resume(self, descriptor: int, *, is_late: bool) -> None:
        # The descriptor may be closed in the next step, and be another connection's then.
        self._poll.unregister(descriptor)
        key, steps, _ = self._waiting.pop(descriptor)
        self._go_on(key, steps, is_late=is_late)

    def _go_on(self, key: Key, steps: Steps[Answer], *, is_late: bool) -> None:
        try:
            descriptor, events, ends_at = steps.throw(TimeoutError()) if is_late else next(steps)
        except StopIteration as end:
            self._ended.append((key, end.value))
        except Unreachable as error:
            self._ended.append((key, error))
        else:
            self._poll.register(descriptor, events)
            self._waiting[descriptor] = (key, steps, ends_at)


def get(url: str, seconds: float) -> Answer:
    """Get a public resource, unsigned and over a connection of its own.

    All of it has to be done within `seconds`, but for the look-up of the host's name, which the
    system's resolver limits.

    Raises: Unreachable.
    """
    return _run(_get(urlsplit(url), time.monotonic() + seconds))


def _get(url: SplitResult, ends_at: float) -> Steps[Answer]:
    connection = yield from _Host(url, shared_tls_context, time.time).connect(ends_at)
    message = (
        f"GET {url.path or '/'} HTTP/1.1\r\nhost: {url.netloc}\r\n"
        f"user-agent: {USER_AGENT}\r\nconnection: close\r\n\r\n"
    )
    try:
        return (yield from connection.exchange("GET", message.encode("latin-1"), ends_at))
    except (OSError, ValueError) as error:
        raise _unreachable(error, was_sent=connection.was_sent) from None
    finally:
        connection.close()


def _run(steps: Steps[Result]) -> Result:
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
    return seconds > 0 and bool(poll.poll(_poll_ms(seconds)))


def _poll_ms(seconds: float) -> float | None:
    return None if seconds == inf else seconds * 1000


def _patiently(
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


def _unreachable(error: Exception, *, was_sent: bool) -> Unreachable:
    is_timeout = isinstance(error, TimeoutError)
    return Unreachable(repr(error), was_sent=was_sent, is_timeout=is_timeout)


_tls_lock = threading.Lock()


def shared_tls_context() -> ssl.SSLContext:
    """Return the one that all connections share: it takes some 20 ms to read the authorities."""
    with _tls_lock:
        return _make_tls_context()


@lru_cache(maxsize=1)
def _make_tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


class _Host:
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

    def connect(self, ends_at: float) -> "Steps[_Connection]":
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
        raise _unreachable(failure, was_sent=False)

    def _find_addresses(self) -> list[_Address]:
        """Look the host up, once for all connections of a fan-out.

        Raises: OSError, UnicodeError.
        """
        if self._clock() - self._addresses_found_at > ADDRESS_SECONDS:
            self._addresses = socket.getaddrinfo(self._name, self._port, type=socket.SOCK_STREAM)
            self._addresses_found_at = self._clock()
        return self._addresses

    def _connect_to(self, address: _Address, ends_at: float) -> "Steps[_Connection]":
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
                yield from _patiently(connecting.do_handshake, connecting, 0, ends_at)
        except BaseException:
            connecting.close()
            raise
        return _Connection(connecting)


class _Connection:
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
            sent = yield from _patiently(send, self._socket, select.POLLOUT, self._ends_at)
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
        received = yield from _patiently(read, self._socket, select.POLLIN, self._ends_at)
        if time.monotonic() > self._ends_at:
            raise TimeoutError  # A server that always has more to send is never waited for.
        self._buffer += received
        return len(received)


def _parse_length(text: "str | bytes", base: int) -> int:
    length = int(text, base)
    if not 0 <= length <= MAX_BODY_BYTES:
        raise ValueError("a length out of bounds")
    return length
