"""A client that waits for the answer to its upgrade request, on a transport."""

import asyncio
from ipaddress import ip_address
from urllib.parse import parse_qsl

from websockets.http11 import Response as WebSocketResponse

from devserver import events, websocket_wire
from devserver.clock import now
from devserver.connection import Connection
from devserver.events import Client, Handshake
from devserver.http_messages import Request, Response, encode_response
from devserver.websocket_wire import WebSocketWire

MAX_EARLY_BYTES = 64 * 1024
"""What a client may send ahead of the answer before no more is read."""

_GONE = ("0.0.0.0",)  # noqa: S104
"""The address of a client that has left before it could be asked for."""


class PendingUpgrade:
    """What admission knows of the client; `acceptance` is the answer if it is let in.

    `source_ip` is None for the address that it comes from.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        request: Request,
        acceptance: WebSocketResponse,
        early_data: bytes,
        source_ip: str | None = None,
    ) -> None:
        self.client = _make_client(transport, request, source_ip)
        self.handshake = _make_handshake(transport, request, self.client)
        self.is_gone = False
        self._transport = transport
        self._acceptance = acceptance
        self._early = [early_data] if early_data else []

    def data_received(self, data: bytes) -> None:
        """Keep what the client sends ahead of the answer."""
        self._early.append(data)
        if sum(map(len, self._early)) > MAX_EARLY_BYTES:
            self._transport.pause_reading()

    def accept(self, connection: Connection, subprotocol: str | None) -> None:
        """Answer 101 and hand the transport to a WebSocketWire for the connection."""
        transport = self._transport
        transport.write(websocket_wire.encode_acceptance(self._acceptance, subprotocol))
        wire = WebSocketWire(transport, connection)
        transport.set_protocol(wire)
        connection.open(wire)
        transport.resume_reading()
        if self._early:
            wire.data_received(b"".join(self._early))

    def refuse(self, status: int, body: bytes) -> None:
        """Answer with the status and a JSON body, and hang up."""
        if not self.is_gone:
            response = Response(status, body)
            self._transport.write(encode_response(response, is_kept_alive=False))
            self._transport.close()


def find_source_ip(request: Request, header_name: str | None) -> str | None:
    """Return the address that the header gives the client; None if there is no such header.

    Raises ValueError if it is no IPv4 or IPv6 address.
    """
    text = None if header_name is None else request.find_header(header_name)
    if text is None:
        return None
    if "%" in text:
        raise ValueError("an address with a zone is nobody's on the internet")
    return str(ip_address(text))


def _make_client(transport: asyncio.Transport, request: Request, source_ip: str | None) -> Client:
    host, port = transport.get_extra_info("sockname")[:2]
    return Client(
        connection_id=events.make_id(),
        connected_at_ms=int(now() * 1000),
        domain_name=request.find_header("host") or f"{host}:{port}",
        source_ip=source_ip or (transport.get_extra_info("peername") or _GONE)[0],
        user_agent=request.find_header("user-agent"),
    )


def _make_handshake(transport: asyncio.Transport, request: Request, client: Client) -> Handshake:
    port = transport.get_extra_info("sockname")[1]
    added = events.forwarded_headers(request.headers, client.source_ip, port, now())
    names = {name.lower() for name, _ in added}
    sent = [pair for pair in request.headers if pair[0].lower() not in names]
    query = parse_qsl(request.query, keep_blank_values=True) if request.query else []
    return Handshake(headers=sent + added, query=query)
