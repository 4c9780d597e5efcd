"""Faults of a running server and their API."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from websockets.exceptions import InvalidStatus

from gateway_support.serving import SECONDS, Server, serving, write_project
from local_gateway.faults import Faults

PATH = "/_local_gateway/faults"


@pytest.fixture
def server(faulty_server: Server) -> Server:
    return faulty_server


def connection_id_of(client: Any) -> str:
    client.send("id")
    return client.recv()


def post(server: Server, connection_id: str, text: str) -> None:
    server.connections.post_to_connection(ConnectionId=connection_id, Data=text.encode())


def refuse(*arguments: str) -> str:
    """Start a server that can't start, and return its error message."""
    server = Server(Path(__file__).parent / "apps" / "recorder", *arguments)
    assert server.process.wait(SECONDS) == 1
    server.out.join()
    return server.err.join()


# The API.


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"nonsense": 1}',
        b'{"post_gone_share": 2}',
        b'{"post_gone_share": NaN}',
        b'{"post_gone_share": 0.5, "handler_only": "nobody"}',
        b'{"dynamodb_down_share": 1}',
    ],
)
def test_invalid_faults_are_a_bad_request_and_change_nothing(
    server: Server, method: str, body: bytes
) -> None:
    server.set_faults(post_throttled_share=1)
    status, answer = server.request(method, PATH, body)
    assert status == 400
    assert answer["message"]
    assert server.request("GET", PATH)[1] == Faults(post_throttled_share=1).to_dict()


def test_another_method_is_a_bad_request(server: Server) -> None:
    assert server.request("POST", PATH, {})[0] == 400


def test_put_replaces_patch_changes_and_delete_removes_faults(server: Server) -> None:
    first = {"post_gone_share": 0.5, "handler_only": "$default"}
    assert server.request("PUT", PATH, first) == (200, Faults().changed(first).to_dict())

    patched = server.request("PATCH", PATH, {"handler_only": None, "post_slow_ms": 3})[1]
    assert patched == Faults(post_gone_share=0.5, post_slow_ms=3).to_dict()
    put = server.request("PUT", PATH, {"post_slow_ms": 4})[1]
    assert put == Faults(post_slow_ms=4).to_dict()
    assert server.request("DELETE", PATH) == (200, Faults().to_dict())
    assert server.request("GET", PATH) == (200, Faults().to_dict())


def test_faults_can_be_given_at_the_start() -> None:
    arguments = ("--fault", "post_gone_share=1", "--fault", "handler_only=clean_up")
    with serving("recorder", "--no-reload", *arguments) as server:
        expected = Faults(post_gone_share=1, handler_only="clean_up").to_dict()
        assert server.request("GET", PATH) == (200, expected)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("nonsense=1", "unknown fault 'nonsense'"),
        ("post_gone_share", "'post_gone_share' must be name=value"),
        ("post_gone_share=2", "post_gone_share must be a number from 0 to 1"),
        ("handler_only=nobody", "handler_only: 'nobody' doesn't exist"),
        ("dynamodb_slow_ms=1", "DynamoDB faults need the embedded AWS"),
    ],
)
def test_an_invalid_fault_prevents_the_start(fault: str, expected: str) -> None:
    said = refuse("--fault", fault)
    assert said.startswith(f"chalice-local-gateway: {expected}")
    assert said.count("\n") == 1


# $disconnect.


def test_a_lost_disconnect_is_not_delivered(server: Server, principal: str) -> None:
    server.set_faults(disconnect_lost_share=1)
    with server.connect(principal) as client:
        connection_id = connection_id_of(client)
    server.out.wait_for("$disconnect 1000 lost by a fault")

    assert server.next_event("$disconnect", principal, seconds=0) is None
    with pytest.raises(server.connections.exceptions.GoneException):
        post(server, connection_id, "hello")


def test_a_duplicate_disconnect_is_the_same_event(server: Server, principal: str) -> None:
    server.set_faults(disconnect_twice_share=1)
    with server.connect(principal):
        pass
    first, second = (server.next_event("$disconnect", principal) for _ in range(2))
    assert first == second


def test_a_late_disconnect_contains_the_time_of_the_close(tmp_path: Path, principal: str) -> None:
    arguments = ("--clock-rate", "600", "--fault", "disconnect_late_seconds=120")
    with serving("recorder", "--no-reload", *arguments) as server:
        with server.connect(principal) as client:
            client.send("hello")
            client.recv()
            closing_at = time.monotonic()
        event = server.next_event("$disconnect", principal)
        assert time.monotonic() - closing_at >= 0.2
    context = event["requestContext"]
    assert context["requestTimeEpoch"] - context["connectedAt"] < 120_000


def test_a_late_disconnect_is_delivered_before_the_server_exits(tmp_path: Path) -> None:
    record = tmp_path / "record"
    arguments = ("--fault", "disconnect_late_seconds=3600")
    with serving("recorder", "--no-reload", *arguments, RECORD_FILE=str(record)) as server:
        with server.connect() as client:
            client.close(4000)
        with server.connect() as client:
            client.send("hello")
            client.recv()
            assert server.stop() == 0
    assert sorted(record.read_text().split()) == ["1001", "4000"]


