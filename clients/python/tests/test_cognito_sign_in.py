"""Sign-in to a fake Cognito on 127.0.0.1, which checks a password as Cognito does."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from broadcast_sessions_client import SessionError, Speaker
from broadcast_sessions_client.sign_in import CognitoSignIn
from broadcast_sessions_client.srp import G, N

POOL, CLIENT, USER, PASSWORD = "eu-west-1_pool", "client", "sofia@example.com", "a secret Passw0rd"
REFUSAL = {"__type": "namespace#NotAuthorizedException", "message": "Incorrect password."}
HOUR = 3600


DEEP = b"[" * 100_000
DRIPS = (200, None)


def challenge(**odd: Any) -> dict[str, Any]:
    usual = {"USER_ID_FOR_SRP": USER, "SALT": "a", "SRP_B": "b", "SECRET_BLOCK": "AAAA"}
    return {"ChallengeName": "PASSWORD_VERIFIER", "ChallengeParameters": usual | odd}


class FakeCognito:
    """A user pool with one user.

    Attributes:
        flows: The flow of each request.
        answers: What to answer in place of the right answer, one after the other. `DRIPS` is
            an answer that never ends.
        has_dripped: Whether such an answer has begun.
        may_end: Ends such an answer.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.flows: list[str] = []
        self.answers: list[tuple[int, Any]] = []
        self.has_dripped, self.may_end = threading.Event(), threading.Event()
        self.refresh_tokens = {"refresh-1"}
        self._salt = secrets.randbits(128)
        self._private = secrets.randbelow(N)
        self._issued = 0

    def answer(self, request: dict[str, Any]) -> tuple[int, Any]:
        self.flows.append(request.get("AuthFlow") or request["ChallengeName"])
        if self.answers:
            return self.answers.pop(0)
        parameters = request.get("AuthParameters", {})
        match self.flows[-1]:
            case "USER_SRP_AUTH":
                return 200, self._challenge(int(parameters["SRP_A"], 16))
            case "PASSWORD_VERIFIER":
                return self._tokens(self._is_proof(request["ChallengeResponses"]))
            case "USER_PASSWORD_AUTH":
                return self._tokens(parameters == {"USERNAME": USER, "PASSWORD": PASSWORD})
            case "REFRESH_TOKEN_AUTH":
                return self._tokens(parameters["REFRESH_TOKEN"] in self.refresh_tokens)
        raise AssertionError(request)

    def _tokens(self, is_right: bool) -> tuple[int, Any]:
        if not is_right:
            return 400, REFUSAL
        self._issued += 1
        tokens = {"IdToken": f"id-{self._issued}", "ExpiresIn": HOUR}
        if self.flows[-1] != "REFRESH_TOKEN_AUTH":
            tokens["RefreshToken"] = "refresh-1"
        return 200, {"AuthenticationResult": tokens}

    def _challenge(self, public_of_client: int) -> dict[str, Any]:
        self._public_of_client = public_of_client
        identity = hashlib.sha256(f"pool{USER}:{PASSWORD}".encode()).digest()
        verifier = pow(G, hashed(padded(self._salt) + identity), N)
        k = hashed(padded(N) + padded(G))
        self._public = (k * verifier + pow(G, self._private, N)) % N
        self._verifier = verifier
        parameters = {
            "USER_ID_FOR_SRP": USER,
            "SALT": f"{self._salt:x}",
            "SRP_B": f"{self._public:x}",
            "SECRET_BLOCK": base64.b64encode(b"block").decode(),
        }
        return {"ChallengeName": "PASSWORD_VERIFIER", "ChallengeParameters": parameters}

    def _is_proof(self, responses: dict[str, str]) -> bool:
        u = hashed(padded(self._public_of_client) + padded(self._public))
        secret = pow(self._public_of_client * pow(self._verifier, u, N), self._private, N)
        extracted = hmac.digest(padded(u), padded(secret), "sha256")
        key = hmac.digest(extracted, b"Caldera Derived Key\x01", "sha256")[:16]
        signed = f"pool{USER}".encode() + b"block" + responses["TIMESTAMP"].encode()
        signature = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
        return signature == responses["PASSWORD_CLAIM_SIGNATURE"]


def hashed(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest(), "big")


