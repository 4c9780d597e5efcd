"""The Lambda authorizer, which verifies Cognito tokens.

Only the count of refused tokens needs more of the application.
"""

import json
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from chalicelib import telemetry
from chalicelib.aws import http
from chalicelib.errors import ServiceUnavailable

if TYPE_CHECKING:
    import jwt

# The functions that check a token import PyJWT. At module level, the import would double the CPU
# time of a cold start, and most authorizers never see a token, because listeners have none. The
# first token of a process waits for the import.

MAX_TOKEN_CHARACTERS: Final = 8192
"""Longest accepted token, longer than any that Cognito issues. Checked first."""

CLOCK_TOLERANCE_SECONDS: Final = 5
"""Accepted difference between Cognito's clock and this one."""

LAST_SECOND: Final = 253402300799
"""Latest accepted time of a claim in Unix seconds, the end of the year 9999."""

KEY_SET_SECONDS: Final = 2.0
"""Time limit for fetching the key set, from connecting to the last byte."""

REFETCH_SECONDS: Final = 60
"""Shortest time between two fetches, because any client can send an unknown key ID."""

RETRY_SECONDS: Final = 5
"""Shortest time between two fetches after a failed one."""

MIN_KEY_BITS: Final = 2048
"""Shortest accepted RSA key. Source: RFC 7518, section 3.3."""

ANONYMOUS: Final = "anonymous"
"""The principal of a client without a valid token."""

Event = Mapping[str, Any]
"""A REQUEST authorizer's event."""

Policy = dict[str, Any]
"""A REQUEST authorizer's response."""


class TokenRefused(Exception):
    """A token is invalid. The text is constant and contains no part of the token."""


class KeySetUnavailable(ServiceUnavailable):
    """No known key matches a token, and the key set can't be fetched."""

    def __init__(self) -> None:
        """Set the time after which the key set is fetched again."""
        super().__init__("The key set is unavailable.", retry_after_seconds=RETRY_SECONDS)


class KeySet:
    """The user pool's public keys by key ID. Thread-safe.

    Keys are cached for the life of the process. An unknown key ID causes a new fetch, at most once
    in REFETCH_SECONDS. If a fetch fails, the known keys stay valid.
    Source: "Verifying a JSON web token", Amazon Cognito Developer Guide (rotation, caching).
    """

    def __init__(self, fetch: Callable[[], Any], clock: Callable[[], float]) -> None:
        """Create a key set without fetching it.

        Args:
            fetch: Returns a JSON Web Key Set.
            clock: A wall clock in seconds. The monotonic clock can stop while Lambda freezes the
                process.

        Source: hashicorp/vault-lambda-extension, pull request 150.
        """
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._is_down = False
        self._lock = threading.Lock()

    def find(self, key_id: str) -> "jwt.PyJWK | None":
        """Return a key, or None if the pool doesn't have it.

        Raises:
            KeySetUnavailable: The key is unknown and the last fetch failed.
        """
        if key := self._keys.get(key_id):
            return key
        with self._lock:
            if key_id not in self._keys:
                self._refetch_unless_recent()
            if key_id not in self._keys and self._is_down:
                raise KeySetUnavailable
            return self._keys.get(key_id)

    def _refetch_unless_recent(self) -> None:
        pause_seconds = RETRY_SECONDS if self._is_down else REFETCH_SECONDS
        # A negative time means that the clock was set back.
        if 0 <= self._clock() - self._fetched_at < pause_seconds:
            return
        self._is_down = True
        try:
            self._keys = parse_key_set(self._fetch())
            self._is_down = False
        except Exception as error:  # Any invalid answer is an outage.
            telemetry.log_warning("key set not fetched", cause=type(error).__name__)
        self._fetched_at = self._clock()


def fetch_key_set(url: str) -> Any:
    """Fetch a JSON document.

    Raises:
        Unreachable: There was no complete answer within KEY_SET_SECONDS.
        ValueError: The answer is not a success or not JSON.
        RecursionError: The JSON is nested too deeply.
    """
    answer = http.get(url, KEY_SET_SECONDS)
    if answer.status != 200:
        raise ValueError("not a success")
    return json.loads(answer.body)


def parse_key_set(key_set: Any) -> "dict[str, jwt.PyJWK]":
    """Return the RSA signature keys of a key set by their IDs, and skip other keys.

    Raises:
        ValueError: The key set has no such key.

    Source: RFC 7517, section 5 (ignore keys that aren't understood).
    """
    listed = key_set.get("keys") if isinstance(key_set, dict) else None
    keys = {
        key["kid"]: parsed
        for key in (listed if isinstance(listed, list) else [])
        if _is_signature_key(key) and (parsed := _parse_key(key))
    }
    if not keys:
        raise ValueError("no signature key")
    return keys


def _is_signature_key(key: Any) -> bool:
    return (
        isinstance(key, dict)
        and isinstance(key.get("kid"), str)
        and key.get("kty") == "RSA"
        and key.get("alg", "RS256") == "RS256"
        and key.get("use", "sig") == "sig"
    )


def _parse_key(key: dict[str, Any]) -> "jwt.PyJWK | None":
    import jwt

    try:
        # With only the public members, the result is always a public key.
        parsed = jwt.PyJWK({"kty": "RSA", "n": key.get("n"), "e": key.get("e")}, "RS256")
    except Exception:  # PyJWT does not document which errors invalid values raise.
        return None
    return parsed if parsed.key.key_size >= MIN_KEY_BITS else None


