"""Identity sources of an authorizer, alone and in a whole server."""

import json
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from gateway_support.serving import SECONDS, Server, serving, write_project
from local_gateway.events import Handshake
from local_gateway.identity_sources import InvalidIdentitySource, parse_identity_source

APP = """
from chalice import Chalice
app = Chalice("x")
app.experimental_feature_flags.update(["WEBSOCKETS"])


@app.lambda_function()
def authorizer(event, context):
    raise Exception("Unauthorized by the authorizer")


@app.on_ws_connect()
def connect(event):
    pass
"""


@pytest.mark.parametrize(
    "expression",
    ["", "$request.header.Auth", "route.request.querystring.", "context.identity.sourceIp", 5],
)
def test_other_expressions_are_refused(expression: object) -> None:
    with pytest.raises(InvalidIdentitySource, match=r"must be route\.request\.header\.NAME"):
        parse_identity_source(expression)


@pytest.mark.parametrize(
    ("expression", "headers", "query", "is_present"),
    [
        ("route.request.header.Auth", [("auth", "x")], [], True),
        ("route.request.header.Auth", [("Auth", "")], [("Auth", "x")], False),
        ("route.request.querystring.token", [], [("token", "x")], True),
        ("route.request.querystring.token", [("token", "x")], [("Token", "x")], False),
        ("route.request.querystring.token", [], [("token", "")], False),
    ],
)
def test_a_source_needs_a_value(
    expression: str,
    headers: list[tuple[str, str]],
    query: list[tuple[str, str]],
    is_present: bool,
) -> None:
    source = parse_identity_source(expression)
    assert source.is_in(Handshake(headers, query)) is is_present


def project(folder: Path, *sources: object) -> Path:
    websocket_api = {"authorizer_function": "authorizer", "identity_sources": sources}
    config = {"app_name": "x", "websocket_api": websocket_api}
    return write_project(folder, APP, json.dumps(config))


def status(server: Server, **query: str) -> int:
    with pytest.raises(InvalidStatus) as refusal, server.connect(**query):
        pass
    return refusal.value.response.status_code


def test_a_handshake_without_the_source_is_refused_before_the_authorizer(tmp_path: Path) -> None:
    with serving(project(tmp_path, "route.request.querystring.token"), "--no-reload") as server:
        assert status(server) == 401
        assert status(server, token="x") == 500


def test_an_invalid_source_prevents_the_start(tmp_path: Path) -> None:
    server = Server(project(tmp_path, "token"), "--no-reload")
    assert server.process.wait(SECONDS) == 1
    assert server.err.join().startswith(
        "chalice-local-gateway: websocket_api.identity_sources: 'token' must be "
    )
