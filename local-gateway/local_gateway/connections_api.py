"""The @connections management API, which posts to, describes and closes connections.

Signatures aren't checked. Source: botocore's service model of apigatewaymanagementapi.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache, partial
from urllib.parse import unquote

from local_gateway.clock import now
from local_gateway.connection import MAX_MESSAGE_BYTES, NORMAL_CLOSURE, BufferFull, Connection
from local_gateway.gateway import Gateway
from local_gateway.http_messages import Reply, Request, Response, error_response, json_response

_CONNECTION_ID = re.compile(r"[A-Za-z0-9_-]{15}=")


def respond(gateway: Gateway, request: Request, quoted_id: str, reply: Reply) -> None:
    """Respond to a request, immediately or, if a fault makes a post slow, later.

    A slow post doesn't block other requests.

    Args:
        gateway: The gateway.
        request: The request.
        quoted_id: The URL-encoded connection ID from the path.
        reply: Receives the response.
    """
    started, injector = gateway.loop.time(), gateway.fault_injector
    if injector.affects_posts and request.method == "POST":
        faults = injector.faults
        wait_ms = injector.delay(faults.post_slow_share, faults.post_slow_ms)
        answer_later = partial(_answer, gateway, request, quoted_id, started, reply)
        gateway.loop.call_later(wait_ms / 1000, answer_later)
    else:
        _answer(gateway, request, quoted_id, started, reply)


def _answer(
    gateway: Gateway, request: Request, quoted_id: str, started: float, reply: Reply
) -> None:
    connection_id = _find_id(quoted_id)
    connection = None if connection_id is None else gateway.find_connection(connection_id)
    response = _respond(gateway, request, connection_id, connection)
    ordinal = None if connection is None else connection.ordinal
    gateway.log.event(ordinal, f"@connections {request.method}", response.status, started)
    reply(response)


@lru_cache(maxsize=1024)
def _find_id(quoted_id: str) -> str | None:
    """Decode a connection ID; None if it isn't valid. Cached because fan-outs repeat IDs."""
    connection_id = unquote(quoted_id)
    return connection_id if _CONNECTION_ID.fullmatch(connection_id) else None


def _respond(
    gateway: Gateway, request: Request, connection_id: str | None, connection: Connection | None
) -> Response:
    if connection_id is None:
        return error_response(400, "BadRequestException", "Invalid connectionId")
    if request.method == "POST" and len(request.body) > MAX_MESSAGE_BYTES:
        return error_response(413, "PayloadTooLargeException", "Payload too large")
    if connection is None:
        return error_response(410, "GoneException", "")
    if request.method == "POST":
        return _find_post_fault(gateway) or _post(connection, request.body)
    if request.method == "GET":
        return _describe(gateway, connection)
    if request.method == "DELETE":
        connection.close(*NORMAL_CLOSURE)
        return Response(204)
    return error_response(403, "ForbiddenException", "Forbidden")


def _post(connection: Connection, body: bytes) -> Response:
    """Send a text message. Invalid UTF-8 is replaced."""
    try:
        connection.post(body.decode(errors="replace").encode())
    except BufferFull:
        return error_response(429, "LimitExceededException", "The client's buffer is full")
    return Response(200)


def _find_post_fault(gateway: Gateway) -> Response | None:
    """Return the error response that a fault injects; None if no fault applies to this post."""
    injector = gateway.fault_injector
    if not injector.affects_posts:
        return None
    if injector.selects(injector.faults.post_gone_share):
        return error_response(410, "GoneException", "")
    if injector.selects(injector.faults.post_throttled_share):
        return error_response(429, "LimitExceededException", "Rate exceeded")
    return None


def _describe(gateway: Gateway, connection: Connection) -> Response:
    client = connection.client
    idle_seconds = (gateway.loop.time() - connection.last_active_at) * gateway.clock_rate
    active_at = now() - idle_seconds
    identity = {"sourceIp": client.source_ip, "userAgent": client.user_agent or ""}
    return json_response(
        200,
        {
            "connectedAt": _iso_8601(client.connected_at_ms / 1000),
            "identity": identity,
            "lastActiveAt": _iso_8601(active_at),
        },
    )


def _iso_8601(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
