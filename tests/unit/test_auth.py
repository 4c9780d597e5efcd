"""The authorizer, with tokens that are signed with the tests' own keys."""

import base64
import hashlib
import hmac
import itertools
import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from chalicelib import auth, telemetry
from chalicelib.auth import (
    CLOCK_TOLERANCE_SECONDS,
    KEY_SET_SECONDS,
    Authorizer,
    KeySet,
    KeySetUnavailable,
    TokenRefused,
    TokenVerifier,
    fetch_key_set,
)
from tests.unit.fakes import ADDRESS, Clock
from tests.unit.test_signed_http import OddServer

WAIT_SECONDS = 5

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
        # Some tokens are created at collection, and used much later.
        "exp": now + 24 * 3600,
        **claims,
    }
    headers = {} if key_id is None else {"kid": key_id}
    kept = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers)


def signed(header: Any, body: Any) -> str:
    """Sign any header and claims. PyJWT refuses to sign most of the invalid ones."""
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, body)]
    text = ".".join(encoded(part.encode()) for part in parts)
    return f"{text}.{encoded(KEY.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


HEADER = {"alg": "RS256", "kid": "key-1"}
CLAIMS = {
    "sub": "user-1",
    "iss": ISSUER,
    "token_use": "id",
    "aud": "client-1",
    "iat": 1_700_000_000,
    "exp": 9_999_999_999,
}
ACCESS_CLAIMS = {**CLAIMS, "token_use": "access", "aud": "other", "client_id": "client-1"}


def access_token(**claims: Any) -> str:
    return token(**{"token_use": "access", "aud": None, "client_id": "client-1", **claims})


def signed_with_the_public_key() -> str:
    """Sign with HS256 and the public key as the secret, which PyJWT refuses."""
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
    "not a token": lambda: "speaker",
    "expired": lambda: token(exp=int(time.time()) - 6),
    "without an expiry": lambda: token(exp=None),
    "not yet valid": lambda: token(nbf=int(time.time()) + 60),
    "issued in the future": lambda: token(iat=int(time.time()) + 60),
    "from another pool": lambda: token(iss=ISSUER + "2"),
    "without an issuer": lambda: token(iss=None),
    "for another client": lambda: token(aud="client-2"),
    "for two clients": lambda: token(aud=["client-1", "client-2"]),
    "an access token for another client": lambda: access_token(client_id="client-2"),
    "an access token with the client in aud": lambda: access_token(client_id=None, aud="client-1"),
    "an id token with the client in client_id": lambda: token(aud=None, client_id="client-1"),
    "with another token_use": lambda: token(token_use="refresh"),
    "without a token_use": lambda: token(token_use=None),
    "without a user": lambda: token(sub=None),
    "with a user that is not text": lambda: token(sub=7),
    "with no algorithm": lambda: token(key=None, algorithm="none"),
    "with HS256 keyed with the public key": signed_with_the_public_key,
    "with RS512": lambda: token(algorithm="RS512"),
    "with another key": lambda: token(key=OTHER_KEY),
    "with an unknown key id": lambda: token(key_id="key-9"),
    "without a key id": lambda: token(key_id=None),
    "truncated": lambda: token()[:-20],
    "without a signature": lambda: token().rpartition(".")[0] + ".",
    "16 KB long": lambda: token(padding="x" * 12_000),
    "not ASCII": lambda: "é" + token(),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_an_invalid_token_is_refused(verifier: TokenVerifier, make: Callable[[], str]) -> None:
    with pytest.raises(TokenRefused):
        verifier.verify(make())


ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 1.5, 10**12, 10**400, 1e300, math.nan, math.inf, -math.inf),
    *("", " ", "\x00", "\ud800", "text", "9999999999", "id", "access", "client-1", ISSUER),
    *([], ["id"], ["client-1"], ["client-1", "client-2"], [None], [[[[["id"]]]]]),
    *({}, {"id": 1}, {"client-1": "client-1"}, {"$ne": ""}, {"a": {"b": [{"c": None}]}}),
]
"""Valid and invalid values of every JSON type."""

