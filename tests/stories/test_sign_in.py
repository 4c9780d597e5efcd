"""Sign-in of speakers to the local user pool, by the methods of the deployed pool."""

import asyncio
import base64
import hashlib
import json
import re
import secrets
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from broadcast_sessions_client import SessionError
from broadcast_sessions_client.sign_in import CognitoSignIn
from gateway_support.plain_http import Answer, request
from gateway_support.serving import Server, serving
from local_gateway import aws
from tests.make import ROOT
from tests.stories import frames

USER = "sofia@example.com"
FORM = "application/x-www-form-urlencoded"
APP_CLIENT = json.loads((ROOT / "terraform/modules/cognito/app_client.json").read_text())


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    with serving(ROOT, "--no-reload", has_aws=True) as server:
        yield server


@pytest.fixture(scope="module")
def environment(own_server: Server) -> Any:
    status, answer = own_server.request("GET", "/_local_gateway/environment")
    assert status == 200
    held = answer["environment"]
    aws.sign_in(*pool_of(held), USER)
    return held


def pool_of(environment: Any) -> tuple[str, str, str]:
    names = ("AWS_ENDPOINT_URL", "COGNITO_USER_POOL_ID", "COGNITO_CLIENT_ID")
    endpoint_url, pool_id, client_id = (environment[name] for name in names)
    return endpoint_url, pool_id, client_id


def create_session(server: Server, token: str) -> str:
    with server.connect(token=token) as speaker:
        speaker.send(frames.encode({"action": "createSession", "sourceLanguage": "en"}))
        outcome: str = frames.decode(speaker.recv())["type"]
        return outcome


def test_the_pool_and_the_client_have_the_same_ids_at_every_start(environment: Any) -> None:
    with serving(ROOT, "--no-reload", "--quiet", has_aws=True) as another:
        status, answer = another.request("GET", "/_local_gateway/environment")
    assert status == 200
    assert pool_of(answer["environment"])[1:] == pool_of(environment)[1:]


def test_the_client_has_the_deployed_clients_flows_and_scopes(environment: Any) -> None:
    endpoint_url, pool_id, client_id = pool_of(environment)
    described = aws.client("cognito-idp", endpoint_url).describe_user_pool_client(
        UserPoolId=pool_id, ClientId=client_id
    )
    app_client = described["UserPoolClient"]
    assert app_client["ExplicitAuthFlows"] == APP_CLIENT["explicit_auth_flows"]
    assert "ALLOW_USER_SRP_AUTH" in app_client["ExplicitAuthFlows"]
    assert app_client["AllowedOAuthFlows"] == APP_CLIENT["allowed_oauth_flows"] == ["code"]
    assert app_client["AllowedOAuthScopes"] == APP_CLIENT["allowed_oauth_scopes"]
    assert "openid" in app_client["AllowedOAuthScopes"]


def sign_in_by_srp(environment: Any, password: str) -> str:
    """Return an ID token."""
    endpoint_url, pool_id, client_id = pool_of(environment)
    sign_in = CognitoSignIn(pool_id, client_id, USER, password, endpoint=endpoint_url)
    return asyncio.run(sign_in.token())


def test_srp_refuses_a_wrong_password(environment: Any) -> None:
    with pytest.raises(SessionError, match="NotAuthorizedException"):
        sign_in_by_srp(environment, "wrong")


def test_a_speaker_signs_in_by_srp(own_server: Server, environment: Any) -> None:
    token = sign_in_by_srp(environment, aws.USER_PASSWORD)
    assert create_session(own_server, token) == "sessionCreated"


def post_form(environment: Any, path: str, form: dict[str, str]) -> Answer:
    """Send a form of Cognito's hosted page, as a browser does."""
    origin = environment["AWS_ENDPOINT_URL"]
    headers = {"Origin": origin, "Sec_Fetch_Site": "same-origin", "Content_Type": FORM}
    return request(origin, "POST", path, urlencode(form).encode(), **headers)


def open_sign_in(environment: Any, page: str, verifier: str) -> Answer:
    digest = hashlib.sha256(verifier.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": environment["COGNITO_CLIENT_ID"],
        "redirect_uri": page,
        "scope": "openid email",
        "state": "opaque",
        "code_challenge_method": "S256",
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
    }
    return request(environment["AWS_ENDPOINT_URL"], "GET", f"/oauth2/authorize?{urlencode(query)}")


def sign_in_by_form(environment: Any, page: str, verifier: str, password: str) -> Answer:
    """Submit the form of the hosted page, and return the response."""
    shown = open_sign_in(environment, page, verifier)
    html = shown.body.decode()
    assert shown.status == 200, html
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', html))
    form = {name: unescape(value) for name, value in hidden.items()}
    return post_form(environment, "/login", {**form, "username": USER, "password": password})


def code_of(answer: Answer) -> str:
    [code] = parse_qs(urlsplit(answer.headers["Location"]).query)["code"]
    return code


def exchange(environment: Any, page: str, code: str, verifier: str) -> tuple[int, Any]:
    form = {"grant_type": "authorization_code", "client_id": environment["COGNITO_CLIENT_ID"]}
    form |= {"redirect_uri": page, "code": code, "code_verifier": verifier}
    answer = post_form(environment, "/oauth2/token", form)
    return answer.status, json.loads(answer.body)


@pytest.fixture
def page(own_server: Server) -> str:
    return f"{own_server.http_url}/"


def test_a_wrong_password_stays_on_the_sign_in_page(environment: Any, page: str) -> None:
    answer = sign_in_by_form(environment, page, "v" * 43, "wrong")
    assert answer.status == 200
    assert "Location" not in answer.headers


def test_a_code_is_refused_without_its_verifier(environment: Any, page: str) -> None:
    answer = sign_in_by_form(environment, page, "v" * 43, aws.USER_PASSWORD)
    status, refusal = exchange(environment, page, code_of(answer), "w" * 43)
    assert (status, refusal["error"]) == (400, "invalid_grant")


def test_a_code_is_not_sent_to_other_pages(environment: Any) -> None:
    assert open_sign_in(environment, "https://evil.example/", "v" * 43).status == 400


def test_a_speaker_signs_in_on_the_hosted_page(
    own_server: Server, environment: Any, page: str
) -> None:
    verifier = secrets.token_urlsafe(48)
    answer = sign_in_by_form(environment, page, verifier, aws.USER_PASSWORD)
    location = urlsplit(answer.headers["Location"])
    assert answer.status == 302
    assert location._replace(query="").geturl() == page
    assert parse_qs(location.query)["state"] == ["opaque"]

    status, tokens = exchange(environment, page, code_of(answer), verifier)
    assert status == 200
    for name in ("id_token", "access_token"):
        assert create_session(own_server, tokens[name]) == "sessionCreated"
