"""Tokens, from a key pair of the tests' own: the refusals first."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from chalicelib.auth import Authorizer, KeySet, TokenRefused, TokenVerifier, fetch_key_set
from tests.unit.fakes import ADDRESS, Clock

ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_pool"
METHOD_ARN = "arn:aws:execute-api:us-east-1:1:api/local/$connect"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_set(**keys: rsa.RSAPrivateKey) -> dict[str, Any]:
    to_jwk = jwt.algorithms.RSAAlgorithm.to_jwk
    return {
        "keys": [
            {**to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig", "alg": "RS256"}
            for key_id, key in keys.items()
        ]
    }


def token(*, key: Any = KEY, algorithm: str = "RS256", key_id: Any = "key-1", **claims: Any) -> str:
    now = int(time.time())
    body = {
        "sub": "user-1",
        "iss": ISSUER,
        "token_use": "id",
        "aud": "client-1",
        "iat": now - 10,
        "exp": now + 3600,
        **claims,
    }
    headers = {} if key_id is None else {"kid": key_id}
    kept = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers)


def access_token(**claims: Any) -> str:
    return token(**{"token_use": "access", "aud": None, "client_id": "client-1", **claims})


def signed_with_the_public_key() -> str:
    """HS256 keyed with our own public key, by hand: PyJWT refuses to sign so."""
    public = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    body = token().split(".")[1]
    header = json.dumps({"alg": "HS256", "kid": "key-1"}).encode()
    signed = base64.urlsafe_b64encode(header).rstrip(b"=") + b"." + body.encode()
    signature = hmac.new(public, signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@pytest.fixture
def verifier() -> TokenVerifier:
    return TokenVerifier(KeySet(lambda: key_set(**{"key-1": KEY}), Clock()), ISSUER, "client-1")


REFUSED: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "no token at all": lambda: "speaker",
    "expired": lambda: token(exp=int(time.time()) - 1),
    "without an end": lambda: token(exp=None),
    "not yet valid": lambda: token(nbf=int(time.time()) + 60),
    "issued in the future": lambda: token(iat=int(time.time()) + 60),
    "of another pool": lambda: token(iss=ISSUER + "2"),
    "without an issuer": lambda: token(iss=None),
    "for another client": lambda: token(aud="client-2"),
    "for two clients": lambda: token(aud=["client-1", "client-2"]),
    "an access token for another client": lambda: access_token(client_id="client-2"),
    "an access token with the client in aud": lambda: access_token(client_id=None, aud="client-1"),
    "an id token with the client in client_id": lambda: token(aud=None, client_id="client-1"),
    "of another use": lambda: token(token_use="refresh"),
    "of no use": lambda: token(token_use=None),
    "without a user": lambda: token(sub=None),
    "with a user that is no text": lambda: token(sub=7),
    "with no algorithm": lambda: token(key=None, algorithm="none"),
    "with HS256 keyed with the public key": signed_with_the_public_key,
    "with RS512": lambda: token(algorithm="RS512"),
    "with another key": lambda: token(key=OTHER_KEY),
    "with an unknown key id": lambda: token(key_id="key-9"),
    "without a key id": lambda: token(key_id=None),
    "cut short": lambda: token()[:-20],
    "without a signature": lambda: token().rpartition(".")[0] + ".",
    "16 KB long": lambda: token(padding="x" * 12_000),
    "not ASCII": lambda: "é" + token(),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_a_bad_token_is_refused(verifier: TokenVerifier, make: Callable[[], str]) -> None:
    with pytest.raises(TokenRefused):
        verifier.verify(make())


@pytest.mark.parametrize("make", [token, access_token])
def test_id_and_access_tokens_give_their_user(
    verifier: TokenVerifier, make: Callable[[], str]
) -> None:
    assert verifier.verify(make()) == "user-1"


class Issuer:
    """A pool's key set, and how often it was asked for."""

    def __init__(self) -> None:
        self.keys = {"key-1": KEY}
        self.fetches = 0
        self.is_down = False

    def __call__(self) -> dict[str, Any]:
        self.fetches += 1
        if self.is_down:
            raise TimeoutError
        return key_set(**self.keys)


def test_known_keys_are_not_fetched_again() -> None:
    issuer = Issuer()
    keys = KeySet(issuer, Clock())
    for _ in range(3):
        assert keys.find("key-1")
    assert issuer.fetches == 1


def test_unknown_key_ids_fetch_once_in_a_minute() -> None:
    issuer, clock = Issuer(), Clock()
    keys = KeySet(issuer, clock)
    keys.find("key-1")
    clock.now += 59
    for number in range(100):
        assert keys.find(f"guess-{number}") is None
    assert issuer.fetches == 1
    clock.now += 1
    for number in range(100):
        assert keys.find(f"guess-{number}") is None
    assert issuer.fetches == 2


