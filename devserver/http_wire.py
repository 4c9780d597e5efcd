"""A TCP connection's bytes as long as they are HTTP; an upgrade hands it to a WebSocketWire."""

import asyncio
from functools import partial
from http import HTTPStatus

from devserver import events, router, websocket_wire
from devserver.admission import Admission, refusal_body
from devserver.gateway import Gateway
from devserver.http_messages import Request, Response, encode_response
from devserver.http_parser import RequestParser
from devserver.reading import ReadingProtocol
from devserver.upgrade import PendingUpgrade, find_source_ip

REQUEST_TIMEOUT_SECONDS = 10
"""How long a client may take for a request that it has begun; between requests it may be idle."""

LINGER_SECONDS = 2
"""How long a client that was refused may go on sending what nobody considers."""

MAX_WAITING_REQUESTS = 64
"""Requests that a client may send ahead of their answers before no more is read."""


class HttpWire(ReadingProtocol):
    """One TCP connection that speaks HTTP/1.1: requests are answered in the order they came."""

    def __init__(self, gateway: Gateway, wires: set["HttpWire"]) -> None:
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
        """Hang up."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._wires.add(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._is_refused:
            return
        if self._upgrade is not None:
            self._upgrade.data_received(data)
        elif self._parser.early_data is not None:
            self._parser.early_data += data
        elif self._parser.failure is None:
            self._parser.feed(data)
            self._watch_request()
            self._answer()
            self._watch_flow()

    def eof_received(self) -> bool:
        """Take note that the client sends no more; what it has asked is answered first."""
        self._is_ended = True
        return self._is_answering and self._upgrade is None and not self._is_refused

    def connection_lost(self, _error: Exception | None) -> None:
        """Take note that the client is gone."""
        self._wires.discard(self)
        self._parser.requests.clear()
        self._stop_timer()
        if self._upgrade is not None:
            self._upgrade.is_gone = True

    def pause_writing(self) -> None:
        """Read nothing from a client that does not read its answers."""
        self._is_writing_paused = True
        self._watch_flow()

    def resume_writing(self) -> None:
        """Read on: the client has read."""
        self._is_writing_paused = False
        self._watch_flow()

    def _watch_flow(self) -> None:
        if self._transport.is_closing() or self._upgrade is not None:
            return
        if self._is_writing_paused or len(self._parser.requests) >= MAX_WAITING_REQUESTS:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _watch_request(self) -> None:
        """Give a request that has begun its time; one timer for each that comes in parts."""
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
        """Answer what can be answered now; an answer that comes later goes on from there."""
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
            self._watch_flow()

    def _refuse(self, status: int) -> None:
        """Answer what cannot be considered, and hang up when the client has.

        Or after a while: to close at once resets a client that is still sending, and the answer
        is lost.
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
        """Refuse an upgrade that is no good by itself; leave others to an Admission."""
        refusal = router.find_refusal(self._gateway, request)
        if refusal is not None:
            self._refuse(refusal)
            return
        acceptance = websocket_wire.negotiate(request)
        if acceptance.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._refuse(acceptance.status_code)
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