class TokenVerifier:
    """Verifies RS256 ID and access tokens of one app client of one user pool."""

    def __init__(self, keys: KeySet, issuer: str, client_id: str) -> None:
        """Create a verifier.

        Args:
            keys: The user pool's keys.
            issuer: The `iss` claim of the pool's tokens.
            client_id: The app client's ID.
        """
        self._keys = keys
        self._issuer = issuer
        self._client_id = client_id

    def verify(self, token: str) -> str:
        """Verify a token, and return its user's ID (the `sub` claim).

        Raises:
            TokenRefused: The token is invalid.
            KeySetUnavailable: The token's key is unknown, and the key set can't be fetched.
        """
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise TokenRefused("too long")
        import jwt

        header = _read(lambda: jwt.get_unverified_header(token))
        key_id = header.get("kid")
        # The token must not choose the algorithm. Otherwise `none` would pass, and so would HS256
        # with the public key as its secret.
        if header.get("alg") != "RS256" or not isinstance(key_id, str):
            raise TokenRefused("algorithm or key id")
        key = self._keys.find(key_id)
        if key is None:
            raise TokenRefused("unknown key")
        return self._check(_read(lambda: self._decode(token, key)))

    def _decode(self, token: str, key: "jwt.PyJWK") -> dict[str, Any]:
        import jwt

        return jwt.decode(
            token,
            key.key,
            algorithms=["RS256"],
            issuer=self._issuer,
            leeway=CLOCK_TOLERANCE_SECONDS,
            options={"require": ["exp", "iat", "iss", "sub", "token_use"], "verify_aud": False},
        )

    def _check(self, claims: dict[str, Any]) -> str:
        """Check what PyJWT doesn't, and return the user's ID."""
        # PyJWT accepts a time as text.
        if not all(_is_time(claims[name]) for name in ("exp", "iat", "nbf") if name in claims):
            raise TokenRefused("time")
        # An access token has no `aud`. Its client is in `client_id`.
        # Source: "Understanding the access token", Amazon Cognito Developer Guide.
        client_claims = {"id": "aud", "access": "client_id"}
        use, user_id = claims["token_use"], claims["sub"]
        if not isinstance(use, str) or use not in client_claims:
            raise TokenRefused("use or client")
        if claims.get(client_claims[use]) != self._client_id:
            raise TokenRefused("use or client")
        if not isinstance(user_id, str) or not user_id.strip() or not user_id.isprintable():
            raise TokenRefused("user")
        return user_id


def _read(decode: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Convert any error of PyJWT, since the token can contain anything.

    Raises:
        TokenRefused: PyJWT raised an error.
    """
    try:
        return decode()
    except Exception as error:
        raise TokenRefused(type(error).__name__) from None


def _is_time(value: object) -> bool:
    """Return whether a claim is a NumericDate. Source: RFC 7519, section 2."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= LAST_SECOND


class Authorizer:
    """The REQUEST authorizer of $connect.

    A client without a token passes as anonymous. One with an invalid token is refused.
    """

    def __init__(self, verifier: TokenVerifier, count_refusal: Callable[[str], object]) -> None:
        """Create an authorizer.

        Args:
            verifier: Verifies tokens.
            count_refusal: Counts an invalid token from an address.
        """
        self._verifier = verifier
        self._count_refusal = count_refusal

    def authorize(self, event: Event) -> Policy:
        """Return the policy for a connect request.

        An invalid token is denied, and the handshake fails with 403. Raising `Unauthorized` (401)
        would count as an error of the function, and clients could trigger the operator's alarms.

        Raises:
            KeySetUnavailable: The key set can't be fetched. API Gateway answers with 500.
            InternalError: An unexpected error occurred.
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
        except KeySetUnavailable as outage:
            # The connect function, which counts the errors that clients get, doesn't run.
            telemetry.put_metrics(outage.code, ConnectionErrors=1)
            raise
        except TokenRefused as refusal:
            record.code = "UNAUTHORIZED"
            telemetry.log_warning("refused", code=record.code, cause=str(refusal))
            telemetry.put_metrics(str(refusal), AuthorizationFailures=1)
            self._count(event)
            return _policy(event, "Deny", ANONYMOUS)
        return {**_policy(event, "Allow", user_id), "context": {"userId": user_id}}

    def _count(self, event: Event) -> None:
        try:
            identity = event["requestContext"].get("identity") or {}
            self._count_refusal(identity.get("sourceIp") or "")
        except Exception:  # The token is refused even if it can't be counted.
            telemetry.log_failure()


def presented_tokens(event: Event) -> list[str]:
    """List the tokens of a request. An empty token is invalid, not missing."""
    query = event.get("multiValueQueryStringParameters") or {}
    headers = event.get("multiValueHeaders") or {}
    authorizations = [
        value.partition(" ")
        for name, values in headers.items()
        # API Gateway keeps the case of the client's header names.
        if name.lower() == "authorization"
        for value in values or []
    ]
    return [
        *(query.get("token") or []),
        # Source: RFC 9110, section 11.1 (a scheme is case-insensitive).
        *(token.strip() for scheme, _, token in authorizations if scheme.lower() == "bearer"),
    ]


def _policy(event: Event, effect: str, principal_id: str) -> Policy:
    # Chalice's AuthResponse builds an ARN with an HTTP verb, which never matches a WebSocket API's.
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
