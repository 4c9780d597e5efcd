"""A pending upgrade request on a transport."""

import asyncio
from ipaddress import ip_address
from urllib.parse import parse_qsl

from local_gateway import events, websocket_wire
from local_gateway.clock import now
from local_gateway.connection import Connection
from local_gateway.events import Client, Handshake
from local_gateway.http_messages import Request, Response, encode_response
from local_gateway.websocket_wire import Acceptance, WebSocketWire

MAX_EARLY_BYTES = 64 * 1024
"""Size of early data, sent before the response, at which the gateway stops reading."""

_UNKNOWN_ADDRESS = ("0.0.0.0",)  # noqa: S104
"""The address of a client that disconnected before the gateway read its address."""


class PendingUpgrade:
    """The implementation of admission's Upgrade on a transport."""

    def __init__(
        self,
        transport: asyncio.Transport,
        request: Request,
        acceptance: Acceptance,
        early_data: bytes,
        source_ip: str | None = None,
    ) -> None:
        """Describe the client and its handshake.

        Args:
            transport: The TCP connection.
            request: The upgrade request.
            acceptance: The response if the client is admitted, and the state after it.
            early_data: The bytes that the client sent after the request.
            source_ip: The client's address; None for the TCP connection's address.
        """
        self.client = _make_client(transport, request, source_ip)
        self.handshake = _make_handshake(transport, request, self.client)
        self.is_gone = False
        self._transport = transport
        self._acceptance = acceptance
        self._early = [early_data] if early_data else []

    def data_received(self, data: bytes) -> None:
        """Buffer data that the client sends before it receives the response."""
        self._early.append(data)
        if sum(map(len, self._early)) > MAX_EARLY_BYTES:
            self._transport.pause_reading()

    def accept(self, connection: Connection, subprotocol: str | None) -> None:
        """Respond with status 101 and hand the transport over to a WebSocketWire."""
        transport, acceptance = self._transport, self._acceptance
        transport.write(websocket_wire.encode_acceptance(acceptance.response, subprotocol))
        wire = WebSocketWire(transport, acceptance.core, connection)
        transport.set_protocol(wire)
        transport.resume_reading()
        connection.open(wire)
        if self._early:
            wire.data_received(b"".join(self._early))

    def refuse(self, status: int, body: bytes) -> None:
        """Respond with the status and a JSON body, and close the transport."""
        if not self.is_gone:
            response = Response(status, body)
            self._transport.write(encode_response(response, is_kept_alive=False))
            self._transport.close()


def find_source_ip(request: Request, header_name: str | None) -> str | None:
    """Return the client's address from a header; None if the request doesn't have the header.

    Raises:
        ValueError: The value isn't an IPv4 or IPv6 address.
    """
    text = None if header_name is None else request.find_header(header_name)
    if text is None:
        return None
    if "%" in text:
        raise ValueError("an IPv6 address with a zone isn't a public address")
    return str(ip_address(text))


def _make_client(transport: asyncio.Transport, request: Request, source_ip: str | None) -> Client:
    host, port = transport.get_extra_info("sockname")[:2]
    return Client(
        connection_id=events.make_id(),
        connected_at_ms=int(now() * 1000),
        domain_name=request.find_header("host") or f"{host}:{port}",
        source_ip=source_ip or (transport.get_extra_info("peername") or _UNKNOWN_ADDRESS)[0],
        user_agent=request.find_header("user-agent"),
    )


def _make_handshake(transport: asyncio.Transport, request: Request, client: Client) -> Handshake:
    port = transport.get_extra_info("sockname")[1]
    added = events.forwarded_headers(request.headers, client.source_ip, port, now())
    names = {name.lower() for name, _ in added}
    sent = [pair for pair in request.headers if pair[0].lower() not in names]
    query = parse_qsl(request.query, keep_blank_values=True) if request.query else []
    return Handshake(headers=sent + added, query=query)
