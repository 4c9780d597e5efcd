"""The @connections API, called with boto3."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from websockets.exceptions import ConnectionClosedOK

from gateway_support.plain_http import upgrade_request
from gateway_support.serving import Server

UNKNOWN = "AAAAAAAAAAAAAAA="


def connection_id_of(client: object) -> str:
    client.send("id")
    return client.recv()


def call(server: Server, operation: str, connection_id: str) -> None:
    arguments = {"Data": b"hello"} if operation == "post_to_connection" else {}
    getattr(server.connections, operation)(ConnectionId=connection_id, **arguments)


def post_without_end(server: Server, connection_id: str) -> None:
    while True:
        server.connections.post_to_connection(ConnectionId=connection_id, Data=b"x" * 131072)


operations = pytest.mark.parametrize(
    "operation", ["post_to_connection", "get_connection", "delete_connection"]
)


@operations
def test_an_unknown_connection_is_gone(server: Server, operation: str) -> None:
    with pytest.raises(server.connections.exceptions.GoneException) as gone:
        call(server, operation, UNKNOWN)
    assert gone.value.response["ResponseMetadata"]["HTTPStatusCode"] == 410


@operations
def test_a_closed_connection_is_gone(server: Server, principal: str, operation: str) -> None:
    with server.connect(principal) as client:
        connection_id = connection_id_of(client)
    server.next_event("$disconnect", principal)

    with pytest.raises(server.connections.exceptions.GoneException):
        call(server, operation, connection_id)


@operations
def test_a_connection_is_gone_during_connect_and_reachable_afterwards(
    server: Server, principal: str, operation: str
) -> None:
    def connect() -> None:
        with server.connect(principal, connect_waits=principal) as client:
            is_open.set()
            if operation == "post_to_connection":
                assert client.recv() == "hello"
            is_done.wait(10)

    is_open, is_done = threading.Event(), threading.Event()
    connecting = threading.Thread(target=connect)
    connecting.start()
    connection_id = server.invoke("next_started", name=principal)

    with pytest.raises(server.connections.exceptions.GoneException):
        call(server, operation, connection_id)
    server.invoke("release", name=principal)
    assert is_open.wait(10)
    call(server, operation, connection_id)

    is_done.set()
    connecting.join()


@pytest.mark.parametrize("connection_id", ["x", "A" * 16, "AAAAAAAAAAAAAAA/", UNKNOWN + "="])
def test_a_malformed_id_is_a_bad_request(server: Server, connection_id: str) -> None:
    with pytest.raises(ClientError) as refused:
        call(server, "post_to_connection", connection_id)
    assert refused.value.response["Error"]["Code"] == "BadRequestException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_payload_over_128_kib_is_too_large(server: Server) -> None:
    with server.connect() as client:
        connection_id = connection_id_of(client)
        post = server.connections.post_to_connection

        with pytest.raises(server.connections.exceptions.PayloadTooLargeException) as refused:
            post(ConnectionId=connection_id, Data=b"x" * 131073)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
        post(ConnectionId=connection_id, Data=b"x" * 131072)
        assert len(client.recv()) == 131072


def test_a_post_arrives_as_text_with_invalid_utf_8_replaced(server: Server) -> None:
    with server.connect() as client:
        server.connections.post_to_connection(
            ConnectionId=connection_id_of(client), Data=b"gr\xc3\xbc\xc3\x9f \xff"
        )
        assert client.recv() == "grüß �"


def test_a_connection_id_is_url_decoded(server: Server) -> None:
    with server.connect() as client, server.raw() as http:
        quoted = connection_id_of(client).replace("=", "%3D").replace("A", "%41")
        path = f"/local/%40connections/{quoted}".encode()
        http.sendall(
            b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
        )
        assert http.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert client.recv() == "hello"


def test_a_description_contains_the_connection_time_and_identity(server: Server) -> None:
    with server.connect() as client:
        connection_id = connection_id_of(client)
        described = server.connections.get_connection(ConnectionId=connection_id)

    now = datetime.now(UTC)
    assert described["Identity"]["SourceIp"] == "127.0.0.1"
    assert described["Identity"]["UserAgent"] == client.request.headers["User-Agent"]
    assert described["ConnectedAt"] < described["LastActiveAt"]
    assert now - timedelta(seconds=10) < described["LastActiveAt"] <= now


def test_a_delete_closes_normally_and_immediately(server: Server, principal: str) -> None:
    with server.connect(principal) as client:
        connection_id = connection_id_of(client)
        response = server.connections.delete_connection(ConnectionId=connection_id)
        with pytest.raises(server.connections.exceptions.GoneException):
            call(server, "post_to_connection", connection_id)
        with pytest.raises(ConnectionClosedOK) as closed:
            client.recv(10)

    assert response["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert closed.value.rcvd.code == 1000
    context = server.next_event("$disconnect", principal)["requestContext"]
    assert context["disconnectStatusCode"] == 1000
    assert context["disconnectReason"] == "Connection Closed Normally"


def test_a_client_that_does_not_read_fills_its_buffer_and_blocks_no_other(
    server: Server, principal: str
) -> None:
    with server.raw() as client:
        client.sendall(upgrade_request(f"/local?principal={principal}"))
        client.recv(65536)
        connection_id = server.next_event("$connect", principal)["requestContext"]["connectionId"]

        with pytest.raises(server.connections.exceptions.LimitExceededException):
            post_without_end(server, connection_id)
        with server.connect() as another:
            started = time.monotonic()
            another.send("hello")
            assert another.recv() == "hello"
            assert time.monotonic() - started < 1
