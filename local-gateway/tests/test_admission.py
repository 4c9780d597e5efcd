"""Refusals by the authorizer and $connect, as clients see them."""

import json
import threading
from http import HTTPStatus
from urllib.parse import quote

import pytest
from websockets.exceptions import InvalidStatus

from gateway_support.plain_http import upgrade_request
from gateway_support.serving import Server, serving


def refuse(server: Server, principal: str, **query: str) -> tuple[int, dict[str, str]]:
    """Connect, and return the status and the body of the refusal."""
    with pytest.raises(InvalidStatus) as refused, server.connect(principal, **query):
        pass
    response = refused.value.response
    return response.status_code, json.loads(response.body)


def policy(**statement: object) -> str:
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return json.dumps({"principalId": "x", "policyDocument": document})


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({"effect": "Deny"}, 403, "Forbidden"),
        (
            {"resource": "arn:aws:execute-api:us-east-1:000000000000:local_gateway0/local/*/*"},
            403,
            "Forbidden",
        ),
        ({"authorizer_raises": "Unauthorized"}, 401, "Unauthorized"),
        ({"authorizer_raises": "Unauthorized "}, 500, "Internal server error"),
        ({"authorizer_is_unprintable": "yes"}, 500, "Internal server error"),
        ({"authorizer_returns": "null"}, 500, "Internal server error"),
        ({"authorizer_returns": '{"isAuthorized": true}'}, 500, "Internal server error"),
        (
            {"authorizer_returns": policy(Effect="Maybe", Action="*", Resource="*")},
            500,
            "Internal server error",
        ),
    ],
)
def test_connect_does_not_run_if_the_authorizer_refuses(
    server: Server, principal: str, query: dict[str, str], status: int, message: str
) -> None:
    refusal = refuse(server, principal, **query)

    assert refusal[0] == status
    assert refusal[1].keys() == {"message", "connectionId", "requestId"}
    assert refusal[1]["message"] == message
    assert server.next_event("$connect", principal, seconds=0.01) is None


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"connect_raises": "secret"}, 502),
        ({"connect_returns": '{"statusCode": "yes"}'}, 502),
        ({"connect_returns": '{"statusCode": 99}'}, 502),
        ({"connect_returns": '{"statusCode": 200, "headers": [1]}'}, 502),
        ({"connect_returns": '{"headers": {"Sec-WebSocket-Protocol": "a\\r\\nb"}}'}, 502),
        ({"connect_returns": '{"statusCode": 301}'}, 301),
        ({"connect_returns": '{"statusCode": 400, "body": "secret"}'}, 400),
        ({"connect_returns": '{"statusCode": 418}'}, 418),
        ({"connect_returns": '{"statusCode": 501}'}, 501),
    ],
)
def test_a_refusal_by_connect_has_its_status_but_not_its_body(
    server: Server, principal: str, query: dict[str, str], status: int
) -> None:
    refusal = refuse(server, principal, **query)

    assert refusal[0] == status
    assert refusal[1].keys() == {"message", "connectionId", "requestId"}
    assert "secret" not in json.dumps(refusal[1])
    if status == HTTPStatus.BAD_GATEWAY:
        assert refusal[1]["message"] == "Internal server error"


def test_a_refused_client_causes_no_disconnect(server: Server, principal: str) -> None:
    refuse(server, principal, connect_returns='{"statusCode": 400}')

    with server.connect(principal) as client:
        client.send("id")
        connection_id = client.recv()

    event = server.next_event("$disconnect", principal)
    assert event["requestContext"]["connectionId"] == connection_id


def test_any_2xx_status_opens_the_connection(server: Server, principal: str) -> None:
    with server.connect(principal, connect_returns='{"statusCode": 204}') as client:
        client.send("hello")
        assert client.recv() == "hello"


def test_a_client_that_leaves_during_connect_causes_a_disconnect(
    server: Server, principal: str
) -> None:
    with server.raw() as client:
        client.sendall(upgrade_request(f"/local?principal={principal}&connect_waits={principal}"))
        connection_id = server.invoke("next_started", name=principal)
    server.invoke("release", name=principal)

    context = server.next_event("$disconnect", principal)["requestContext"]
    assert context["connectionId"] == connection_id
    assert context["disconnectStatusCode"] == 1006
    assert context["disconnectReason"]