def padded(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


@pytest.fixture
def cognito(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCognito]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = fake.answer(json.loads(body))
            self.send_response(status)
            self.end_headers()
            if answer is None:
                self.drip()
                return
            self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        def drip(self) -> None:
            with suppress(OSError):
                while not fake.may_end.wait(0.01):
                    self.wfile.write(b" ")
                    fake.has_dripped.set()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake = FakeCognito(f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield fake
        fake.may_end.set()
        server.shutdown()
        thread.join()


class WallClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def sign_in(cognito: FakeCognito, password: str = PASSWORD, **options: Any) -> CognitoSignIn:
    return CognitoSignIn(POOL, CLIENT, USER, password, endpoint=cognito.endpoint, **options)


async def tokens(signed_in: CognitoSignIn) -> list[str]:
    return [await signed_in.token(), await signed_in.token()]


def test_a_wrong_password_is_refused_and_named_in_no_error(cognito: FakeCognito) -> None:
    with pytest.raises(SessionError, match="NotAuthorizedException: Incorrect") as caught:
        asyncio.run(sign_in(cognito, "a wrong one").token())
    assert (caught.value.code, caught.value.temporary) == ("SIGN_IN_FAILED", False)
    assert caught.value.details == {"reason": "NotAuthorizedException"}
    assert "a wrong one" not in str(caught.value)


def test_a_wrong_password_is_tried_once_by_a_speaker(cognito: FakeCognito) -> None:
    signed_in = sign_in(cognito, "a wrong one", sends_password=True)

    async def test() -> None:
        speaker = Speaker("ws://127.0.0.1:9", token=signed_in.token)
        with pytest.raises(SessionError) as caught:
            await speaker.take_over("golden-eagle-427")
        assert caught.value.code == "SIGN_IN_FAILED"
        assert (speaker.state, speaker.reason) == ("failed", "SIGN_IN_FAILED")
        await speaker.close()

    asyncio.run(test())
    assert cognito.flows == ["USER_PASSWORD_AUTH"]


def test_a_changed_password_signs_the_speaker_out(cognito: FakeCognito) -> None:
    clock = WallClock()

    async def test() -> None:
        signed_in = sign_in(cognito, sends_password=True, wall_clock=clock)
        await signed_in.token()
        clock.now = HOUR
        cognito.answers = [(400, REFUSAL), (400, REFUSAL)]
        with pytest.raises(SessionError, match="SIGNED_OUT: NotAuthorizedException") as caught:
            await signed_in.token()
        assert not caught.value.temporary

    asyncio.run(test())


def test_a_renewal_without_an_answer_does_not_try_the_password(cognito: FakeCognito) -> None:
    clock = WallClock()

    async def test() -> None:
        signed_in = sign_in(cognito, sends_password=True, wall_clock=clock)
        await signed_in.token()
        clock.now = HOUR
        cognito.answers = [(503, {})]
        with pytest.raises(SessionError, match="CONNECTION_FAILED") as caught:
            await signed_in.token()
        assert caught.value.temporary

    asyncio.run(test())
    assert cognito.flows == ["USER_PASSWORD_AUTH", "REFRESH_TOKEN_AUTH"]


def test_srp_signs_in_without_sending_the_password(cognito: FakeCognito) -> None:
    assert asyncio.run(sign_in(cognito).token()) == "id-1"
    assert cognito.flows == ["USER_SRP_AUTH", "PASSWORD_VERIFIER"]


def test_the_password_signs_in(cognito: FakeCognito) -> None:
    assert asyncio.run(sign_in(cognito, sends_password=True).token()) == "id-1"
    assert cognito.flows == ["USER_PASSWORD_AUTH"]


def test_a_valid_token_is_given_again(cognito: FakeCognito) -> None:
    assert asyncio.run(tokens(sign_in(cognito, sends_password=True))) == ["id-1", "id-1"]


def test_simultaneous_calls_sign_in_once(cognito: FakeCognito) -> None:
    signed_in = sign_in(cognito, sends_password=True)

    async def both() -> list[str]:
        return list(await asyncio.gather(signed_in.token(), signed_in.token()))

    assert asyncio.run(both()) == ["id-1", "id-1"]


def test_a_token_that_expires_within_a_minute_is_renewed(cognito: FakeCognito) -> None:
    clock = WallClock()

    async def test() -> None:
        signed_in = sign_in(cognito, sends_password=True, wall_clock=clock)
        assert await signed_in.token() == "id-1"
        clock.now = HOUR - 59
        assert await signed_in.token() == "id-2"
        assert cognito.flows[1:] == ["REFRESH_TOKEN_AUTH"]

    asyncio.run(test())


@pytest.mark.parametrize("odd", [{}, {"ExpiresIn": None}, {"ExpiresIn": "1"}, {"ExpiresIn": -1}])
def test_a_token_without_a_validity_is_valid_for_an_hour(
    cognito: FakeCognito, odd: dict[str, Any]
) -> None:
    clock = WallClock()

    async def test() -> None:
        signed_in = sign_in(cognito, sends_password=True, wall_clock=clock)
        cognito.answers = [(200, {"AuthenticationResult": {"IdToken": "id-0"} | odd})]
        assert await signed_in.token() == "id-0"
        clock.now = HOUR - 60
        assert await signed_in.token() == "id-0"
        clock.now = HOUR - 59
        assert await signed_in.token() == "id-1"

    asyncio.run(test())


@pytest.mark.parametrize("answer", [(400, REFUSAL), (200, {"ChallengeName": "SMS_MFA"})])
def test_a_refused_renewal_leads_to_a_new_sign_in(
    cognito: FakeCognito, answer: tuple[int, Any]
) -> None:
    clock = WallClock()

    async def test() -> None:
        signed_in = sign_in(cognito, sends_password=True, wall_clock=clock)
        assert await signed_in.token() == "id-1"
        clock.now = HOUR
        cognito.answers = [answer]
        assert await signed_in.token() == "id-2"
        assert cognito.flows[1:] == ["REFRESH_TOKEN_AUTH", "USER_PASSWORD_AUTH"]

    asyncio.run(test())


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((200, {"ChallengeName": "NEW_PASSWORD_REQUIRED"}), "SIGN_IN_FAILED"),
        ((400, {"__type": "PasswordResetRequiredException"}), "SIGN_IN_FAILED"),
        ((200, {"ChallengeName": "PASSWORD_VERIFIER"}), "CONNECTION_FAILED"),
        ((200, {"AuthenticationResult": {}}), "CONNECTION_FAILED"),
        ((200, {"AuthenticationResult": {"IdToken": None}}), "CONNECTION_FAILED"),
        ((200, {"ChallengeName": ["odd"]}), "CONNECTION_FAILED"),
        ((200, challenge(SRP_B="-5")), "CONNECTION_FAILED"),
        ((200, challenge(SRP_B=5)), "CONNECTION_FAILED"),
        ((200, challenge(SECRET_BLOCK="a")), "CONNECTION_FAILED"),
        ((200, challenge(SALT="\ud800")), "CONNECTION_FAILED"),
        ((200, challenge(USER_ID_FOR_SRP="\ud800")), "CONNECTION_FAILED"),
        ((200, challenge(USER_ID_FOR_SRP=["u"])), "CONNECTION_FAILED"),
        ((200, DEEP), "CONNECTION_FAILED"),
        ((400, DEEP), "CONNECTION_FAILED"),
        ((200, b"9" * 5000), "CONNECTION_FAILED"),
        ((400, b'{"__type": "\xff"}'), "CONNECTION_FAILED"),
        ((400, {"__type": ["odd"]}), "CONNECTION_FAILED"),
        ((400, ["odd"]), "CONNECTION_FAILED"),
        ((403, b"<h1>blocked</h1>"), "CONNECTION_FAILED"),
        ((400, {"__type": "NotAuthorizedException", "message": ["odd"]}), "SIGN_IN_FAILED"),
        ((200, ["odd"]), "CONNECTION_FAILED"),
        ((200, b"odd"), "CONNECTION_FAILED"),
        ((500, b"odd"), "CONNECTION_FAILED"),
        ((503, {}), "CONNECTION_FAILED"),
        ((400, {"__type": "TooManyRequestsException"}), "CONNECTION_FAILED"),
        ((429, {"__type": "ThrottlingException"}), "CONNECTION_FAILED"),
        ((500, {"__type": "InternalErrorException"}), "CONNECTION_FAILED"),
    ],
)
def test_any_other_answer_is_an_error(
    cognito: FakeCognito, answer: tuple[int, Any], code: str
) -> None:
    cognito.answers = [answer]
    with pytest.raises(SessionError) as caught:
        asyncio.run(sign_in(cognito).token())
    assert (caught.value.code, caught.value.temporary) == (code, code == "CONNECTION_FAILED")


