"""Bad input, which gets an error code and leaves no items."""

import base64
import hashlib
import hmac
import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from websockets.exceptions import ConnectionClosed

from local_gateway import aws
from tests.stories.target import Client, Target, client, refused_with

pytestmark = pytest.mark.usefixtures("no_records_left")

LOCAL_ONLY = pytest.mark.local_only

JOIN = {"action": "joinSession", "sessionId": "golden-eagle-427", "targetLanguage": "es"}


def once_on_the_emulator(cases: list[tuple[Any, Any]]) -> list[Any]:
    """Run all cases on the local server, and only the first with each answer on the emulator."""
    answers = [answer for _, answer in cases]
    return [
        pytest.param(*case, marks=[] if answers.index(case[1]) == number else LOCAL_ONLY)
        for number, case in enumerate(cases)
    ]


@pytest.fixture
def bare(target: Target) -> Iterator[Client]:
    with client(target) as opened:
        yield opened


FRAMES: Final = [
    ("", "INVALID_ACTION"),
    ("not json", "INVALID_ACTION"),
    ("[1, 2]", "INVALID_ACTION"),
    ('{"sessionId": "golden-eagle-427"}', "INVALID_ACTION"),
    ('{"action": "fly"}', "INVALID_ACTION"),
    ('{"action": 7}', "INVALID_ACTION"),
    (json.dumps({**JOIN, "sessionId": ""}), "INVALID_PARAMETERS"),
    (json.dumps({**JOIN, "sessionId": 427}), "INVALID_PARAMETERS"),
    (json.dumps({**JOIN, "sessionId": "golden\u0000eagle-427"}), "INVALID_PARAMETERS"),
    (json.dumps({**JOIN, "sessionId": "x" * 10_000}), "INVALID_PARAMETERS"),
    (json.dumps(JOIN)[:-1] + ', "sessionId": "a-b-100"}', "INVALID_PARAMETERS"),
    (json.dumps({**JOIN, "requestId": "x" * 65}), "INVALID_PARAMETERS"),
    ('{"action": "joinSession", "targetLanguage": "es"}', "INVALID_PARAMETERS"),
    (json.dumps({**JOIN, "sessionId": "eagle"}), "INVALID_SESSION_ID"),
    (json.dumps({**JOIN, "targetLanguage": "tlh"}), "UNSUPPORTED_LANGUAGE"),
    (json.dumps(JOIN), "SESSION_NOT_FOUND"),
    (json.dumps({**JOIN, "sessionId": " GOLDEN_eagle 427 "}), "SESSION_NOT_FOUND"),
    ('{"action": "createSession", "sourceLanguage": "en"}', "UNAUTHORIZED"),
    ('{"action": "endSession"}', "UNAUTHORIZED"),
    ('{"action": "changeLanguage", "targetLanguage": "es"}', "SESSION_NOT_FOUND"),
]


@pytest.mark.parametrize(("frame", "code"), once_on_the_emulator(FRAMES))
def test_a_bad_frame_gets_its_error_code_and_changes_nothing(
    bare: Client, frame: str, code: str
) -> None:
    error = bare.send(frame)
    assert (error["type"], error["code"]) == ("error", code)
    assert error["temporary"] is False
    assert bare.has_no_more_messages()


def closed_with(client: Client, frame: str | bytes | list[str]) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        client.send(frame)
    assert closed.value.rcvd
    return closed.value.rcvd.code


def test_a_binary_frame_closes_with_1003(bare: Client) -> None:
    assert closed_with(bare, json.dumps(JOIN).encode()) == 1003


def test_a_frame_of_40_kb_closes_with_1009(bare: Client) -> None:
    assert closed_with(bare, "x" * 40_960) == 1009


def test_a_message_of_129_kb_closes_with_1009(bare: Client) -> None:
    assert closed_with(bare, ["x" * 32_000] * 5) == 1009


def test_a_message_over_32_kb_in_small_frames_is_too_large(bare: Client) -> None:
    bare.connection.send(["x" * 30_000, "y" * 30_000])
    assert bare.receive()["code"] == "MESSAGE_TOO_LARGE"
    assert bare.has_no_more_messages()


QUERIES: Final = [
    ({"action": "fly"}, 400),
    ({"action": "heartbeat"}, 400),
    ({**JOIN, "sessionId": ""}, 400),
    ({**JOIN, "sessionId": "eagle"}, 400),
    ({**JOIN, "targetLanguage": "tlh"}, 400),
    ({"action": "createSession", "sourceLanguage": "en"}, 401),
    (JOIN, 404),
]


