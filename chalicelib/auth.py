"""A Cognito token to a principal, and the policy that API Gateway takes for it.

This is all that the authorizer runs, so nothing here, nor in what it imports, knows boto3.
"""

import json
import threading
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final

import jwt

from chalicelib import telemetry

MAX_TOKEN_CHARACTERS: Final = 8192
"""Longer than any token that Cognito gives out; checked before any other work."""

KEY_SET_TIMEOUT_SECONDS: Final = 2
REFETCH_SECONDS: Final = 60
"""Between two fetches of the key set: anyone can send an unknown key id."""

EMPTY_REFETCH_SECONDS: Final = 5
"""The same while no key is known at all, lest one failed fetch refuse everyone for a minute."""

ANONYMOUS: Final = "anonymous"

Event = Mapping[str, Any]
Policy = dict[str, Any]


class TokenRefused(Exception):
    """Why a token is not taken. The text is constant and holds nothing of the token."""


class KeySet:
    """The user pool's public keys by key id, cached for the life of the process.

    `fetch` returns a JSON Web Key Set. An unknown key id asks for it again, at most once in
    REFETCH_SECONDS; a failed fetch keeps the keys that are known.
    Source: "Verifying a JSON web token", Amazon Cognito Developer Guide (rotation, caching).
    """

    def __init__(self, fetch: Callable[[], Mapping[str, Any]], clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._lock = threading.Lock()

    def find(self, key_id: str) -> jwt.PyJWK | None:
        if key_id not in self._keys:
            with self._lock:
                self._refetch_unless_recent(key_id)
        return self._keys.get(key_id)

    def _refetch_unless_recent(self, key_id: str) -> None:
        pause_seconds = REFETCH_SECONDS if self._keys else EMPTY_REFETCH_SECONDS
        if key_id in self._keys or self._clock() - self._fetched_at < pause_seconds:
            return
        self._fetched_at = self._clock()
        try:
            key_set = self._fetch()
            self._keys = {key["kid"]: jwt.PyJWK(key) for key in key_set["keys"]}
        except (OSError, ValueError, KeyError, TypeError, jwt.PyJWTError) as error:
            telemetry.log_warning("key set not fetched", cause=type(error).__name__)


def fetch_key_set(url: str) -> Mapping[str, Any]:
    """Raises: OSError, ValueError."""
    with urllib.request.urlopen(url, timeout=KEY_SET_TIMEOUT_SECONDS) as response:  # noqa: S310
        key_set: Mapping[str, Any] = json.load(response)
        return key_set


class TokenVerifier:
    """Takes RS256 ID and access tokens of one app client of one user pool."""

    def __init__(self, keys: KeySet, issuer: str, client_id: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._client_id = client_id

    def verify(self, token: str) -> str:
        """Return the user's id, Cognito's `sub`.

        Raises: TokenRefused.
        """
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise TokenRefused("too long")
        try:
            return self._verify(token)
        except (jwt.PyJWTError, ValueError) as error:
            raise TokenRefused(type(error).__name__) from None

    def _verify(self, token: str) -> str:
        header = jwt.get_unverified_header(token)
        key_id = header.get("kid")
        # The algorithm is ours to say, never the token's: else `none`, or HS256 keyed with our
        # own public key, would pass.
        if header.get("alg") != "RS256" or not isinstance(key_id, str):
            raise TokenRefused("algorithm or key id")
        key = self._keys.find(key_id)
        if key is None:
            raise TokenRefused("unknown key")
        claims = jwt.decode(
            token,
            key.key,
            algorithms=["RS256"],
            issuer=self._issuer,
            options={"require": ["exp", "iat", "iss", "sub", "token_use"], "verify_aud": False},
        )
        # An access token has no `aud`: its client stands in `client_id`.
        # Source: "Understanding the access token", Amazon Cognito Developer Guide.
        client_claim = {"id": "aud", "access": "client_id"}.get(claims["token_use"])
        if client_claim is None or claims.get(client_claim) != self._client_id:
            raise TokenRefused("use or client")
        return str(claims["sub"])


class Authorizer:
    """The REQUEST authorizer of $connect: a token gives a speaker, none at all a listener."""

    def __init__(self, verifier: TokenVerifier, count_refusal: Callable[[str], object]) -> None:
        """`count_refusal` is told the address from which a bad token came."""
        self._verifier = verifier
        self._count_refusal = count_refusal

    def authorize(self, event: Event) -> Policy:
        """Return the policy for a connect request. A bad token is denied: a handshake with 403.

        Denied rather than raised as `Unauthorized` (401): raising counts as an error of the
        function, and strangers could set off the operator's alarms.
        """
        context = event["requestContext"]
        with telemetry.handled(
            "authorizer",
            connection_id=context.get("connectionId"),
            request_id=context.get("requestId"),
            is_clients=False,
        ) as record:
            return self._authorize(event, record)

    def _authorize(self, event: Event, record: telemetry.Record) -> Policy:
        tokens = presented_tokens(event)
        if not tokens:
            return _policy(event, "Allow", ANONYMOUS)
        try:
            if len(tokens) > 1:
                raise TokenRefused("more than one")
            user_id = self._verifier.verify(tokens[0])
        except TokenRefused as refusal:
            record.code = "UNAUTHORIZED"
            telemetry.log_warning("refused", code=record.code, cause=str(refusal))
            telemetry.put_metrics(str(refusal), AuthorizationFailures=1)
            identity = event["requestContext"].get("identity") or {}
            self._count_refusal(identity.get("sourceIp") or "")
            return _policy(event, "Deny", ANONYMOUS)
        return {**_policy(event, "Allow", user_id), "context": {"userId": user_id}}


def presented_tokens(event: Event) -> list[str]:
    """List what a request presents as its token, be it empty: that is a bad one, not none."""
    query = event.get("multiValueQueryStringParameters") or {}
    headers = event.get("multiValueHeaders") or {}
    return [
        *(query.get("token") or []),
        *(
            value.removeprefix("Bearer ").strip()
            for name, values in headers.items()
            # API Gateway keeps the client's spelling of a header's name.
            if name.lower() == "authorization"
            for value in values or []
        ),
    ]


def _policy(event: Event, effect: str, principal_id: str) -> Policy:
    # Chalice's AuthResponse builds an ARN with an HTTP verb, which never matches a WebSocket's.
    return {
        "principalId": principal_id,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": effect,
                    "Resource": event["methodArn"],
                }
            ],
        },
    }
