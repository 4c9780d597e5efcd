"""Web pages in a real browser, from other sites and for the speakers' sign-in."""

import base64
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from gateway_support.serving import Server
from local_gateway import aws
from tests.browser.conftest import Browse

USER = "browser@example.com"
VERIFIER = "v" * 43


@pytest.fixture(scope="module")
def environment(own_server: Server) -> Any:
    status, answer = own_server.request("GET", "/_local_gateway/environment")
    assert status == 200
    return answer["environment"]


def pool_of(environment: Any) -> tuple[str, str, str]:
    names = ("AWS_ENDPOINT_URL", "COGNITO_USER_POOL_ID", "COGNITO_CLIENT_ID")
    endpoint_url, pool_id, client_id = (environment[name] for name in names)
    return endpoint_url, pool_id, client_id


def attacks(own_url: str, aws_url: str, marker: Path, connection_id: str) -> list[dict[str, Any]]:
    """List requests that a page can send. Each would have an effect if it were accepted."""
    functions = f"{aws_url}/2015-03-31/functions"
    body = json.dumps(
        {
            "FunctionName": "evil",
            "Runtime": "python3.11",
            "Role": "arn:aws:iam::000000000000:role/evil",
            "Handler": "index.handler",
            "Code": {"ZipFile": _package(f"def handler(*_): open({str(marker)!r}, 'w').close()")},
        }
    )
    plain = {"method": "POST", "mode": "no-cors", "body": body}
    query = urlencode({"Action": "CreateQueue", "QueueName": "evil"})
    connection = f"{own_url}/local/@connections/{connection_id}"
    faults = {"method": "PUT", "body": '{"post_gone_share": 1}'}
    return [
        {"fetch": functions, "options": {"method": "POST", "body": body}},
        {"fetch": functions, "options": plain},
        {"submit": functions, "fields": {body[:-1] + ', "': '": 0}'}},
        {"image": f"{aws_url}/?{query}"},
        {"fetch": f"{aws_url}/?{query}", "options": {"mode": "no-cors"}},
        {"fetch": f"{functions}/evil/invocations", "options": {"method": "POST"}},
        {"websocket": f"{aws_url.replace('http', 'ws', 1)}/_aws/execute-api/a/local"},
        {"fetch": f"{own_url}/_local_gateway/faults", "options": faults},
        {"fetch": f"{own_url}/_local_gateway/environment"},
        {"fetch": connection, "options": {"method": "POST", "body": "evil"}},
        {"fetch": connection, "options": {"method": "DELETE", "mode": "cors"}},
    ]


def _package(code: str) -> str:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("index.py", code)
    return base64.b64encode(content.getvalue()).decode()


def is_refused(result: Any) -> bool:
    """Return whether a request was refused. A page can't see it for no-cors requests (status 0)."""
    if isinstance(result, dict):
        return "error" in result or result["status"] in (0, 403)
    return result in ("answered", "not loaded", "refused")


@pytest.mark.parametrize("page", ["a page of another port", "a page whose host resolves here"])
def test_pages_of_other_sites_are_refused(
    own_server: Server,
    environment: Any,
    other_site_port: int,
    browse: Browse,
    tmp_path: Path,
    page: str,
) -> None:
    aws_url, marker = environment["AWS_ENDPOINT_URL"], tmp_path / "evil"
    faults = own_server.request("GET", "/_local_gateway/faults")[1]
    token = aws.sign_in(*pool_of(environment), USER)["IdToken"]
    with own_server.connect(token=token) as speaker:
        speaker.send('{"action": "createSession", "sourceLanguage": "en"}')
        connection_id = json.loads(speaker.recv())["connectionId"]
        if page == "a page of another port":
            steps = attacks(own_server.http_url, aws_url, marker, connection_id)
            results = browse({"open": f"http://127.0.0.1:{other_site_port}/"}, *steps)[1:]
        else:
            results = []
            for url in (own_server.http_url, aws_url):
                seen = url.replace("127.0.0.1", "evil.example")
                steps = attacks(seen, seen, marker, connection_id)
                results += browse({"open": f"{seen}/"}, *steps)[1:]
        speaker.send('{"action": "heartbeat"}')
        assert json.loads(speaker.recv())["type"] == "heartbeatAck"

    assert [result for result in results if not is_refused(result)] == []
    assert aws.client("lambda", aws_url).list_functions()["Functions"] == []
    assert aws.client("sqs", aws_url).list_queues().get("QueueUrls", []) == []
    assert not marker.exists()
    assert own_server.request("GET", "/_local_gateway/faults")[1] == faults


def test_a_speaker_signs_in_on_the_hosted_page(
    own_server: Server, environment: Any, browse: Browse
) -> None:
    endpoint_url, _, client_id = pool_of(environment)
    aws.sign_in(*pool_of(environment), USER)
    page = f"{own_server.http_url}/"
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": page,
        "scope": "openid email",
        "code_challenge_method": "S256",
        "code_challenge": _challenge(VERIFIER),
    }
    credentials = {"input[name=username]": USER, "input[name=password]": aws.USER_PASSWORD}
    [*_, arrived] = browse(
        {"open": f"{endpoint_url}/oauth2/authorize?{urlencode(query)}"},
        {"fill": credentials},
        {"click": "button[type=submit]", "until": page},
    )
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "redirect_uri": page,
        "code": parse_qs(urlsplit(arrived).query)["code"][0],
        "code_verifier": VERIFIER,
    }
    content_type = {"Content-Type": "application/x-www-form-urlencoded"}
    options = {"method": "POST", "headers": content_type, "body": urlencode(form)}
    # The metrics page, because the start page's content security policy forbids fetch.
    [_, answer] = browse(
        {"open": f"{page}local/metrics"},
        {"fetch": f"{endpoint_url}/oauth2/token", "options": options},
    )
    assert answer["status"] == 200
    with own_server.connect(token=json.loads(answer["text"])["id_token"]) as speaker:
        speaker.send(json.dumps({"action": "createSession", "sourceLanguage": "en"}))
        assert json.loads(speaker.recv())["type"] == "sessionCreated"


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
