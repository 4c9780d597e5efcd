"""HTTP as the server's own code sees it: a request, a response, an error in AWS's form. Pure."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any

from devserver.events import Pairs, make_id


@dataclass(slots=True)
class Request:
    """A whole request; `path` is as it was sent, not unquoted. An upgrade is to WebSocket."""

    method: str
    path: str
    query: str
    headers: Pairs
    body: bytes = b""
    is_kept_alive: bool = True
    is_upgrade: bool = False

    def find_header(self, name: str) -> str | None:
        """Return the last header of this name, in lower case, whatever its casing."""
        for held, value in reversed(self.headers):
            if held.lower() == name:
                return value
        return None


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered; a length and a type are added when it is encoded."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


Reply = Callable[[Response], None]


def json_response(status: int, value: Any, headers: dict[str, str] | None = None) -> Response:
    """Make a response of a value that JSON can hold."""
    return Response(status, json.dumps(value).encode(), headers or {})


def error_response(status: int, error_type: str, message: str) -> Response:
    """Make an error that botocore maps to its modelled exception, by the header."""
    return json_response(status, {"message": message}, {"x-amzn-ErrorType": error_type})


def encode_response(
    response: Response, *, is_kept_alive: bool, answers_head: bool = False
) -> bytes:
    """Encode a response of HTTP/1.1; only 204 has no type and length, and to HEAD goes no body."""
    headers = "".join([f"{name}: {value}\r\n" for name, value in response.headers.items()])
    if response.status != HTTPStatus.NO_CONTENT:
        length = len(response.body)
        headers += f"Content-Type: {response.content_type}\r\nContent-Length: {length}\r\n"
    start = _start_line(response.status, is_kept_alive)
    head = f"{start}x-amzn-RequestId: {make_id()}\r\n{headers}\r\n".encode("latin-1")
    return head if answers_head else head + response.body


@cache
def _start_line(status: int, is_kept_alive: bool) -> str:
    """Begin a response: the status line, and whether the connection stays."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    stay = "keep-alive" if is_kept_alive else "close"
    return f"HTTP/1.1 {status} {phrase}\r\nConnection: {stay}\r\n"
