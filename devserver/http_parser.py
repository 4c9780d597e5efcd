"""HTTP requests out of bytes, by httptools, with limits. No I/O."""

from collections import deque
from http import HTTPStatus

import httptools

from devserver.http_messages import Request

MAX_HEADER_BYTES = 32 * 1024
"""Limit of a request's headers, and of its trailers.

API Gateway's own limit is lower (10 KiB for REST). Here a token of 16 KB reaches the code.
"""

MAX_BODY_BYTES = 7 * 1024 * 1024
"""Above Lambda's limit of 6 MB for what a synchronous invocation is given."""


class RequestParser:
    """Bytes in, requests out.

    `requests` holds those that are whole. When `failure` is set, it is the status that answers
    what came after them, and when `early_data` is, the last of them is an upgrade request and
    this is what followed it; either way nothing more can be fed.
    """

    def __init__(self) -> None:
        self.requests: deque[Request] = deque()
        self.failure: HTTPStatus | None = None
        self.early_data: bytes | None = None
        self.is_within_request = False
        self._parser = httptools.HttpRequestParser(self)
        self._start()

    def feed(self, data: bytes) -> None:
        """Take bytes; never raises."""
        was_outside_body = self._is_outside_body
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.early_data = data[upgrade.args[0] :]
        except httptools.HttpParserError:
            self.failure = self.failure or HTTPStatus.BAD_REQUEST
        # httptools keeps an incomplete header or trailer to itself, so its bytes are counted here.
        if was_outside_body and self._is_outside_body:
            self._fed_bytes += len(data)
        if self._fed_bytes > MAX_HEADER_BYTES:
            self.failure = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE

    # Called by httptools. An exception makes it stop.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._start()
        self._is_outside_body = self.is_within_request = True

    def on_url(self, url: bytes) -> None:
        """Take the URL, or a part of it."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Trailers only count: nothing here may depend on one (RFC 9110, 6.5.1)."""
        self._field_bytes += len(name) + len(value) + 4
        if self._field_bytes > MAX_HEADER_BYTES:
            self._fail(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if not self._are_headers_complete:
            self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Expect the body, or a chunk's length."""
        self._are_headers_complete = True
        self._fed_bytes = self._field_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._is_outside_body = False
        self._body += body
        if len(self._body) > MAX_BODY_BYTES:
            self._fail(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def on_chunk_complete(self) -> None:
        """Expect the next chunk's length, or trailers."""
        self._is_outside_body = True
        self._fed_bytes = 0

    def on_message_complete(self) -> None:
        """Put the request with those that are whole."""
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