@pytest.mark.parametrize(("query", "status"), once_on_the_emulator(QUERIES))
def test_a_bad_connect_url_refuses_the_handshake(
    target: Target, query: dict[str, str], status: int
) -> None:
    assert refused_with(target, **query) == target.status(status)


def test_a_repeated_parameter_in_the_connect_url_refuses_the_handshake(target: Target) -> None:
    twice = replace(target, url=target.address(**JOIN) + "&targetLanguage=es")
    assert refused_with(twice) == target.status(400)


def test_a_wrong_invite_code_is_forbidden(target: Target, token: str) -> None:
    with client(target, token=token) as speaker:
        session_id = speaker.ask(action="createSession", sourceLanguage="en")["sessionId"]
        join = {**JOIN, "sessionId": session_id, "inviteCode": "guess"}
        assert refused_with(target, **join) == 403
        with client(target) as listener:
            assert listener.ask(**join)["code"] == "FORBIDDEN"
        assert speaker.ask(action="endSession")["type"] == "sessionEnded"


def public_key(target: Target, token: str) -> bytes:
    """Fetch the key that signed a token, as PEM."""
    endpoint, pool = (
        target.environment["AWS_ENDPOINT_URL"],
        target.environment["COGNITO_USER_POOL_ID"],
    )
    with urllib.request.urlopen(f"{endpoint}/{pool}/.well-known/jwks.json") as answer:
        keys = jwt.PyJWKSet.from_dict(json.load(answer))
    key = keys[jwt.get_unverified_header(token)["kid"]].key
    pem: bytes = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def of_another_client(target: Target, _: str) -> str:
    endpoint, pool = (
        target.environment["AWS_ENDPOINT_URL"],
        target.environment["COGNITO_USER_POOL_ID"],
    )
    other = aws.create_app_client(endpoint, pool, "another-client")
    return aws.sign_in(endpoint, pool, other, "speaker@example.com")["AccessToken"]


def of_another_pool(target: Target, _: str) -> str:
    endpoint = target.environment["AWS_ENDPOINT_URL"]
    other = aws.create_user_pool(endpoint, "another-pool")
    return aws.sign_in(
        endpoint,
        other["COGNITO_USER_POOL_ID"],
        other["COGNITO_CLIENT_ID"],
        "speaker@example.com",
    )["IdToken"]


def unsigned(_: Target, token: str) -> str:
    header = {**jwt.get_unverified_header(token), "alg": "none"}
    return f"{encoded(json.dumps(header).encode())}.{token.split('.')[1]}."


def signed_with_the_public_key(target: Target, token: str) -> str:
    header = {**jwt.get_unverified_header(token), "alg": "HS256"}
    signed = f"{encoded(json.dumps(header).encode())}.{token.split('.')[1]}"
    mac = hmac.new(public_key(target, token), signed.encode(), hashlib.sha256)
    return f"{signed}.{encoded(mac.digest())}"


def expired(_: Target, token: str) -> str:
    """Change the expiry to the past. The signature is then wrong, too."""
    claims = jwt.decode(token, options={"verify_signature": False})
    header, _, signature = token.split(".")
    return f"{header}.{encoded(json.dumps({**claims, 'exp': 1}).encode())}.{signature}"


BAD_TOKENS: Final = [
    of_another_pool,
    of_another_client,
    unsigned,
    signed_with_the_public_key,
    expired,
    lambda target, token: "",
    lambda target, token: "speaker",
    lambda target, token: token[:-10],
    lambda target, token: token + "x" * 1000,
]


@pytest.mark.parametrize(
    "make_token", [BAD_TOKENS[0], *(pytest.param(it, marks=LOCAL_ONLY) for it in BAD_TOKENS[1:])]
)
def test_a_bad_token_is_refused_with_every_command(
    target: Target, token: str, make_token: Callable[[Target, str], str]
) -> None:
    bad: dict[str, Any] = {"token": make_token(target, token)}
    assert refused_with(target, **bad) in (401, 403)
    assert refused_with(target, **bad, action="createSession", sourceLanguage="en") in (401, 403)
    assert refused_with(target, **bad, **JOIN) in (401, 403)


@pytest.mark.parametrize("in_header", [True, pytest.param(False, marks=LOCAL_ONLY)])
def test_a_token_of_16_kb_is_refused(target: Target, token: str, in_header: bool) -> None:
    long = token + "x" * (16_384 - len(token))
    if in_header:
        assert refused_with(target, {"Authorization": f"Bearer {long}"}) in (401, 403)
    else:
        assert refused_with(target, token=long) in (401, 403)


def test_a_repeated_token_is_refused(target: Target, token: str) -> None:
    assert refused_with(target, {"Authorization": f"Bearer {token}"}, token=token) in (401, 403)
