"""The ends of connections, and the codes that $disconnect receives."""

import struct
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from gateway_support.plain_http import upgrade_request
from gateway_support.serving import Server, serving

IDLE_SECONDS = 1.0


@pytest.fixture(scope="module")
def strict_server() -> Iterator[Server]:
    """Run a server with an idle timeout of one second."""
    with serving("recorder", "--no-reload", "--idle-timeout-seconds", str(IDLE_SECONDS)) as running:
        yield running


def end_of(client: ClientConnection) -> tuple[int, str]:
    """Wait for the server's close frame."""
    with suppress(ConnectionClosed):
        while True:
            client.recv(timeout=10)
    return client.close_code, client.close_reason


def disconnect_of(server: Server, principal: str) -> tuple[int, str]:
    context = server.next_event("$disconnect", principal)["requestContext"]
    return context["disconnectStatusCode"], context["disconnectReason"]


def test_a_binary_message_closes_with_1003(server: Server, principal: str) -> None:
    with server.connect(principal) as client:
        client.send(b"binary")
        assert end_of(client)[0] == 1003
    assert disconnect_of(server, principal)[0] == 1003


def test_invalid_utf_8_closes_with_1007(server: Server, principal: str) -> None:
    with server.connect(principal) as client:
        client.send(b"\xff", text=True)
        assert end_of(client)[0] == 1007
    assert disconnect_of(server, principal)[0] == 1007


def test_a_frame_over_32_kib_closes_with_1009(server: Server, principal: str) -> None:
    with server.connect(principal) as client:
        client.send("x" * 32 * 1024)
        assert len(client.recv()) == 32 * 1024
        client.send("x" * (32 * 1024 + 1))
        assert end_of(client)[0] == 1009
    assert disconnect_of(server, principal)[0] == 1009


def test_a_message_over_128_kib_in_frames_closes_with_1009(server: Server, principal: str) -> None:
    frame = "x" * 32 * 1024
    with server.connect(principal) as client:
        client.send([frame] * 4)
        assert len(client.recv()) == 128 * 1024
        client.send([*[frame] * 4, "x"])
        assert end_of(client)[0] == 1009
    assert disconnect_of(server, principal)[0] == 1009


def test_a_frame_without_a_mask_closes_with_1002(server: Server, principal: str) -> None:
    with server.raw() as client:
        client.sendall(upgrade_request(f"/local?principal={principal}"))
        client.recv(65536)
        client.sendall(b"\x81\x05hello")
        assert struct.unpack("!H", client.recv(65536)[2:4]) == (1002,)
    assert disconnect_of(server, principal)[0] == 1002


def test_messages_before_an_invalid_one_are_handled(server: Server, principal: str) -> None:
    with server.connect(principal) as client:
        client.send("record")
        client.send(b"binary")
        end_of(client)
    assert server.next_event("$default", principal)["body"] == "record"


def test_disconnect_gets_the_clients_code_and_reason(server: Server, principal: str) -> None:
    with server.connect(principal) as client:
        client.close(4000, "enough")
    assert disconnect_of(server, principal) == (4000, "enough")


def test_a_close_frame_without_a_status_has_the_code_1005(server: Server, principal: str) -> None:
    with server.raw() as client:
        client.sendall(upgrade_request(f"/local?principal={principal}"))
        client.recv(65536)
        client.sendall(b"\x88\x80\x00\x00\x00\x00")
        assert client.recv(65536) == b"\x88\x00"
        assert client.recv(65536) == b""
    expected = (1005, "Client-side close frame status not set")
    assert disconnect_of(server, principal) == expected


@pytest.mark.parametrize("is_reset", [False, True])
def test_a_lost_connection_has_the_code_1006(
    server: Server, principal: str, is_reset: bool
) -> None:
    with server.raw() as client:
        client.sendall(upgrade_request(f"/local?principal={principal}"))
        client.recv(65536)
        if is_reset:
            client.setsockopt(1, 13, struct.pack("ii", 1, 0))
    assert disconnect_of(server, principal)[0] == 1006


def test_disconnect_does_not_wait_for_messages(server: Server, principal: str) -> None:
    with server.connect(principal) as client:
        client.send(f"wait {principal}")
        server.invoke("next_started", name=principal)
    assert disconnect_of(server, principal)[0] == 1000
    server.invoke("release", name=principal)


def test_pings_are_answered_and_cause_no_event(server: Server, principal: str) -> None:
    with server.connect(principal) as client:
        assert client.ping("are you there").wait(10)
    server.next_event("$disconnect", principal)
    assert server.next_event("$default", principal, seconds=0.01) is None


def test_an_idle_connection_closes_with_1001_despite_pings(
    strict_server: Server, principal: str
) -> None:
    with strict_server.connect(principal) as client:
        started = time.monotonic()
        for _ in range(3):
            client.ping().wait(10)
            time.sleep(IDLE_SECONDS / 5)
        assert end_of(client) == (1001, "Going away")
        assert time.monotonic() - started < 2 * IDLE_SECONDS
    assert disconnect_of(strict_server, principal) == (1001, "Going away")


@pytest.mark.parametrize("is_from_client", [True, False])
def test_messages_in_both_directions_reset_the_idle_timeout(
    strict_server: Server, is_from_client: bool
) -> None:
    with strict_server.connect() as client:
        client.send("id")
        connection_id = client.recv()
        time.sleep(IDLE_SECONDS * 0.6)
        spoken_at = time.monotonic()
        if is_from_client:
            client.send('return {"body": null}')
        else:
            strict_server.connections.post_to_connection(ConnectionId=connection_id, Data=b"x")
        assert end_of(client) == (1001, "Going away")
        assert time.monotonic() - spoken_at > 0.95 * IDLE_SECONDS


def test_an_old_connection_closes_with_1001_despite_messages(principal: str) -> None:
    with (
        serving("recorder", "--no-reload", "--connection-lifetime-seconds", "0.5") as server,
        server.connect(principal) as client,
        suppress(ConnectionClosed),
    ):
        while True:
            client.send("hello")
            client.recv()
            time.sleep(0.01)
    assert (client.close_code, client.close_reason) == (1001, "Going away")