# Posts.


@pytest.mark.parametrize(
    ("fault", "status"), [("post_gone_share", 410), ("post_throttled_share", 429)]
)
def test_a_selected_post_is_refused_and_not_delivered(
    server: Server, fault: str, status: int
) -> None:
    with server.connect() as client:
        connection_id = connection_id_of(client)
        server.set_faults(**{fault: 1})
        with pytest.raises(ClientError) as refused:
            post(server, connection_id, "struck")
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
        server.connections.get_connection(ConnectionId=connection_id)

        server.set_faults()
        post(server, connection_id, "delivered")
        assert client.recv() == "delivered"


def test_a_slow_post_does_not_block_others(server: Server) -> None:
    with server.connect() as client, server.raw() as http:
        connection_id = connection_id_of(client)
        server.set_faults(post_slow_ms=300)
        started = time.monotonic()
        path = f"/local/@connections/{connection_id.replace('=', '%3D')}"
        http.sendall(f"POST {path} HTTP/1.1\r\nContent-Length: 4\r\n\r\nslow".encode())
        server.set_faults()
        post(server, connection_id, "fast")

        assert client.recv() == "fast"
        assert client.recv() == "slow"
        assert time.monotonic() - started >= 0.3


# Handlers.


def test_a_message_gets_the_gateways_error_if_a_fault_fails_its_handler(server: Server) -> None:
    with server.connect() as client:
        server.set_faults(handler_raises_share=1)
        client.send("hello")
        assert '"Internal server error"' in client.recv()
        server.err.wait_for("FaultInjected")
        server.set_faults()
        client.send("hello")
        assert client.recv() == "hello"


def test_only_the_named_route_fails(server: Server) -> None:
    server.set_faults(handler_raises_share=1, handler_only="$connect")
    with pytest.raises(InvalidStatus) as refused:
        server.connect()
    assert refused.value.response.status_code == 502
    assert server.invoke("context", a=1)["event"] == {"a": 1}


def test_only_the_named_function_fails(server: Server) -> None:
    server.set_faults(handler_raises_share=1, handler_only="fail")
    answer = server.functions.invoke(FunctionName="recorder-local-fail")
    assert answer["FunctionError"] == "Unhandled"
    assert b"FaultInjected" in answer["Payload"].read()
    with server.connect() as client:
        client.send("hello")
        assert client.recv() == "hello"


def test_a_slow_handler_does_not_block_other_connections(server: Server) -> None:
    with server.connect() as slow, server.connect() as fast:
        server.set_faults(handler_slow_ms=300)
        started = time.monotonic()
        slow.send("slow")
        slow.ping().wait(10)  # The pong shows that the server has received the message before it.
        server.set_faults()
        fast.send("fast")
        assert fast.recv() == "fast"
        assert time.monotonic() - started < 0.3
        assert slow.recv() == "slow"
        assert time.monotonic() - started >= 0.3


def test_handler_faults_affect_scheduled_functions(tmp_path: Path) -> None:
    app = (
        "from chalice import Chalice\napp = Chalice('x')\n"
        "@app.schedule('rate(1 minute)')\ndef clean_up(event):\n    print('cleaned', flush=True)\n"
    )
    faults = ("--fault", "handler_raises_share=1", "--fault", "handler_only=clean_up")
    with serving(write_project(tmp_path, app), "--clock-rate", "1200", *faults) as server:
        server.err.wait_for("schedule x-local-clean_up failed", count=2)
        assert not any("cleaned" in line for line in server.out.lines)


# Addresses.


@pytest.fixture(scope="module")
def addressed_server() -> Iterator[Server]:
    with serving("recorder", "--no-reload", "--source-ip-header", "X-Source-Ip") as running:
        yield running


@pytest.mark.parametrize("text", ["", "somewhere", "1.2.3", "1.2.3.4, 5.6.7.8", "fe80::1%eth0"])
def test_an_invalid_source_address_is_a_bad_request(addressed_server: Server, text: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        addressed_server.connect(headers={"x-source-ip": text})
    assert refused.value.response.status_code == 400


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:DB8:0::1", "2001:db8::1"),
        (None, "127.0.0.1"),
    ],
)
def test_the_header_sets_the_source_address(
    addressed_server: Server, principal: str, text: str | None, expected: str
) -> None:
    with addressed_server.connect(principal, headers=text and {"X-Source-Ip": text}):
        pass
    event = addressed_server.next_event("$connect", principal)
    assert event["requestContext"]["identity"]["sourceIp"] == expected
    assert event["headers"]["X-Forwarded-For"] == expected


def test_without_the_option_the_header_is_ignored(server: Server, principal: str) -> None:
    with server.connect(principal, headers={"X-Source-Ip": "nonsense"}):
        pass
    event = server.next_event("$connect", principal)
    assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"


def test_concurrent_updates_leave_consistent_faults(server: Server) -> None:
    def put(ms: int) -> None:
        server.request("PUT", PATH, {"post_slow_ms": ms, "handler_slow_ms": ms})

    threads = [threading.Thread(target=put, args=(ms,)) for ms in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = server.request("GET", PATH)[1]
    assert held["post_slow_ms"] == held["handler_slow_ms"] > 0
