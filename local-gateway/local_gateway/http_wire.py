"""The HTTP protocol on a TCP connection, until an upgrade hands it over to a WebSocketWire."""

import asyncio
from functools import partial
from http import HTTPStatus

from local_gateway import events, router, websocket_wire
from local_gateway.admission import Admission, refusal_body
from local_gateway.gateway import Gateway
from local_gateway.http_messages import Request, Response, encode_response
from local_gateway.http_parser import RequestParser
from local_gateway.reading import ReadingProtocol
from local_gateway.upgrade import PendingUpgrade, find_source_ip

REQUEST_TIMEOUT_SECONDS = 10
"""Timeout for receiving a request once its first byte has arrived. Idle clients have no timeout."""

LINGER_SECONDS = 2
"""How long the gateway reads and discards data from a client after refusing its request."""

MAX_WAITING_REQUESTS = 64
"""Number of pipelined requests at which the gateway stops reading from the client."""


class HttpWire(ReadingProtocol):
    """An HTTP/1.1 connection. Requests are answered in the order of their arrival."""

    def __init__(self, gateway: Gateway, wires: set["HttpWire"]) -> None:
        """Wait for the transport.

        Args:
            gateway: The gateway that handles the requests.
            wires: The open HTTP connections, to which this one adds itself.
        """
        self._gateway = gateway
        self._wires = wires
        self._parser = RequestParser()
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._upgrade: PendingUpgrade | None = None
        self._is_answering = False
        self._is_looping = False
        self._is_ended = False
        self._is_refused = False
        self._is_writing_paused = False

    def close(self) -> None:
        """Close the TCP connection."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the open TCP connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._wires.add(self)

    def data_received(self, data: bytes) -> None:
        """Handle bytes from the client."""
        if self._is_refused:
            return
        if self._upgrade is not None:
            self._upgrade.data_received(data)
        elif self._parser.early_data is not None:
            self._parser.early_data += data
        elif self._parser.failure is None:
            self._parser.feed(data)
            self._update_timeout()
            self._answer()
            self._update_flow_control()

    def eof_received(self) -> bool:
        """Handle the end of the client's data. Pending requests are answered before the close."""
        self._is_ended = True
        return self._is_answering and self._upgrade is None and not self._is_refused

    def connection_lost(self, _error: Exception | None) -> None:
        """Handle the closed TCP connection."""
        self._wires.discard(self)
        self._parser.requests.clear()
        self._stop_timer()
        if self._upgrade is not None:
            self._upgrade.is_gone = True

    def pause_writing(self) -> None:
        """Stop reading from a client that doesn't read its responses."""
        self._is_writing_paused = True
        self._update_flow_control()

    def resume_writing(self) -> None:
        """Continue reading because the client has read its responses."""
        self._is_writing_paused = False
        self._update_flow_control()

    def _update_flow_control(self) -> None:
        if self._transport.is_closing() or self._upgrade is not None:
            return
        if self._is_writing_paused or len(self._parser.requests) >= MAX_WAITING_REQUESTS:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _update_timeout(self) -> None:
        """Start the timer of a request that has arrived in part, or stop it if it is complete."""
        if not self._parser.is_within_request:
            self._stop_timer()
        elif self._timer is None:
            self._timer = self._gateway.loop.call_later(REQUEST_TIMEOUT_SECONDS, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        self._parser.failure = HTTPStatus.REQUEST_TIMEOUT
        self._answer()

    def _answer(self) -> None:
        """Answer requests until one needs more time. Its reply continues with the next one."""
        self._is_looping = True
        requests = self._parser.requests
        while requests and not self._is_answering:
            request = requests.popleft()
            self._is_answering = True
            if request.is_upgrade:
                self._begin_upgrade(request)
            else:
                router.respond(self._gateway, request, partial(self._reply, request))
        self._is_looping = False
        if self._parser.failure is not None and not self._is_answering:
            self._refuse(self._parser.failure)

    def _reply(self, request: Request, response: Response) -> None:
        self._is_answering = False
        if self._transport.is_closing():
            return
        is_last = not request.is_kept_alive or (self._is_ended and not self._parser.requests)
        self._transport.write(
            encode_response(
                response, is_kept_alive=not is_last, answers_head=request.method == "HEAD"
            )
        )
        if is_last:
            self._parser.requests.clear()
            self._transport.close()
        elif not self._is_looping:
            self._answer()
            self._update_flow_control()

    def _refuse(self, status: int) -> None:
        """Send an error response, and close when the client has closed or LINGER_SECONDS are over.

        An immediate close would reset the connection of a client that is still sending, which
        would then not receive the response.
        """
        self._stop_timer()
        if self._is_refused or self._transport.is_closing():
            return
        self._is_refused = True
        body = refusal_body(status, events.make_id())
        self._transport.write(encode_response(Response(status, body), is_kept_alive=False))
        self._transport.write_eof()
        self._transport.resume_reading()
        self._timer = self._gateway.loop.call_later(LINGER_SECONDS, self._transport.abort)

    def _begin_upgrade(self, request: Request) -> None:
        """Refuse an upgrade request that isn't valid; start an Admission for a valid one."""
        refusal = router.find_refusal(self._gateway, request)
        if refusal is not None:
            self._refuse(refusal)
            return
        acceptance = websocket_wire.negotiate(request)
        status = acceptance.response.status_code
        if status != HTTPStatus.SWITCHING_PROTOCOLS:
            self._refuse(status)
            return
        try:
            source_ip = find_source_ip(request, self._gateway.source_ip_header)
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        self._wires.discard(self)
        self._upgrade = PendingUpgrade(
            self._transport, request, acceptance, self._parser.early_data or b"", source_ip
        )
        Admission(self._gateway, self._upgrade).start()
