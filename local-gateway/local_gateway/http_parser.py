"""An incremental parser for HTTP requests, built on httptools, with size limits."""

from collections import deque
from http import HTTPStatus

import httptools

from local_gateway.http_messages import Request

MAX_HEADER_BYTES = 32 * 1024
"""Maximum size of a request's headers, and of its trailers.

API Gateway's own limit is lower (10 KiB for REST APIs). This limit lets a token of 16 KB reach the
application, whose own limits can then be tested.
"""

MAX_BODY_BYTES = 7 * 1024 * 1024
"""Maximum size of a body, above Lambda's 6 MB for the payload of a synchronous invocation."""


class RequestParser:
    """Parses the bytes of one TCP connection.

    Don't feed more data after `failure` or `early_data` is set.

    Attributes:
        requests: Complete requests that nothing has consumed yet.
        failure: The status with which to refuse the data after these requests.
        early_data: The bytes after an upgrade request, which is then the last of the requests.
        is_within_request: Whether a request has started but isn't complete.
    """

    def __init__(self) -> None:
        """Start without data."""
        self.requests: deque[Request] = deque()
        self.failure: HTTPStatus | None = None
        self.early_data: bytes | None = None
        self.is_within_request = False
        self._parser = httptools.HttpRequestParser(self)
        self._start()

    def feed(self, data: bytes) -> None:
        """Parse more bytes. Never raises."""
        was_outside_body = self._is_outside_body
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.early_data = data[upgrade.args[0] :]
        except httptools.HttpParserError:
            self.failure = self.failure or HTTPStatus.BAD_REQUEST
        # httptools buffers an incomplete header or trailer, so its bytes are counted here.
        if was_outside_body and self._is_outside_body:
            self._fed_bytes += len(data)
        if self._fed_bytes > MAX_HEADER_BYTES:
            self.failure = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE

    # httptools calls the following methods. It stops parsing if one of them raises.

    def on_message_begin(self) -> None:
        """Start a request."""
        self._start()
        self._is_outside_body = self.is_within_request = True

    def on_url(self, url: bytes) -> None:
        """Add a part of the URL."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. Trailers are counted towards the limit and dropped (RFC 9110, 6.5.1)."""
        self._field_bytes += len(name) + len(value) + 4
        if self._field_bytes > MAX_HEADER_BYTES:
            self._fail(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if not self._are_headers_complete:
            self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Start the body."""
        self._are_headers_complete = True
        self._fed_bytes = self._field_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self._is_outside_body = False
        self._body += body
        if len(self._body) > MAX_BODY_BYTES:
            self._fail(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def on_chunk_complete(self) -> None:
        """Start the next chunk or the trailers."""
        self._is_outside_body = True
        self._fed_bytes = 0

    def on_message_complete(self) -> None:
        """Add the request to the complete ones."""
        self.is_within_request = self._is_outside_body = False
        path, _, query = self._url.decode("latin-1").partition("?")
        is_upgrade = self._parser.should_upgrade()
        request = Request(
            method=self._parser.get_method().decode(),
            path=path,
            query=query,
            headers=self._headers,
            body=bytes(self._body),
            is_kept_alive=self._parser.should_keep_alive() and not is_upgrade,
        )
        request.is_upgrade = is_upgrade and _is_websocket(request)
        self.requests.append(request)

    def _start(self) -> None:
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()
        self._fed_bytes = self._field_bytes = 0
        self._are_headers_complete = False
        self._is_outside_body = False

    def _fail(self, status: HTTPStatus) -> None:
        self.failure = status
        raise ValueError(status)


def _is_websocket(request: Request) -> bool:
    return (request.find_header("upgrade") or "").strip().lower() == "websocket"
