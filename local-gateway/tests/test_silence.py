"""Connections that a fault silences, as if the client's phone were in a tunnel."""

from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from gateway_support.plain_http import upgrade_request
from gateway_support.serving import Server, serving

ALWAYS_SILENT = ("--no-reload", "--fault", "connection_silent_share=1")


def connection_id_of(client: ClientConnection) -> str:
    client.send("id")
    return client.recv()


def post(server: Server, connection_id: str, data: bytes) -> None:
    server.connections.post_to_connection(ConnectionId=connection_id, Data=data)


def hears_nothing(client: ClientConnection) -> bool:
    with pytest.raises(TimeoutError):
        client.recv(0.2)
    return True


def test_nothing_passes_in_either_direction_until_the_silence_ends(
    faulty_server: Server, principal: str
) -> None:
    with faulty_server.connect(principal) as client:
        connection_id = connection_id_of(client)
        faulty_server.set_faults(connection_silent_share=1)
        post(faulty_server, connection_id, b"posted")
        client.send("record")
        assert hears_nothing(client)
        assert faulty_server.next_event("$default", principal, seconds=0) is None
        faulty_server.connections.get_connection(ConnectionId=connection_id)

        faulty_server.set_faults()
        assert client.recv() == "posted"
        assert client.recv() == "record"
        assert faulty_server.next_event("$default", principal)["body"] == "record"


def test_a_new_connection_is_silent_after_its_handshake(
    faulty_server: Server, principal: str
) -> None:
    early_frame = b"\x81\x85\x00\x00\x00\x00hello"
    faulty_server.set_faults(connection_silent_share=1)
    with faulty_server.raw() as client, client.makefile("rb") as answer:
        path = f"/local?principal={principal}&connect_waits={principal}"
        client.sendall(upgrade_request(path) + early_frame)
        faulty_server.invoke("next_started", name=principal)
        faulty_server.invoke("release", name=principal)
        assert answer.readline().startswith(b"HTTP/1.1 101 ")
        while answer.readline() != b"\r\n":
            pass
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)

        client.settimeout(10)
        faulty_server.set_faults()
        assert answer.read(7) == b"\x81\x05hello"
        faulty_server.set_faults(connection_silent_share=1)
        client.sendall(b"\x81\x83\x00\x00\x00\x00bye")
        faulty_server.set_faults()
        assert answer.read(5) == b"\x81\x03bye"


def test_the_end_of_a_silent_client_is_noticed_after_the_silence(
    faulty_server: Server, principal: str
) -> None:
    with faulty_server.raw() as client:
        client.sendall(upgrade_request(f"/local?principal={principal}"))
        client.recv(65536)
        faulty_server.set_faults(connection_silent_share=1)
    assert faulty_server.next_event("$disconnect", principal, seconds=0.1) is None

    faulty_server.set_faults()
    context = faulty_server.next_event("$disconnect", principal)["requestContext"]
    assert context["disconnectStatusCode"] == 1006


def test_only_the_idle_timeout_ends_a_silent_connection_and_the_client_learns_it_afterwards(
    principal: str,
) -> None:
    idle = ("--idle-timeout-seconds", "0.5")
    with serving("recorder", *ALWAYS_SILENT, *idle) as server, server.connect(principal) as client:
        context = server.next_event("$disconnect", principal)["requestContext"]
        assert context["disconnectStatusCode"] == 1001
        assert context["disconnectReason"] == "Going away"
        with pytest.raises(server.connections.exceptions.GoneException):
            post(server, context["connectionId"], b"too late")
        assert hears_nothing(client)

        server.set_faults()
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(10)
        assert closed.value.rcvd is None
        assert server.next_event("$disconnect", principal, seconds=0) is None


def test_the_buffer_of_a_silent_connection_fills_up(faulty_server: Server) -> None:
    with faulty_server.connect() as client:
        connection_id = connection_id_of(client)
        faulty_server.set_faults(connection_silent_share=1)
        for _ in range(8):
            post(faulty_server, connection_id, b"x" * 131072)
        with pytest.raises(faulty_server.connections.exceptions.LimitExceededException):
            post(faulty_server, connection_id, b"x")

        faulty_server.set_faults()
        assert {len(client.recv()) for _ in range(8)} == {131072}


def test_the_server_stops_despite_a_silent_connection(tmp_path: Path) -> None:
    record = tmp_path / "record"
    with (
        serving("recorder", *ALWAYS_SILENT, RECORD_FILE=str(record)) as server,
        server.connect() as client,
    ):
        assert server.stop() == 0
        with pytest.raises(ConnectionClosed):
            client.recv(10)
    assert record.read_text() == "1001\n"
