"""Plain HTTP requests with exact headers, which don't follow redirects."""

from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """A server's response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def request(url: str, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    """Send a request.

    Args:
        url: A URL of the server.
        method: The method.
        path: The path with the query string.
        body: The body.
        **headers: The headers, with `_` in place of `-` in their names.
    """
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(HTTPConnection(urlsplit(url).netloc, timeout=15)) as connection:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())


def upgrade_request(path: str, lines: bytes = b"") -> bytes:
    return (
        (
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        ).encode()
        + lines
        + b"\r\n"
    )