def test_an_answer_that_never_ends_is_an_error(
    cognito: FakeCognito, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broadcast_sessions_client.sign_in.SIGN_IN_SECONDS", 0.1)
    cognito.answers = [DRIPS]
    with pytest.raises(SessionError) as caught:
        asyncio.run(sign_in(cognito).token())
    assert (caught.value.code, caught.value.temporary) == ("CONNECTION_FAILED", True)


def test_an_answer_that_never_ends_does_not_hold_up_the_end_of_the_program(
    cognito: FakeCognito,
) -> None:
    cognito.answers = [DRIPS]

    async def test() -> None:
        signing_in = asyncio.create_task(sign_in(cognito).token())
        await asyncio.to_thread(cognito.has_dripped.wait)
        signing_in.cancel()

    asyncio.run(test())


def test_a_server_that_is_not_there_is_an_error() -> None:
    unreachable = CognitoSignIn(POOL, CLIENT, USER, PASSWORD, endpoint="http://127.0.0.1:9/")
    with pytest.raises(SessionError, match="CONNECTION_FAILED: no answer from http"):
        asyncio.run(unreachable.token())


def test_an_endpoint_that_is_not_http_is_refused() -> None:
    with pytest.raises(ValueError, match="must begin with https://"):
        CognitoSignIn(POOL, CLIENT, USER, PASSWORD, endpoint="file:///etc/passwd")


def test_secrets_reach_neither_a_log_nor_a_repr(
    cognito: FakeCognito, caplog: pytest.LogCaptureFixture
) -> None:
    signed_in = sign_in(cognito)
    with caplog.at_level(logging.DEBUG):
        asyncio.run(signed_in.token())
    for secret in (PASSWORD, "id-1", "refresh-1"):
        assert secret not in repr(signed_in) + caplog.text
