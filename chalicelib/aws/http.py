"""Signed requests to AWS over kept connections, at a twentieth of what boto3 costs for each.

Nothing here knows a service: the callers know the meaning of a status, and decide about another
try. No proxies, redirects or queries. `get` requests a public resource, without a signature and
without a kept connection.
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
"""A connection kept for longer is not used again.

Lambda freezes the process between events, and the end of a connection may come to light only when
a request has been sent into it: then nobody knows whether it was taken. Source: "Best practices for
working with AWS Lambda functions" (keep-alive); aws-sdk-js-v3 issue 1196.
"""

MAX_KEPT_CONNECTIONS: Final = 128
"""Two fan-outs' worth; what comes back beyond it is closed."""

USER_AGENT: Final = "broadcast-sessions"
"""Firewalls refuse requests that have none. Source: "AWS Managed Rules for AWS WAF", core rule set
(NoUserAgent_HEADER).
"""

_IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
"""Source: RFC 9110, section 9.2.2."""


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
        """Send a request and return its answer, whatever its status.

        `path` is quoted already, and goes below that of the endpoint's URL. A kept connection
        that turns out to be closed is replaced by a new one, once, and only if the request was
        not taken for certain, or if doing it twice does no harm (`is_idempotent`; by default as
        HTTP has it for the method). There is no other retry.

        Connecting has a time-out, and the whole answer another; only looking up the host's name
        has none.

        Raises: Unreachable.
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

    def _find_kept(self) -> "Connection | None":
        oldest_at = self._clock() - MAX_IDLE_SECONDS
        while True:
            try:
                kept = self._kept.pop()
            except IndexError:
                return None
            if kept.idle_since > oldest_at and kept.is_quiet():
                return kept
            kept.close()

    def _exchange(self, connection: "Connection", method: str, message: bytes) -> Steps[Answer]:
        """Raises: Unreachable; the connection is then closed, and so it is when nobody goes on."""
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
    """Get a public resource, unsigned and over a connection of its own.

    All of it has to be done within `seconds`, but for the look-up of the host's name, which the
    system's resolver limits.

    Raises: Unreachable.
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
    """Return the one that all connections share: it takes some 20 ms to read the authorities."""
    with _tls_lock:
        return _make_tls_context()


@lru_cache(maxsize=1)
def _make_tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()
