"""Access control for the embedded AWS, which refuses requests from other sites' web pages.

A request to the embedded AWS can run code. Three headers identify other sites' pages. A browser
sends `Origin` with POST, PUT and DELETE requests, and `Sec-Fetch-Site` with GET requests, which
AWS's query APIs also accept. If a page's host name resolves to this machine (DNS rebinding), the
browser sends that name as `Host`.

Source: the Fetch standard, "Origin header"; W3C, "Fetch Metadata Request Headers".
"""

import json
import os
from collections.abc import Collection, Iterable
from email import message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Final

from local_gateway.asgi import AsgiApp, Message, Receive, Send
from local_gateway.local_only import LOOPBACK_HOSTS, host_of

ORIGINS_VARIABLE: Final = "LOCAL_GATEWAY_PAGE_ORIGINS"
"""The environment variable with the comma-separated origins of the project's own pages."""

SIGN_IN_PATHS: Final = frozenset({"/oauth2/authorize", "/logout"})
"""Cognito's pages, which any site can redirect to. They do nothing without a password."""


def find_refusal_reason(
    headers: Iterable[tuple[str, str]],
    own_origins: Collection[str] = (),
    *,
    is_sign_in: bool = False,
) -> str | None:
    """Return the reason to refuse a request; None if no other site's page can have sent it.

    Args:
        headers: The request's headers, with names in lower case.
        own_origins: Origins whose pages are allowed, in addition to the requested server's own.
        is_sign_in: Whether the request is a GET for one of the SIGN_IN_PATHS.
    """
    sent = [(name, value) for name, value in headers if name in _CHECKED]
    hosts = [value for name, value in sent if name == "host"]
    if not all(map(_is_local, hosts)):
        return "the Host isn't a name of the embedded AWS"
    origins = [value for name, value in sent if name == "origin"]
    allowed = {*own_origins, *(f"http://{host}" for host in hosts)}
    if not allowed.issuperset(origins):
        return "pages of this Origin can't use the embedded AWS"
    is_navigation = is_sign_in and ("sec-fetch-dest", "document") in sent
    sites = {value for name, value in sent if name == "sec-fetch-site"}
    if sites - {"same-origin", "none"} and not origins and not is_navigation:
        return "pages of other sites can't use the embedded AWS"
    return None


_CHECKED: Final = frozenset({"host", "origin", "sec-fetch-site", "sec-fetch-dest"})


def _is_local(host_header: str) -> bool:
    """Return whether the host is this machine.

    That includes names below localhost, which browsers don't look up in the DNS (RFC 6761, 6.3).
    """
    host = host_of(host_header)
    return host in LOOPBACK_HOSTS or host.endswith(".localhost")


class PageGuard:
    """ASGI middleware that refuses requests from pages of other sites."""

    def __init__(self, app: AsgiApp, own_origins: Collection[str]) -> None:
        """Wrap an ASGI application.

        Args:
            app: The application that responds to allowed requests.
            own_origins: Origins whose pages are allowed.
        """
        self._app = app
        self._own_origins = own_origins

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass an allowed request on to the application, and refuse others with 403."""
        reason = None if scope["type"] == "lifespan" else self._find_refusal_reason(scope)
        if reason is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await _refuse(send, reason)

    def _find_refusal_reason(self, scope: Message) -> str | None:
        headers = (
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        )
        is_sign_in = scope.get("method") == "GET" and scope["path"] in SIGN_IN_PATHS
        return find_refusal_reason(headers, self._own_origins, is_sign_in=is_sign_in)


def guard(app: AsgiApp) -> PageGuard:
    """Guard ministack and the other HTTP servers in its process.

    The other servers, built on http.server, are the runtime APIs of Lambda functions with custom
    runtimes.
    """
    _guard_http_servers()
    origins = os.environ.get(ORIGINS_VARIABLE, "").split(",")
    return PageGuard(app, [origin for origin in origins if origin])


def _guard_http_servers() -> None:
    parse_request = BaseHTTPRequestHandler.parse_request

    def parse_allowed_request(handler: BaseHTTPRequestHandler) -> bool:
        if not parse_request(handler):
            return False
        reason = find_refusal_reason(_lower(handler.headers))
        if reason is not None:
            handler.send_error(HTTPStatus.FORBIDDEN, reason)
        return reason is None

    BaseHTTPRequestHandler.parse_request = parse_allowed_request  # type: ignore[assignment]


def _lower(headers: message.Message) -> Iterable[tuple[str, str]]:
    return ((name.lower(), value) for name, value in headers.items())


async def _refuse(send: Send, reason: str) -> None:
    body = json.dumps({"message": reason}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-errortype", b"ForbiddenException"),
    ]
    await send(
        {"type": "http.response.start", "status": int(HTTPStatus.FORBIDDEN), "headers": headers}
    )
    await send({"type": "http.response.body", "body": body})