USED: list[tuple[dict[str, Any], str, list[Any]]] = [
    *((CLAIMS, name, [0, 1, 1.5]) for name in ("iat", "nbf")),
    (CLAIMS, "exp", []),
    (CLAIMS, "sub", ["text", "9999999999", "id", "access", "client-1", ISSUER]),
    (CLAIMS, "iss", [ISSUER]),
    (CLAIMS, "token_use", ["id"]),
    (CLAIMS, "aud", ["client-1"]),
    (ACCESS_CLAIMS, "token_use", ["access"]),
    (ACCESS_CLAIMS, "client_id", ["client-1"]),
]
"""The valid values of `ODD` for each claim that the authorizer uses."""


def test_a_token_use_other_than_id_or_access_is_refused(
    verifier: TokenVerifier,
) -> None:
    with pytest.raises(TokenRefused):
        verifier.verify(token(**{**CLAIMS, "token_use": "", "": "client-1"}))


@pytest.mark.parametrize(
    ("claims", "name", "right"),
    USED,
    ids=[f"{claims['token_use']}-{name}" for claims, name, _ in USED],
)
def test_only_valid_values_of_a_claim_are_accepted(
    verifier: TokenVerifier, claims: dict[str, Any], name: str, right: list[Any]
) -> None:
    passed = []
    for value in ODD:
        with suppress(TokenRefused):
            user_id = verifier.verify(signed(HEADER, {**claims, name: value}))
            assert user_id == (value if name == "sub" else "user-1")
            passed.append(value)
    assert json.dumps(passed) == json.dumps(right)  # In JSON, 1 differs from true.


@pytest.mark.parametrize("name", ["alg", "kid", "crit", "b64", "typ", "jwk", "jku", "x5c", "zip"])
def test_any_header_value_causes_only_a_refusal(verifier: TokenVerifier, name: str) -> None:
    for value in ODD:
        with suppress(TokenRefused):
            assert verifier.verify(signed({**HEADER, name: value}, CLAIMS)) == "user-1"
            assert name not in ("alg", "kid", "crit")


DEEP = "[" * 2500


@pytest.mark.parametrize("text", [*map(json.dumps, ODD), "", "{", DEEP, f'{{"a": {DEEP}', "\xff"])
def test_an_invalid_header_or_body_is_refused(verifier: TokenVerifier, text: str) -> None:
    for bad in (signed(HEADER, text), signed(text, CLAIMS)):
        with pytest.raises(TokenRefused):
            verifier.verify(bad)


@pytest.mark.parametrize(("claim", "is_later"), [("exp", False), ("iat", True), ("nbf", True)])
def test_clocks_may_differ_by_five_seconds(
    verifier: TokenVerifier, claim: str, *, is_later: bool
) -> None:
    def differing(seconds: float) -> str:
        return token(**{claim: int(time.time() + (seconds if is_later else -seconds))})

    assert verifier.verify(differing(CLOCK_TOLERANCE_SECONDS - 1)) == "user-1"
    with pytest.raises(TokenRefused):
        verifier.verify(differing(CLOCK_TOLERANCE_SECONDS + 2))


@pytest.mark.parametrize("make", [token, access_token])
def test_id_and_access_tokens_give_their_user(
    verifier: TokenVerifier, make: Callable[[], str]
) -> None:
    assert verifier.verify(make()) == "user-1"


class Issuer:
    """A user pool's key set that counts its fetches."""

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


def test_unknown_key_ids_cause_one_fetch_per_minute() -> None:
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


def test_a_fetch_adds_new_keys_and_removes_withdrawn_keys() -> None:
    issuer, clock = Issuer(), Clock()
    keys = KeySet(issuer, clock)
    keys.find("key-1")
    issuer.keys = {"key-2": OTHER_KEY}
    clock.now += 60
    assert keys.find("key-2")
    assert keys.find("key-1") is None


def test_during_an_outage_known_keys_work_and_unknown_keys_are_unavailable() -> None:
    issuer, clock = Issuer(), Clock()
    keys = KeySet(issuer, clock)
    keys.find("key-1")
    issuer.is_down = True
    clock.now += 60
    with pytest.raises(KeySetUnavailable):
        keys.find("key-2")
    assert keys.find("key-1")


