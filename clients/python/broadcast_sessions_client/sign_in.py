"""Sign-in of a speaker to Cognito, for tests and command lines.

Pages use Cognito's sign-in page instead. Only `CognitoSignIn.token` and errors leave this module,
and no error contains a password or a token.
"""

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError

from broadcast_sessions_client import messages
from broadcast_sessions_client.errors import SessionError
from broadcast_sessions_client.srp import SrpProof
from broadcast_sessions_client.threads import in_thread

REQUEST_SECONDS: Final = 10
"""The longest pause in an answer."""

SIGN_IN_SECONDS: Final = 20
"""The longest time of a renewal with all of its requests."""

SPARE_SECONDS: Final = 60
"""A token is renewed so long before it expires."""

TOKEN_SECONDS: Final = 3600
"""Cognito's default for the validity of tokens, if an answer doesn't name it.

Source: Amazon Cognito API Reference, "AuthenticationResultType": `ExpiresIn` isn't required.
"""

TOO_MANY_REQUESTS: Final = 429
SERVER_ERRORS: Final = 500
"""Statuses from here on are failures of Cognito itself."""

THROTTLED: Final = frozenset({"TooManyRequestsException", "ThrottlingException"})
"""Cognito sends these with the status 400, too."""


class CognitoSignIn:
    """A user of a Cognito user pool, for `Speaker(url, token=sign_in.token)`."""

    def __init__(
        self,
        user_pool_id: str,
        client_id: str,
        username: str,
        password: str,
        *,
        endpoint: str | None = None,
        sends_password: bool = False,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Make a sign-in. It connects when you ask for a token.

        Args:
            user_pool_id: The pool's ID, such as `us-east-1_Ab1Cd2Ef3`.
            client_id: The ID of an app client without a secret.
            username: The user's name or address.
            password: The user's password.
            endpoint: Cognito's URL, if it isn't AWS's own in the pool's region.
            sends_password: Sign in by `USER_PASSWORD_AUTH`. The default is SRP, which doesn't
                send the password.
            wall_clock: Returns Unix time in seconds.

        Raises:
            ValueError: The endpoint can't be right.
        """
        region = user_pool_id.partition("_")[0]
        self._endpoint = endpoint or f"https://cognito-idp.{region}.amazonaws.com/"
        if not self._endpoint.startswith(("https://", "http://")):
            raise ValueError(f"the endpoint must begin with https:// or http://: {endpoint!r}")
        self._user_pool_id = user_pool_id
        self._client_id = client_id
        self._username = username
        self._password = password
        self._sends_password = sends_password
        self._wall_clock = wall_clock
        self._lock = asyncio.Lock()
        self._id_token = ""
        self._refresh_token = ""
        self._expires_at = 0.0

    async def token(self) -> str:
        """Return an ID token that is valid for a minute at least.

        Raises:
            SessionError: Cognito refused, or can't be reached. The code is `SIGN_IN_FAILED`,
                `SIGNED_OUT` if the user was signed in before, or `CONNECTION_FAILED`, which is
                temporary. After a refusal, `details["reason"]` is Cognito's name of the error,
                such as `NotAuthorizedException`, or of the challenge that you must answer first,
                such as `NEW_PASSWORD_REQUIRED`.
        """
        async with self._lock:
            if self._wall_clock() > self._expires_at - SPARE_SECONDS:
                await self._renew_in_thread()
            return self._id_token

    async def _renew_in_thread(self) -> None:
        try:
            async with asyncio.timeout(SIGN_IN_SECONDS):
                self._keep(await in_thread(self._renew))
        except TimeoutError:
            raise _no_answer(f"no complete answer from {self._endpoint}") from None
        except SessionError as error:
            if error.temporary or not self._id_token:
                raise
            raise SessionError("SIGNED_OUT", error.message, details=error.details) from None

    def _renew(self) -> dict[str, Any]:
        """Return new tokens. Sign in again if Cognito refuses the refresh token."""
        if self._refresh_token:
            try:
                refresh = {"REFRESH_TOKEN": self._refresh_token}
                return _tokens_of(self._initiate("REFRESH_TOKEN_AUTH", refresh))
            except SessionError as error:
                if error.temporary:
                    raise
        return _tokens_of(self._by_password() if self._sends_password else self._by_srp())

    def _by_password(self) -> dict[str, Any]:
        parameters = {"USERNAME": self._username, "PASSWORD": self._password}
        return self._initiate("USER_PASSWORD_AUTH", parameters)

    def _by_srp(self) -> dict[str, Any]:
        proof = SrpProof(self._user_pool_id)
        parameters = {"USERNAME": self._username, "SRP_A": proof.public}
        started = self._initiate("USER_SRP_AUTH", parameters)
        if started.get("ChallengeName") != "PASSWORD_VERIFIER":
            return started
        try:
            challenge = started["ChallengeParameters"]
            responses = proof.responses(challenge, self._password, datetime.now(UTC))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise _odd_answer() from None
        answer = {
            "ClientId": self._client_id,
            "ChallengeName": "PASSWORD_VERIFIER",
            "ChallengeResponses": responses,
        }
        return self._request("RespondToAuthChallenge", answer)

    def _keep(self, tokens: dict[str, Any]) -> None:
        self._id_token = messages.text(tokens, "IdToken")
        self._refresh_token = messages.text(tokens, "RefreshToken") or self._refresh_token
        seconds = messages.number(tokens, "ExpiresIn", 0) or TOKEN_SECONDS
        self._expires_at = self._wall_clock() + seconds

    def _initiate(self, flow: str, parameters: dict[str, str]) -> dict[str, Any]:
        return self._request(
            "InitiateAuth",
            {"ClientId": self._client_id, "AuthFlow": flow, "AuthParameters": parameters},
        )

    def _request(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request, and return Cognito's answer.

        Source: Amazon Cognito API Reference, "InitiateAuth".
        """
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"AWSCognitoIdentityProviderService.{action}",
        }
        request = urllib.request.Request(self._endpoint, json.dumps(body).encode(), headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as response:  # noqa: S310
                answer = messages.parse(response.read().decode())
        except HTTPError as error:
            raise _failure(error) from None
        except ValueError:
            raise _odd_answer() from None
        except (OSError, HTTPException) as error:
            raise _no_answer(f"no answer from {self._endpoint}") from error
        if answer is None:
            raise _odd_answer()
        return answer


def _tokens_of(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the tokens in an answer, of which the ID token isn't missing."""
    if challenge := messages.text(answer, "ChallengeName"):
        raise _refused(challenge, "Cognito asks for it before the sign-in.")
    tokens = answer.get("AuthenticationResult")
    if not isinstance(tokens, dict) or not messages.text(tokens, "IdToken"):
        raise _odd_answer()
    return tokens


def _odd_answer() -> SessionError:
    return _no_answer("the answer isn't Cognito's")


def _no_answer(message: str) -> SessionError:
    return SessionError("CONNECTION_FAILED", message, temporary=True)


def _refused(reason: str, message: str) -> SessionError:
    return SessionError("SIGN_IN_FAILED", f"{reason}: {message}", details={"reason": reason})


def _failure(error: HTTPError) -> SessionError:
    """Return the error in Cognito's answer. Its `__type` can have a namespace before a `#`."""
    with error:
        try:
            answer = messages.parse(error.read().decode()) or {}
        except (OSError, HTTPException, ValueError):
            answer = {}
    reason = messages.text(answer, "__type").rpartition("#")[2]
    message = messages.text(answer, "message")
    if not reason:
        return _no_answer(f"Cognito answered {error.code}")
    if error.code == TOO_MANY_REQUESTS or error.code >= SERVER_ERRORS or reason in THROTTLED:
        return _no_answer(f"Cognito answered {error.code}: {reason}")
    return _refused(reason, message)
