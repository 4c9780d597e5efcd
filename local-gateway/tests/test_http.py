"""Invalid and valid HTTP requests."""

import json
import socket

import pytest

from gateway_support.serving import Server

GONE = b"/local/@connections/AAAAAAAAAAAAAAA%3D"


def exchange(server: Server, *parts: bytes) -> bytes:
    """Send the parts one by one, and return all data until the server closes the connection."""
    with server.raw() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            client.sendall(part)
        answer = b""
        while received := client.recv(65536):
            answer += received
        return answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"x: " + b"x" * 33 * 1024 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 8 * 1024 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nContent-Length: 8000000\r\n\r\n" + b"x" * 7_400_000, 413),
    ],
)
def test_an_invalid_request_is_refused(server: Server, request_: bytes, status: int) -> None:
    assert exchange(server, request_).startswith(b"HTTP/1.1 %d " % status)


def test_an_endless_header_is_refused(server: Server) -> None:
    parts = [b"GET / HTTP/1.1\r\nx: ", *[b"x" * 1000] * 300]
    with server.raw() as client:
        try:
            for part in parts:
                client.sendall(part)
            assert client.recv(65536).startswith(b"HTTP/1.1 431 ")
        except ConnectionError:
            pass  # The server closed the connection while the client was still sending.


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /other HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /local/more HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"POST /local HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"PUT %s HTTP/1.1\r\nConnection: close\r\n\r\n" % GONE,
    ],
)
def test_an_unknown_path_is_forbidden_or_gone(server: Server, request_: bytes) -> None:
    assert exchange(server, request_)[:12] in (b"HTTP/1.1 403", b"HTTP/1.1 410")


def test_a_forbidden_path_has_the_error_type_that_boto3_reads(server: Server) -> None:
    request = b"POST /@connections/x HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    assert b"\r\nx-amzn-ErrorType: ForbiddenException\r\n" in exchange(server, request)


def test_a_request_in_single_bytes_is_answered(server: Server) -> None:
    request = b"POST %s HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi" % GONE
    answer = exchange(server, *(bytes([byte]) for byte in request))
    assert answer.startswith(b"HTTP/1.1 410 ")


def test_a_chunked_body_is_answered(server: Server) -> None:
    request = b"POST %s HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" % GONE
    assert exchange(server, request, b"2\r\nhi\r\n", b"0\r\n\r\n").startswith(b"HTTP/1.1 410 ")


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    slow = b'{"seconds": 0.2}'
    path = b"/2015-03-31/functions/recorder-local-sleep/invocations"
    first = b"POST %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (path, len(slow), slow)
    last = b"GET /local HTTP/1.1\r\nConnection: close\r\n\r\n"
    many = b"DELETE %s HTTP/1.1\r\n\r\n" % GONE

    answer = exchange(server, first + many * 3000 + last)

    statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", *[b"410"] * 3000, b"426"]


def test_a_client_that_closes_its_write_side_is_answered(server: Server) -> None:
    with server.raw() as client:
        client.sendall(b"POST /2015-03-31/functions/recorder-local-sleep/invocations HTTP/1.1\r\n")
        client.sendall(b'Content-Length: 16\r\n\r\n{"seconds": 0.1}')
        client.shutdown(socket.SHUT_WR)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert client.recv(65536) == b""


def test_an_http_1_0_connection_closes_after_the_response(server: Server) -> None:
    assert exchange(server, b"GET /local HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 426 ")


def test_an_upgrade_to_another_protocol_is_a_plain_request(server: Server) -> None:
    request = b"GET /local HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    assert exchange(server, request).startswith(b"HTTP/1.1 426 ")


def test_the_environment_is_published(server: Server) -> None:
    request = b"GET /_local_gateway/environment HTTP/1.1\r\nConnection: close\r\n\r\n"
    body = exchange(server, request).partition(b"\r\n\r\n")[2]
    assert json.loads(body) == {"endpoint": server.url, "environment": {}, "clockRate": 1}