def test_a_new_key_is_found_and_a_withdrawn_one_forgotten() -> None:
    issuer, clock = Issuer(), Clock()
    keys = KeySet(issuer, clock)
    keys.find("key-1")
    issuer.keys = {"key-2": OTHER_KEY}
    clock.now += 60
    assert keys.find("key-2")
    assert keys.find("key-1") is None


def test_a_failed_fetch_keeps_the_known_keys() -> None:
    issuer, clock = Issuer(), Clock()
    keys = KeySet(issuer, clock)
    keys.find("key-1")
    issuer.is_down = True
    clock.now += 60
    assert keys.find("key-2") is None
    assert keys.find("key-1")


def test_a_failed_first_fetch_is_tried_again_soon_but_not_at_once() -> None:
    issuer, clock = Issuer(), Clock()
    issuer.is_down = True
    keys = KeySet(issuer, clock)
    keys.find("key-1")
    issuer.is_down = False
    assert keys.find("key-1") is None
    clock.now += 5
    assert keys.find("key-1")


@pytest.mark.parametrize("answer", [{}, {"keys": [{}]}, {"keys": [{"kid": "a", "kty": "oct"}]}, 7])
def test_a_key_set_that_makes_no_sense_is_a_failed_fetch(answer: Any) -> None:
    assert KeySet(lambda: answer, Clock()).find("a") is None


def test_a_key_set_that_does_not_come_is_given_up_after_two_seconds() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            fetch_key_set(f"http://127.0.0.1:{silent.getsockname()[1]}/jwks.json")
        assert 1.5 < time.monotonic() - started < 4


@pytest.fixture
def authorizer(verifier: TokenVerifier) -> Authorizer:
    return Authorizer(verifier, lambda _address: None)


@pytest.mark.parametrize(
    ("tokens", "counted"),
    [(["nonsense"], [ADDRESS]), (["", ""], [ADDRESS]), (None, []), ([token()], [])],
)
def test_a_bad_token_counts_once_against_the_address_that_it_came_from(
    verifier: TokenVerifier, tokens: list[str] | None, counted: list[str]
) -> None:
    refused: list[str] = []
    Authorizer(verifier, refused.append).authorize(connect_event(tokens))
    assert refused == counted


def connect_event(tokens: list[str] | None = None, **headers: list[str]) -> dict[str, Any]:
    event: dict[str, Any] = {
        "methodArn": METHOD_ARN,
        "multiValueHeaders": headers,
        "requestContext": {"identity": {"sourceIp": ADDRESS}},
    }
    if tokens is not None:
        event["multiValueQueryStringParameters"] = {"token": tokens}
    return event


def effect(policy: dict[str, Any]) -> str:
    (statement,) = policy["policyDocument"]["Statement"]
    assert statement["Action"] == "execute-api:Invoke"
    assert statement["Resource"] == METHOD_ARN
    return str(statement["Effect"])


@pytest.mark.parametrize(
    "event",
    [
        connect_event(["nonsense"]),
        connect_event([""]),
        connect_event([token(), token()]),
        connect_event([token()], Authorization=[f"Bearer {token()}"]),
        connect_event(Authorization=["Basic dXNlcjpwYXNz"]),
        connect_event(Authorization=[""]),
    ],
)
def test_a_bad_token_never_falls_back_to_anonymous(
    authorizer: Authorizer, event: dict[str, Any]
) -> None:
    policy = authorizer.authorize(event)
    assert effect(policy) == "Deny"
    assert "context" not in policy


def test_no_token_at_all_makes_an_anonymous_principal(authorizer: Authorizer) -> None:
    policy = authorizer.authorize(connect_event())
    assert effect(policy) == "Allow"
    assert policy["principalId"] == "anonymous"
    assert "context" not in policy


@pytest.mark.parametrize(
    "event",
    [
        connect_event([token()]),
        connect_event([access_token()]),
        connect_event(Authorization=[f"Bearer {token()}"]),
        connect_event(authorization=[f"Bearer {token()}"]),
    ],
)
def test_a_good_token_makes_a_speaker(authorizer: Authorizer, event: dict[str, Any]) -> None:
    policy = authorizer.authorize(event)
    assert effect(policy) == "Allow"
    assert policy["principalId"] == "user-1"
    assert policy["context"] == {"userId": "user-1"}


def test_a_refusal_is_logged_without_the_token(
    authorizer: Authorizer, capsys: pytest.CaptureFixture[str]
) -> None:
    from chalicelib import telemetry

    telemetry.configure("INFO")
    authorizer.authorize(connect_event([token(email="someone@example.com", exp=1)]))
    out = capsys.readouterr().out
    cause, counted, handled = [json.loads(line) for line in out.splitlines()]
    assert (cause["level"], cause["cause"]) == ("WARNING", "ExpiredSignatureError")
    assert (counted["AuthorizationFailures"], counted["Reason"]) == (1, "ExpiredSignatureError")
    assert (handled["level"], handled["code"]) == ("INFO", "UNAUTHORIZED")
    assert "eyJ" not in out
    assert "someone@example.com" not in out
