"""Requests from web pages of other sites."""

import pytest
from websockets.sync.client import connect

from gateway_support.serving import Server, serving

FOREIGN_HOSTS = ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.2", ""]
OWN_HOSTS = ["127.0.0.1", "127.0.0.1:8000", "localhost", "LocalHost:1234", "[::1]:8000"]
ENDPOINTS = [
    ("GET", "/"),
    ("GET", "/_local_gateway/environment"),
    ("GET", "/_local_gateway/faults"),
    ("GET", "/local/metrics"),
    ("PUT", "/_local_gateway/faults"),
    ("POST", "/2015-03-31/functions/recorder-local-context/invocations"),
    ("POST", "/local/@connections/AAAAAAAAAAAAAAA="),
    ("GET", "/local/%40connections/AAAAAAAAAAAAAAA="),
]
endpoints = pytest.mark.parametrize(("method", "path"), ENDPOINTS)


@endpoints
@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_page_whose_host_resolves_here_is_forbidden(
    server: Server, method: str, path: str, host: str
) -> None:
    status, answer = server.request(method, path, {}, Host=host)
    assert (status, answer["message"]) == (403, "the Host isn't one of the gateway's host names")


@endpoints
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:8000"])
def test_pages_of_every_origin_are_forbidden(
    server: Server, method: str, path: str, origin: str
) -> None:
    status, answer = server.request(method, path, {}, Origin=origin)
    assert (status, answer["message"]) == (
        403,
        "web pages can't use the gateway's HTTP endpoints",
    )


@pytest.mark.parametrize("host", OWN_HOSTS)
def test_a_program_of_this_machine_is_answered(server: Server, host: str) -> None:
    assert server.request("GET", "/_local_gateway/environment", Host=host)[0] == 200


def test_the_address_that_the_server_listens_on_is_allowed() -> None:
    with serving("recorder", "--no-reload", "--host", "127.0.0.2") as server:
        for host in ("127.0.0.2", "localhost"):
            assert server.request("GET", "/_local_gateway/environment", Host=host)[0] == 200


def test_pages_of_every_origin_can_open_a_websocket(server: Server) -> None:
    headers = {"Origin": "https://anywhere.example"}
    with server.connect(headers=headers) as client:
        client.send("hello")
        assert client.recv() == "hello"


def test_every_host_name_can_open_a_websocket(server: Server) -> None:
    with server.raw() as socket, connect("ws://anywhere.example/local", sock=socket) as client:
        client.send("hello")
        assert client.recv() == "hello"


def test_a_plain_request_for_the_stage_gets_426_as_on_aws(server: Server) -> None:
    assert server.request("GET", "/local", Origin="https://a.example", Host="b.example")[0] == 426


def test_the_start_page_lists_the_endpoints_and_has_no_scripts(server: Server) -> None:
    status, content_type, page = server.text("GET", "/")
    assert (status, content_type) == (200, "text/html; charset=utf-8")
    for named in (
        server.url,
        "/local/metrics",
        "/_local_gateway/faults",
    ):
        assert named in page
    assert "<script" not in page


def test_the_start_page_accepts_only_get_and_head(server: Server) -> None:
    assert server.text("HEAD", "/")[::2] == (200, "")
    assert server.request("POST", "/")[0] == 403
