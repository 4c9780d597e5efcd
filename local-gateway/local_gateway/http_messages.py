"""HTTP requests and responses as the gateway's own code uses them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any

from local_gateway.events import Pairs, make_id


@dataclass(slots=True)
class Request:
    """A complete request.

    `path` is URL-encoded, as the client sent it. `is_upgrade` means an upgrade to WebSocket.
    """

    method: str
    path: str
    query: str
    headers: Pairs
    body: bytes = b""
    is_kept_alive: bool = True
    is_upgrade: bool = False

    def find_header(self, name: str) -> str | None:
        """Return the last value of a header; None if it is missing.

        Args:
            name: The header's name in lower case. The request's names can have any casing.
        """
        for sent_name, value in reversed(self.headers):
            if sent_name.lower() == name:
                return value
        return None


@dataclass(frozen=True, slots=True)
class Response:
    """A response. `encode_response` adds Content-Type and Content-Length."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


Reply = Callable[[Response], None]


def json_response(status: int, value: Any, headers: dict[str, str] | None = None) -> Response:
    """Return a response with a JSON body."""
    return Response(status, json.dumps(value).encode(), headers or {})


def error_response(status: int, error_type: str, message: str) -> Response:
    """Return an error in AWS's form. botocore maps the header to a modeled exception."""
    return json_response(status, {"message": message}, {"x-amzn-ErrorType": error_type})


def encode_response(
    response: Response, *, is_kept_alive: bool, answers_head: bool = False
) -> bytes:
    """Encode a response as HTTP/1.1.

    Args:
        response: The response. With status 204 it gets no Content-Type or Content-Length.
        is_kept_alive: Whether the TCP connection stays open.
        answers_head: Whether to omit the body because the request's method was HEAD.
    """
    headers = "".join([f"{name}: {value}\r\n" for name, value in response.headers.items()])
    if response.status != 204:
        length = len(response.body)
        headers += f"Content-Type: {response.content_type}\r\nContent-Length: {length}\r\n"
    start = _start_line(response.status, is_kept_alive)
    head = f"{start}x-amzn-RequestId: {make_id()}\r\n{headers}\r\n".encode("latin-1")
    return head if answers_head else head + response.body


@cache
def _start_line(status: int, is_kept_alive: bool) -> str:
    """Return the status line and the Connection header."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    option = "keep-alive" if is_kept_alive else "close"
    return f"HTTP/1.1 {status} {phrase}\r\nConnection: {option}\r\n"
