"""Faults between API Gateway and its clients: throttles, timeouts and the end of a lifetime."""

import json
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway_support.serving import Server, serving

GATEWAY_FIELDS = {"message", "connectionId", "requestId"}


def refuse(server: Server, principal: str) -> tuple[int, dict[str, str]]:
    """Connect, and return the status and the body of the refusal."""
    with pytest.raises(InvalidStatus) as refused:
        server.connect(principal)
    return refused.value.response.status_code, json.loads(refused.value.response.body)


def test_a_throttled_connect_gets_429_before_the_authorizer_runs(
    faulty_server: Server, principal: str
) -> None:
    faulty_server.set_faults(connect_throttled_share=1)
    status, body = refuse(faulty_server, principal)
    assert status == 429
    assert body.keys() == GATEWAY_FIELDS
    assert body["message"] == "Too Many Requests"
    assert faulty_server.next_event("authorizer", principal, seconds=0) is None


def test_a_client_gets_500_after_the_timeout_of_an_authorizer(
    faulty_server: Server, principal: str
) -> None:
    faulty_server.set_faults(authorizer_timeout_share=1, authorizer_timeout_ms=300)
    started = time.monotonic()
    status, body = refuse(faulty_server, principal)
    assert time.monotonic() - started >= 0.3
    assert (status, body["message"]) == (500, "Internal server error")
    assert faulty_server.next_event("$connect", principal, seconds=0) is None


def test_a_throttled_message_gets_an_error_and_reaches_no_handler(
    faulty_server: Server, principal: str
) -> None:
    with faulty_server.connect(principal) as client:
        faulty_server.set_faults(message_throttled_share=1)
        client.send("record")
        frame = json.loads(client.recv())
        assert frame.keys() == GATEWAY_FIELDS
        assert frame["message"] == "Too Many Requests"
        assert faulty_server.next_event("$default", principal, seconds=0) is None

        faulty_server.set_faults()
        client.send("hello")
        assert client.recv() == "hello"


def test_a_message_can_outlive_its_connection(faulty_server: Server, principal: str) -> None:
    with faulty_server.connect(principal) as client:
        faulty_server.set_faults(message_outlived_share=1)
        client.send(f"wait {principal}")
        connection_id = faulty_server.invoke("next_started", name=principal)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(10)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "Going away")

    context = faulty_server.next_event("$disconnect", principal)["requestContext"]
    assert context["connectionId"] == connection_id
    assert context["disconnectStatusCode"] == 1001
    faulty_server.invoke("release", name=principal)


def test_the_log_says_that_a_message_that_outlived_its_connection_got_no_answer() -> None:
    faults = ("--fault", "message_outlived_share=1")
    with serving("recorder", "--no-reload", *faults) as server:
        for body in ("hello", '{"action": "greet"}'):
            with server.connect() as client:
                client.send(body)
                with pytest.raises(ConnectionClosed):
                    client.recv(10)
        server.out.wait_for(" #1 $default reply lost ")
        server.out.wait_for(" #2 greet reply lost ")