def test_messages_sent_during_connect_are_handled_after_it(server: Server, principal: str) -> None:
    early_frame = b"\x81\x85\x00\x00\x00\x00hello"
    with server.raw() as client:
        path = f"/local?principal={principal}&connect_waits={principal}"
        client.sendall(upgrade_request(path) + early_frame)
        server.invoke("next_started", name=principal)
        client.sendall(early_frame)
        server.invoke("release", name=principal)

        with client.makefile("rb") as answer:
            assert answer.readline().startswith(b"HTTP/1.1 101 ")
            while answer.readline() != b"\r\n":
                pass
            assert answer.read(14) == b"\x81\x05hello" * 2


def test_a_hanging_connect_does_not_block_other_clients(server: Server, principal: str) -> None:
    def connect() -> None:
        with server.connect(principal, connect_waits=principal):
            pass

    waiting = threading.Thread(target=connect)
    waiting.start()
    server.invoke("next_started", name=principal)

    with server.connect("another") as client:
        client.send("hello")
        assert client.recv() == "hello"

    server.invoke("release", name=principal)
    waiting.join()


def test_a_subprotocol_is_echoed_only_if_connect_returns_it(server: Server) -> None:
    offered = {"Sec-WebSocket-Protocol": "chat, other"}
    returned = json.dumps({"statusCode": 200, "headers": {"sec-websocket-protocol": "chat"}})

    with server.connect(headers=offered) as client:
        assert "Sec-WebSocket-Protocol" not in client.response.headers
    with server.raw() as raw:
        lines = b"Sec-WebSocket-Protocol: chat, other\r\n"
        raw.sendall(upgrade_request(f"/local?connect_returns={quote(returned)}", lines))
        assert b"\r\nSec-WebSocket-Protocol: chat\r\n" in raw.recv(65536)


def test_no_other_header_is_forwarded_and_no_extension_is_negotiated(
    server: Server,
) -> None:
    returned = json.dumps({"statusCode": 200, "headers": {"X-Secret": "1"}})

    with server.connect(connect_returns=returned) as client:
        assert "X-Secret" not in client.response.headers
        assert "permessage-deflate" in client.request.headers["Sec-WebSocket-Extensions"]
        assert "Sec-WebSocket-Extensions" not in client.response.headers


def test_an_application_without_routes_connects_and_forbids_messages() -> None:
    with serving("empty") as server, server.connect() as client:
        client.send("hello")
        frame = json.loads(client.recv())

    assert frame.keys() == {"message", "connectionId", "requestId"}
    assert frame["message"] == "Forbidden"
    assert server.process.returncode == 0


@pytest.mark.parametrize("path", ["/local", "/local/"])
def test_a_plain_request_for_the_stage_gets_426(server: Server, path: str) -> None:
    with server.raw() as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert client.recv(65536).startswith(b"HTTP/1.1 426 ")


@pytest.mark.parametrize("path", ["/", "/other", "/local/more", "/local?" + "x" * 4090])
def test_an_upgrade_with_another_path_or_a_long_url_is_forbidden(server: Server, path: str) -> None:
    with server.raw() as client:
        client.sendall(upgrade_request(path))
        answer = client.recv(65536)

    assert answer.startswith(b"HTTP/1.1 403 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["message"] == "Forbidden"


def test_a_url_of_4096_characters_is_accepted(server: Server, principal: str) -> None:
    start = f"/local?principal={principal}&token="
    with server.raw() as client:
        client.sendall(upgrade_request(start + "x" * (4096 - len(start))))
        assert client.recv(65536).startswith(b"HTTP/1.1 101 ")


def test_a_handshake_without_a_key_is_a_bad_request(server: Server, principal: str) -> None:
    request = upgrade_request(f"/local?principal={principal}").replace(b"Sec-WebSocket-Key", b"X")
    with server.raw() as client:
        client.sendall(request)
        assert client.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert server.next_event("authorizer", principal, seconds=0.01) is None


def test_an_authorization_header_of_16_kb_reaches_the_authorizer(
    server: Server, principal: str
) -> None:
    token = "x" * 16 * 1024
    with server.connect(principal, headers={"Authorization": token}):
        event = server.next_event("authorizer", principal)
    assert event["headers"]["Authorization"] == token