def test_during_an_outage_the_key_set_is_fetched_every_five_seconds() -> None:
    issuer, clock = Issuer(), Clock()
    issuer.is_down = True
    keys = KeySet(issuer, clock)
    for seconds in (0, 4.9, 0.1):
        clock.now += seconds
        with pytest.raises(KeySetUnavailable):
            keys.find("key-1")
    assert issuer.fetches == 2
    issuer.is_down = False
    clock.now += 5
    assert keys.find("key-1")
    assert keys.find("key-2") is None
    assert issuer.fetches == 3


def test_a_clock_that_was_set_back_does_not_delay_a_fetch() -> None:
    issuer, clock = Issuer(), Clock()
    issuer.is_down = True
    keys = KeySet(issuer, clock)
    with pytest.raises(KeySetUnavailable):
        keys.find("key-1")
    issuer.is_down = False
    clock.now -= 3600
    assert keys.find("key-1")


def test_threads_share_a_fetch() -> None:
    issuer = Issuer()
    threads_ready = threading.Barrier(8, timeout=WAIT_SECONDS)

    def fetch() -> dict[str, Any]:
        assert threads_ready.n_waiting == 0
        return issuer()

    keys, found = KeySet(fetch, Clock()), []

    def find() -> None:
        threads_ready.wait()
        found.append(keys.find("key-1"))

    threads = [threading.Thread(target=find) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert None not in found
    assert (len(found), issuer.fetches) == (8, 1)


EC_KEY = ec.generate_private_key(ec.SECP256R1())
EC_JWK = jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True)
(RSA_JWK,) = key_set(**{"other": OTHER_KEY})["keys"]


@pytest.mark.parametrize(
    "other",
    [
        *ODD,
        {**EC_JWK, "kid": "other", "use": "sig", "alg": "ES256"},
        {"kty": "AKP", "kid": "other", "alg": "ML-DSA-44", "pub": "AA"},
        {"kty": "OKP", "kid": "other", "crv": "Ed25519", "x": "AA"},
        {"kty": "oct", "kid": "other", "k": "AA"},
        {"kid": "other"},
        {name: value for name, value in RSA_JWK.items() if name != "kid"},
        {**RSA_JWK, "alg": "RSA-OAEP"},
        {**RSA_JWK, "use": "enc"},
        {**RSA_JWK, "e": "AQ"},
        *({**RSA_JWK, name: value} for name in ("n", "kty", "alg", "use") for value in ODD),
        *({**RSA_JWK, name: it} for name in ("e", "kid") for it in ODD if not isinstance(it, str)),
    ],
)
def test_an_unsuitable_key_is_skipped(other: Any) -> None:
    issued = key_set(**{"key-1": KEY})["keys"]
    for listed in ([other, *issued], [*issued, other]):
        keys = KeySet(lambda listed=listed: {"keys": listed}, Clock())
        assert keys.find("key-1")
        assert keys.find("other") is None


def test_a_key_without_use_and_algorithm_is_accepted() -> None:
    plain = {name: value for name, value in RSA_JWK.items() if name not in ("alg", "use")}
    assert KeySet(lambda: {"keys": [plain]}, Clock()).find("other")


@pytest.mark.parametrize(
    "answer", [*ODD, *({"keys": value} for value in ODD), {"keys": [{"kid": "a", "kty": "oct"}]}]
)
def test_a_key_set_without_a_signature_key_is_a_failed_fetch(answer: Any) -> None:
    with pytest.raises(KeySetUnavailable):
        KeySet(lambda: answer, Clock()).find("a")


HEAD = b"HTTP/1.1 200 OK\r\n"
BODY = json.dumps(key_set(**{"key-1": KEY})).encode()
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


def test_a_key_set_is_fetched() -> None:
    with OddServer(iter([WHOLE])) as server:
        assert KeySet(lambda: fetch_key_set(server.url), Clock()).find("key-1")


