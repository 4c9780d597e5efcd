"""Signature Version 4, without botocore. Pure: credentials and time come in.

Checked against botocore's own in the tests.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key: str
    secret_key: str
    token: str | None = None


class Signer:
    """Signature Version 4, for all services but S3, which canonicalizes paths in its own way.

    Source: "Create a signed AWS API request", IAM User Guide; botocore.auth.SigV4Auth.
    """

    def __init__(self, host: str, service: str, region: str) -> None:
        self._host = host
        self._service = service
        self._region = region

    def sign(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        credentials: Credentials,
        at: float,
    ) -> dict[str, str]:
        """Return the headers to send: those given, in lower case, and those that sign them.

        `path` is quoted, as it goes over the wire, and the signature quotes it once more. Values
        have no space at their ends, and no two in a row.
        """
        stamp = _timestamp(int(at))
        signed = {name.lower(): value for name, value in headers.items()}
        signed |= {"host": self._host, "x-amz-date": stamp}
        if credentials.token:
            signed["x-amz-security-token"] = credentials.token
        names = sorted(signed)
        signed_names = ";".join(names)
        canonical_headers = "".join([f"{name}:{signed[name]}\n" for name in names])
        canonical_path = quote(path, safe="/~")
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
    """Derive the key of a day, which all its requests share."""
    key = _hmac(f"AWS4{secret_key}".encode(), date)
    return _hmac(_hmac(_hmac(key, region), service), "aws4_request")


@lru_cache(maxsize=2)
def _timestamp(second: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))


@lru_cache(maxsize=2)
def _hash(body: bytes) -> str:
    """Hash a body once for all receivers of a fan-out: a bytes object remembers its own hash()."""
    return hashlib.sha256(body).hexdigest()
