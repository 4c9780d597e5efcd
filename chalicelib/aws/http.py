"""HTTP requests to AWS services, over connections that are kept open.

A request takes a twentieth of boto3's CPU time. Callers interpret the status and decide on
retries. Proxies, redirects and query strings are not supported.
"""

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import SplitResult, urlsplit

from chalicelib.aws.signing import Credentials, Signer
from chalicelib.aws.wire import Answer, Connection, Host, Steps, Unreachable, run, unreachable

MAX_IDLE_SECONDS: Final = 20
"""Idle time after which a kept connection is not used again.

Lambda freezes the process between events. The connection may be closed in that time, and the
process notices only after it has sent a request, so it cannot know whether the request arrived.
Source: "Best practices for working with AWS Lambda functions" (keep-alive); aws-sdk-js-v3 issue
1196.
"""

MAX_KEPT_CONNECTIONS: Final = 128
"""Connections kept open, enough for two fan-outs. Further ones are closed after use."""

USER_AGENT: Final = "broadcast-sessions"
"""The `user-agent` of unsigned requests. Firewalls refuse requests without one.

Source: "AWS Managed Rules for AWS WAF", core rule set (NoUserAgent_HEADER).
"""

_IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
"""Source: RFC 9110, section 9.2.2."""


class SignedClient:
    """Sends signed requests to one endpoint. Thread-safe.

    Each request has its own connection. When the answer has been read, the connection returns to
    the pool. The next request takes the most recently used one.
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
        tls_context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """Create a client without opening a connection.

        Args:
            endpoint_url: The service's URL. Its path precedes the path of each request.
            service: The service's signing name.
            region: The AWS Region.
            credentials: Returns the current credentials. Called for each request.
            connect_timeout_seconds: Time to connect. The DNS lookup is not included.
            read_timeout_seconds: Time for the request and its whole answer.
            clock: A wall clock in seconds. It dates signatures, and continues while Lambda
                freezes the process.
            tls_context: Returns the context for https connections. The default is shared.
        """
        url = urlsplit(endpoint_url)
        self._host = Host(url, tls_context or shared_tls_context, clock)
        self._base_path = url.path.rstrip("/")
        self._signer = Signer(url.netloc, service, region)
        self._credentials = credentials
        self._connect_timeout_seconds = connect_timeout_seconds
        self._read_timeout_seconds = read_timeout_seconds
        self._clock = clock
        self._kept: list[Connection] = []

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,
    ) -> Answer:
        """Send a request, and return the answer with any status.

        If a kept connection turns out to be closed, the request is sent again once, on a new
        connection. This happens only if the server has certainly not received the request, or if
        the request is idempotent. There is no other retry.

        Args:
            method: The HTTP method.
            path: The percent-encoded path, relative to the endpoint's.
            body: The request's body.
            headers: The request's headers.
            is_idempotent: Whether the request is safe to repeat. The default depends on the method.

        Raises:
            Unreachable: There was no complete answer in time.
        """
        return run(self.steps(method, path, body, headers, is_idempotent=is_idempotent))

    def steps(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,
    ) -> Steps[Answer]:
        """Run `request` as a generator that yields where it must wait."""
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
        """Close the kept connections. The client remains usable."""
        while self._kept:
            self._kept.pop().close()

    def _encode(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        signed = self._signer.sign(method, path, headers, body, self._credentials(), self._clock())
        lines = "".join([f"{name}: {value}\r\n" for name, value in signed.items()])
        if body or method == "POST":
            lines += f"content-length: {len(body)}\r\n"
        return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body

    def _find_kept(self) -> Connection | None:
        oldest_at = self._clock() - MAX_IDLE_SECONDS
        while True:
            try:
                kept = self._kept.pop()
            except IndexError:
                return None
            if kept.idle_since > oldest_at and kept.is_quiet():
                return kept
            kept.close()

    def _exchange(self, connection: Connection, method: str, message: bytes) -> Steps[Answer]:
        """Exchange a request for its answer. The connection is closed on an error or a cancel.

        Raises:
            Unreachable: There was no complete answer in time.
        """
        ends_at = time.monotonic() + self._read_timeout_seconds
        try:
            answer = yield from connection.exchange(method, message, ends_at)
        except (OSError, ValueError) as error:
            connection.close()
            raise unreachable(error, was_sent=connection.was_sent) from None
        except BaseException:
            connection.close()
            raise
        if connection.is_reusable and len(self._kept) < MAX_KEPT_CONNECTIONS:
            connection.idle_since = self._clock()
            self._kept.append(connection)
        else:
            connection.close()
        return answer


def get(url: str, seconds: float) -> Answer:
    """Get a public resource without a signature, on a new connection.

    Args:
        url: The resource's URL.
        seconds: Time limit for the whole exchange. The DNS lookup is not included; the system's
            resolver limits it.

    Raises:
        Unreachable: There was no complete answer in time.
    """
    return run(_get(urlsplit(url), time.monotonic() + seconds))


def _get(url: SplitResult, ends_at: float) -> Steps[Answer]:
    connection = yield from Host(url, shared_tls_context, time.time).connect(ends_at)
    message = (
        f"GET {url.path or '/'} HTTP/1.1\r\nhost: {url.netloc}\r\n"
        f"user-agent: {USER_AGENT}\r\nconnection: close\r\n\r\n"
    )
    try:
        return (yield from connection.exchange("GET", message.encode("latin-1"), ends_at))
    except (OSError, ValueError) as error:
        raise unreachable(error, was_sent=connection.was_sent) from None
    finally:
        connection.close()


_tls_lock = threading.Lock()


def shared_tls_context() -> ssl.SSLContext:
    """Return the TLS context that all connections share.

    It is created once, because reading the certificate authorities takes about 20 ms.
    """
    with _tls_lock:
        return _make_tls_context()


@lru_cache(maxsize=1)
def _make_tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()