def test_a_slow_key_set_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEY_SET_SECONDS == 2
    monkeypatch.setattr(auth, "KEY_SET_SECONDS", 0.3)
    body = itertools.chain([HEAD + b"Content-Length: 1000\r\n\r\n"], itertools.repeat(b" "))
    with OddServer(body, is_slow=True) as server:
        started = time.monotonic()
        with pytest.raises(KeySetUnavailable):
            KeySet(lambda: fetch_key_set(server.url), Clock()).find("key-1")
        assert 0.2 < time.monotonic() - started < 5


BROKEN: dict[str, Callable[[], Iterator[bytes]]] = {
    "no answer": lambda: iter([]),
    "a truncated body": lambda: iter([WHOLE[:-1]]),
    "a truncated body without its length": lambda: iter([HEAD + b"\r\n" + BODY[:-1]]),
    "a truncated chunk": lambda: iter([HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\n{"]),
    "not HTTP": lambda: iter([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"]),
    "no status": lambda: iter([b"HTTP/1.1\r\n\r\n" + BODY]),
    "a status that is not a number": lambda: iter([b"HTTP/1.1 OK 200\r\n\r\n" + BODY]),
    "another status": lambda: iter([WHOLE.replace(b"200 OK", b"503 Service Unavailable")]),
    "a redirect": lambda: iter([WHOLE.replace(b"200 OK", b"302 Found\r\nLocation: /x")]),
    "another coding": lambda: iter([HEAD + b"Transfer-Encoding: gzip\r\n\r\n" + BODY]),
    "a length that is not a number": lambda: iter([HEAD + b"Content-Length: x\r\n\r\n" + BODY]),
    "HTML": lambda: iter([HEAD + b"\r\n<html>Sign in to this network</html>"]),
    "not UTF-8": lambda: iter([HEAD + b'\r\n{"keys": "\xff"}']),
    "deeply nested JSON": lambda: iter([HEAD + b"\r\n" + b"[" * 100_000]),
}


@pytest.mark.parametrize("pieces", BROKEN.values(), ids=BROKEN)
def test_an_invalid_key_set_is_an_outage(pieces: Callable[[], Iterator[bytes]]) -> None:
    with OddServer(pieces()) as server, pytest.raises(KeySetUnavailable):
        KeySet(lambda: fetch_key_set(server.url), Clock()).find("key-1")


def test_an_unreachable_issuer_is_an_outage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for host in (f"127.0.0.1:{port}", "no-such-host.invalid", "a" * 64 + ".invalid"):
        keys = KeySet(lambda host=host: fetch_key_set(f"http://{host}/jwks.json"), Clock())
        with pytest.raises(KeySetUnavailable):
            keys.find("key-1")


@pytest.fixture
def authorizer(verifier: TokenVerifier) -> Authorizer:
    return Authorizer(verifier, lambda _address: None)


@pytest.mark.parametrize(
    ("tokens", "counted"),
    [(["nonsense"], [ADDRESS]), (["", ""], [ADDRESS]), (None, []), ([token()], [])],
)
def test_an_invalid_token_counts_once_for_its_address(
    verifier: TokenVerifier, tokens: list[str] | None, counted: list[str]
) -> None:
    refused: list[str] = []
    Authorizer(verifier, refused.append).authorize(connect_event(tokens))
    assert refused == counted


def test_an_invalid_token_is_refused_even_if_counting_fails(
    verifier: TokenVerifier,
) -> None:
    def fail(_address: str) -> None:
        raise KeyError("Attributes")

    policy = Authorizer(verifier, fail).authorize(connect_event(["nonsense"]))
    assert effect(policy) == "Deny"


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
        connect_event(Authorization=[f"Bearer {token()}", f"bearer {token()}"]),
        connect_event(Authorization=["Bearer"]),
        connect_event(Authorization=["bearer "]),
        connect_event([""], Authorization=["Basic dXNlcjpwYXNz"]),
        *(connect_event([signed(HEADER, {**CLAIMS, "sub": value})]) for value in ("", 7, ["a"])),
        connect_event([signed(HEADER, {**CLAIMS, "token_use": ["id"]})]),
    ],
)
def test_a_client_with_an_invalid_token_is_refused_instead_of_anonymous(
    authorizer: Authorizer, event: dict[str, Any]
) -> None:
    policy = authorizer.authorize(event)
    assert effect(policy) == "Deny"
    assert "context" not in policy


def test_missing_parts_of_a_connect_request_may_be_null(verifier: TokenVerifier) -> None:
    refused: list[str] = []
    nulls: dict[str, Any] = {
        "methodArn": METHOD_ARN,
        "multiValueHeaders": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"identity": None},
    }
    authorizer = Authorizer(verifier, refused.append)
    assert effect(authorizer.authorize(nulls)) == "Allow"
    nulls |= {
        "multiValueHeaders": {"Authorization": None},
        "multiValueQueryStringParameters": {"token": None},
    }
    assert effect(authorizer.authorize(nulls)) == "Allow"
    nulls["multiValueQueryStringParameters"] = {"token": ["nonsense"]}
    assert effect(authorizer.authorize(nulls)) == "Deny"
    assert refused == [""]


@pytest.mark.parametrize(
    "event",
    [
        connect_event(),
        connect_event(Authorization=["Basic dXNlcjpwYXNz"]),
        connect_event(Authorization=["Digest username=x"]),
        connect_event(Authorization=[""]),
        connect_event(Authorization=["BearerX y"]),
    ],
)
def test_a_request_without_a_token_gets_the_anonymous_principal(
    authorizer: Authorizer, event: dict[str, Any]
) -> None:
    policy = authorizer.authorize(event)
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
        connect_event(AUTHORIZATION=[f"bearer {token()}"]),
        connect_event(Authorization=[f"BEARER  {token()} "]),
        connect_event(Authorization=["Basic dXNlcjpwYXNz", f"Bearer {token()}"]),
        connect_event([token()], Authorization=["Basic dXNlcjpwYXNz"]),
    ],
)
def test_a_valid_token_gets_its_user_as_principal(
    authorizer: Authorizer, event: dict[str, Any]
) -> None:
    policy = authorizer.authorize(event)
    assert effect(policy) == "Allow"
    assert policy["principalId"] == "user-1"
    assert policy["context"] == {"userId": "user-1"}


