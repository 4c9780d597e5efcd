"""AWS Signature Version 4 for HTTP requests."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote


class Credentials(NamedTuple):
    """An access key, with the session token of temporary credentials."""

    access_key: str
    secret_key: str
    token: str | None = None


class Signer:
    """Signs requests to one service.

    S3 differs from the others: its signature has the path as it is sent, and the body's hash is
    also a header.

    Source: "Create a signed AWS API request", IAM User Guide; botocore.auth.SigV4Auth and
    S3SigV4Auth.
    """

    def __init__(self, host: str, service: str, region: str) -> None:
        """Create a signer.

        Args:
            host: The value of the `host` header.
            service: The service's signing name, for example `dynamodb`.
            region: The AWS Region.
        """
        self._host = host
        self._service = service
        self._region = region
        self._is_s3 = service == "s3"

    def sign(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        credentials: Credentials,
        at: float,
    ) -> dict[str, str]:
        """Return the headers to send: the given ones in lower case, and the signature's.

        Args:
            method: The HTTP method.
            path: The percent-encoded path. The signature encodes it a second time, except for S3.
            headers: Headers to sign. Values have no leading, trailing or repeated spaces.
            body: The request's body.
            credentials: The credentials to sign with.
            at: The Unix time of the request, in seconds.
        """
        stamp = _timestamp(int(at))
        signed = {name.lower(): value for name, value in headers.items()}
        signed |= {"host": self._host, "x-amz-date": stamp}
        if credentials.token:
            signed["x-amz-security-token"] = credentials.token
        if self._is_s3:
            signed["x-amz-content-sha256"] = _hash(body)
        names = sorted(signed)
        signed_names = ";".join(names)
        canonical_headers = "".join([f"{name}:{signed[name]}\n" for name in names])
        canonical_path = path if self._is_s3 else quote(path, safe="/~")
        canonical = (
            f"{method}\n{canonical_path}\n\n{canonical_headers}\n{signed_names}\n{_hash(body)}"
        )
        scope = f"{stamp[:8]}/{self._region}/{self._service}/aws4_request"
        text = (
            f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        )
        key = _signing_key(credentials.secret_key, stamp[:8], self._region, self._service)
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={signed_names}, Signature={_hmac(key, text).hex()}"
        )
        return signed


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


@lru_cache(maxsize=8)
def _signing_key(secret_key: str, date: str, region: str, service: str) -> bytes:
    """Derive a day's key, which all requests of that day share."""
    key = _hmac(f"AWS4{secret_key}".encode(), date)
    return _hmac(_hmac(_hmac(key, region), service), "aws4_request")


@lru_cache(maxsize=2)
def _timestamp(second: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))


@lru_cache(maxsize=2)
def _hash(body: bytes) -> str:
    """Hash a body once for all receivers of a fan-out.

    The cache is fast for the same bytes object, which stores its own hash().
    """
    return hashlib.sha256(body).hexdigest()
