"""A Cognito token to a principal, and the policy that API Gateway takes for it.

This is all that the authorizer runs, so nothing here, nor in what it imports, knows boto3.
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

# The first token imports PyJWT, not the cold start. The import takes as long as the rest of the
# start, and an audience starts hundreds of authorizers that never see a token.

MAX_TOKEN_CHARACTERS: Final = 8192
"""Longer than any token that Cognito gives out; checked before any other work."""

CLOCK_TOLERANCE_SECONDS: Final = 5
"""The difference that is tolerated between Cognito's clock and this one."""

LAST_SECOND: Final = 253402300799
"""The end of the year 9999, in Unix time. A later time is an error of the issuer's."""

KEY_SET_SECONDS: Final = 2.0
"""Longest time to fetch the key set, from connecting to the last byte."""

REFETCH_SECONDS: Final = 60
"""Time between two fetches of the key set, because anyone can send an unknown key ID."""

RETRY_SECONDS: Final = 5
"""The same after a failed fetch."""

MIN_KEY_BITS: Final = 2048
"""Source: RFC 7518, section 3.3."""

ANONYMOUS: Final = "anonymous"

Event = Mapping[str, Any]
Policy = dict[str, Any]


class TokenRefused(Exception):
    """Why a token is not taken. The text is constant and holds nothing of the token."""


class KeySetUnavailable(ServiceUnavailable):
    """No known key matches a token, and the key set can't be fetched: an outage."""

    def __init__(self) -> None:
        super().__init__("The key set is unavailable.", retry_after_seconds=RETRY_SECONDS)


class KeySet:
    """The user pool's public keys by key ID, cached for the life of the process. Thread-safe.

    `fetch` returns a JSON Web Key Set. An unknown key ID asks for it again, at most once in
    REFETCH_SECONDS. A failed fetch keeps the keys that are known.
    Source: "Verifying a JSON web token", Amazon Cognito Developer Guide (rotation, caching).
    """

    def __init__(self, fetch: Callable[[], Any], clock: Callable[[], float]) -> None:
        """Fetch nothing yet.

        `clock` is the wall's: the monotonic clock can stand still while Lambda freezes the
        process. Source: hashicorp/vault-lambda-extension, pull request 150.
        """
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._is_down = False
        self._lock = threading.Lock()

    def find(self, key_id: str) -> "jwt.PyJWK | None":
        """Return the key, or None if the pool has no such key.

        Raises: KeySetUnavailable, if the key isn't known and the last fetch has failed.
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
        if 0 <= self._clock() - self._fetched_at < pause_seconds:  # Less than 0: it was set back.
            return
        self._is_down = True
        try:
            self._keys = parse_key_set(self._fetch())
            self._is_down = False
        except Exception as error:  # Whatever is wrong with the answer is an outage.
            telemetry.log_warning("key set not fetched", cause=type(error).__name__)
        self._fetched_at = self._clock()


def fetch_key_set(url: str) -> Any:
    """Fetch a JSON document. Raises: Unreachable, ValueError, RecursionError."""
    answer = http.get(url, KEY_SET_SECONDS)
    if answer.status != 200:
        raise ValueError("not a success")
    return json.loads(answer.body)


def parse_key_set(key_set: Any) -> "dict[str, jwt.PyJWK]":
    """Return the keys that can have signed a token, by their IDs, and skip all others.

    Raises: ValueError, if there is none.
    Source: RFC 7517, section 5 (ignore keys that aren't understood).
    """
    listed = key_set.get("keys") if isinstance(key_set, dict) else None
    keys = {
        key["kid"]: parsed
        for key in (listed if isinstance(listed, list) else [])
        if _is_signature_key(key) and (parsed := _parse_key(key))
    }
    if not keys:
        raise ValueError("no key for signatures")
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
        # Only the public members: a key with private ones would be of another class.
        parsed = jwt.PyJWK({"kty": "RSA", "n": key.get("n"), "e": key.get("e")}, "RS256")
    except Exception:  # PyJWT documents no list of what odd values raise.
        return None
    return parsed if parsed.key.key_size >= MIN_KEY_BITS else None


class TokenVerifier:
    """Takes RS256 ID and access tokens of one app client of one user pool."""

    def __init__(self, keys: KeySet, issuer: str, client_id: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._client_id = client_id

    def verify(self, token: str) -> str:
        """Return the user's ID, Cognito's `sub`.

        Raises: TokenRefused, KeySetUnavailable.
        """
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise TokenRefused("too long")
        import jwt

        header = _read(lambda: jwt.get_unverified_header(token))
        key_id = header.get("kid")
        # The algorithm is ours to say, never the token's: else `none`, or HS256 keyed with our
        # own public key, would pass.
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
        # PyJWT takes a time as text.
        if not all(_is_time(claims[name]) for name in ("exp", "iat", "nbf") if name in claims):
            raise TokenRefused("time")
        # An access token has no `aud`: its client stands in `client_id`.
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
    """Raises: TokenRefused, for whatever PyJWT raises: the token is its sender's own work."""
    try:
        return decode()
    except Exception as error:
        raise TokenRefused(type(error).__name__) from None


def _is_time(value: object) -> bool:
    """Say whether a claim is a NumericDate. Source: RFC 7519, section 2."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= LAST_SECOND


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

        Raises: KeySetUnavailable, which API Gateway answers with 500; InternalError.
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
            # The connect function, which counts what clients get, doesn't run.
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
        except Exception:  # The refusal is the answer, whether or not it is counted.
            telemetry.log_failure()


def presented_tokens(event: Event) -> list[str]:
    """List the tokens of a request. An empty one is a bad token, not a missing one."""
    query = event.get("multiValueQueryStringParameters") or {}
    headers = event.get("multiValueHeaders") or {}
    authorizations = [
        value.partition(" ")
        for name, values in headers.items()
        # API Gateway keeps the client's spelling of a header's name.
        if name.lower() == "authorization"
        for value in values or []
    ]
    return [
        *(query.get("token") or []),
        # Source: RFC 9110, section 11.1 (a scheme is case-insensitive).
        *(token.strip() for scheme, _, token in authorizations if scheme.lower() == "bearer"),
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
