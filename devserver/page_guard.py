"""Keeps web pages of other sites away from the embedded AWS, where a request can run code.

A browser sends `Origin` with whatever a page can change by POST, PUT or DELETE, and
`Sec-Fetch-Site` with a plain GET, which AWS's query APIs accept as well. A page whose name leads to
this machine (DNS rebinding) is known by its `Host`.

Source: the Fetch standard, "Origin header"; W3C, "Fetch Metadata Request Headers".
"""

import json
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from devserver.local_only import LOOPBACK_HOSTS, host_of

ORIGINS_VARIABLE: Final = "DEVSERVER_PAGE_ORIGINS"
"""Names the origins of the project's own pages to the process, separated by commas."""

SIGN_IN_PATHS: Final = frozenset({"/oauth2/authorize", "/logout"})
"""Cognito's pages, to which any site may send a browser. Without a password they do nothing."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def find_objection(
    headers: Iterable[tuple[str, str]],
    own_origins: Collection[str] = (),
    *,
    is_sign_in: bool = False,
) -> str | None:
    """Return the reason to refuse a request; None if no other site's page can have sent it.

    Args:
        headers: The request's headers, their names in lower case.
        own_origins: Origins whose pages may send requests, besides the requested server's own.
        is_sign_in: Whether the request is for one of the SIGN_IN_PATHS, by GET.
    """
    sent = [(name, value) for name, value in headers if name in _CHECKED]
    hosts = [value for name, value in sent if name == "host"]
    if not all(map(_is_local, hosts)):
        return "the embedded AWS has no such Host"
    origins = [value for name, value in sent if name == "origin"]
    allowed = {*own_origins, *(f"http://{host}" for host in hosts)}
    if not allowed.issuperset(origins):
        return "the embedded AWS is not for pages of this Origin"
    is_navigation = is_sign_in and ("sec-fetch-dest", "document") in sent
    sites = {value for name, value in sent if name == "sec-fetch-site"}
    if sites - {"same-origin", "none"} and not origins and not is_navigation:
        return "the embedded AWS is not for pages of other sites"
    return None


_CHECKED: Final = frozenset({"host", "origin", "sec-fetch-site", "sec-fetch-dest"})


def _is_local(host_header: str) -> bool:
    """Browsers look up no name below localhost: it is this machine (RFC 6761, 6.3)."""
    host = host_of(host_header)
    return host in LOOPBACK_HOSTS or host.endswith(".localhost")


class PageGuard:
    """An ASGI application in front of another, which pages of other sites don't reach."""

    def __init__(self, app: AsgiApp, own_origins: Collection[str]) -> None:
        self._app = app
        self._own_origins = own_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the other application answer, or refuse with 403."""
        objection = None if scope["type"] == "lifespan" else self._find_objection(scope)
        if objection is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await _refuse(send, objection)

    def _find_objection(self, scope: Scope) -> str | None:
        headers = (
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        )
        is_sign_in = scope.get("method") == "GET" and scope["path"] in SIGN_IN_PATHS
        return find_objection(headers, self._own_origins, is_sign_in=is_sign_in)


def guarded(app: AsgiApp) -> PageGuard:
    """Guard ministack, and the other servers that its process opens.

    Those are the runtime APIs of Lambda functions with a runtime of their own, by http.server.
    """
    _guard_http_servers()
    origins = os.environ.get(ORIGINS_VARIABLE, "").split(",")
    return PageGuard(app, [origin for origin in origins if origin])


def _guard_http_servers() -> None:
    parse_request = BaseHTTPRequestHandler.parse_request

    def parse_allowed_request(handler: BaseHTTPRequestHandler) -> bool:
        if not parse_request(handler):
            return False
        objection = find_objection(_lower(handler.headers))
        if objection is not None:
            handler.send_error(HTTPStatus.FORBIDDEN, objection)
        return objection is None

    BaseHTTPRequestHandler.parse_request = parse_allowed_request  # type: ignore[assignment]


def _lower(headers: Message) -> Iterable[tuple[str, str]]:
    return ((name.lower(), value) for name, value in headers.items())


async def _refuse(send: Send, objection: str) -> None:
    body = json.dumps({"message": objection}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-errortype", b"ForbiddenException"),
    ]
    await send(
        {"type": "http.response.start", "status": int(HTTPStatus.FORBIDDEN), "headers": headers}
    )
    await send({"type": "http.response.body", "body": body})
