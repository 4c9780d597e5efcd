"""A stand-in for a JSON service of AWS, as an ASGI application."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from local_gateway.asgi import Message, Receive, Send

MAX_REQUEST_BYTES: Final = 256 * 1024
"""The longest request. A caption needs less than a tenth of it, even if all its characters are
escaped."""


class Request(NamedTuple):
    """A request. The names of its headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def parse(self) -> dict[str, Any]:
        """Return the body's JSON object.

        Raises:
            ServiceError: The body is something else.
        """
        try:
            parsed = json.loads(self.body)
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            raise ServiceError("SerializationException", "The request isn't a JSON object")
        return parsed


class Response(NamedTuple):
    """A response."""

    status: int
    content_type: str
    body: bytes
    error_type: str | None = None


class ServiceError(Exception):
    """A request that the service refuses."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        """Record the error's name, its message and the HTTP status."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


Answer = Callable[[Request], Awaitable[Response]]


class StandIn:
    """Answers requests by a function. Its errors have their name in a header and in the body.

    Some protocols have the name in the header, others in the body, and SDKs accept both.
    Source: the Smithy specification, "AWS restJson1 protocol" and "AWS JSON 1.1 protocol".
    """

    def __init__(self, content_type: str, answer: Answer) -> None:
        """Serve a function.

        Args:
            content_type: The media type of errors.
            answer: Answers a request, or raises ServiceError.
        """
        self._content_type = content_type
        self._answer = answer

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer an HTTP request. WebSockets are closed."""
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        try:
            response = await self._answer(await _read(scope, receive))
        except ServiceError as error:
            body = json.dumps({"__type": error.code, "message": error.message}).encode()
            response = Response(error.status, self._content_type, body, error.code)
        await _send(send, response)


def check_text(request: Mapping[str, Any], name: str) -> str:
    """Return a member that must be a text with at least one character.

    Raises:
        ServiceError: It is missing or something else.
    """
    value = request.get(name)
    if isinstance(value, str) and value:
        return value
    raise ServiceError(
        "ValidationException",
        f"1 validation error detected: Value at '{name[0].lower()}{name[1:]}' failed to satisfy "
        "constraint: Member must be a string of at least 1 character",
    )


async def _read(scope: Message, receive: Receive) -> Request:
    body, has_more = b"", True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ServiceError("RequestAbortedException", "The client has left")
        body += message.get("body", b"")
        if len(body) > MAX_REQUEST_BYTES:
            raise ServiceError("RequestEntityTooLargeException", "The request is too long", 413)
        has_more = message.get("more_body", False)
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }
    return Request(scope["method"], scope["path"], headers, body)


async def _send(send: Send, response: Response) -> None:
    headers = [
        (b"content-type", response.content_type.encode()),
        (b"content-length", str(len(response.body)).encode()),
    ]
    if response.error_type:
        headers.append((b"x-amzn-errortype", response.error_type.encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