def test_a_refusal_is_logged_without_the_token(
    authorizer: Authorizer, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("INFO")
    authorizer.authorize(connect_event([token(email="someone@example.com", exp=1)]))
    out = capsys.readouterr().out
    cause, counted, handled = [json.loads(line) for line in out.splitlines()]
    assert (cause["level"], cause["cause"]) == ("WARNING", "ExpiredSignatureError")
    assert (counted["AuthorizationFailures"], counted["Reason"]) == (1, "ExpiredSignatureError")
    assert (handled["level"], handled["code"]) == ("INFO", "UNAUTHORIZED")
    assert "eyJ" not in out
    assert "someone@example.com" not in out


def test_an_outage_of_the_key_set_is_not_a_refused_attempt(
    capsys: pytest.CaptureFixture[str],
) -> None:
    issuer, refused = Issuer(), list[str]()
    issuer.is_down = True
    verifier = TokenVerifier(KeySet(issuer, Clock()), ISSUER, "client-1")
    telemetry.configure("INFO")
    with pytest.raises(KeySetUnavailable) as outage:
        Authorizer(verifier, refused.append).authorize(connect_event([token()]))
    assert str(outage.value) == "The key set is unavailable."
    assert refused == []
    out = capsys.readouterr().out
    fetch, counted, cause, handled = [json.loads(line) for line in out.splitlines()]
    assert (fetch["level"], fetch["message"]) == ("WARNING", "key set not fetched")
    assert fetch["cause"] == "TimeoutError"
    assert (counted["ConnectionErrors"], counted["Code"]) == (1, "SERVICE_UNAVAILABLE")
    assert (cause["message"], cause["code"]) == ("refused", "SERVICE_UNAVAILABLE")
    assert handled["code"] == "SERVICE_UNAVAILABLE"
    assert "AuthorizationFailures" not in out
    assert "eyJ" not in out
