"""Public reads of buckets in the embedded S3, as a CDN in front of a bucket allows them.

Web pages of any site can get an object whose key they know. Everything else goes through the
page guard.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from local_gateway.asgi import AsgiApp, Message, Receive, Send

PREFIX: Final = "/_local_gateway/buckets/"

VARIABLE: Final = "LOCAL_GATEWAY_PUBLIC_BUCKETS"
"""The environment variable with the buckets' full names, comma-separated, in ministack's process.
"""

_PASSED_ON: Final = frozenset({b"host", b"if-none-match", b"range"})


def bucket_variables(name: str) -> tuple[str, str]:
    """Return the environment variables with a bucket's full name and public URL."""
    start = name.replace("-", "_").upper()
    return f"{start}_BUCKET", f"{start}_URL"


def full_name(prefix: str, name: str) -> str:
    """Return a bucket's full name, without the characters of the prefix that S3 refuses."""
    return f"{re.sub(r'[^a-z0-9]+', '-', prefix.lower())}-{name}"


def public_url(endpoint_url: str, bucket: str) -> str:
    """Return the URL below which a bucket's objects are public."""
    return f"{endpoint_url}{PREFIX}{bucket}"


class PublicBuckets:
    """ASGI middleware that answers public reads, and passes other requests on."""

    def __init__(self, app: AsgiApp, buckets: Collection[str], beside: AsgiApp) -> None:
        """Wrap an ASGI application.

        Args:
            app: Answers public reads, without their query string and without other headers.
            buckets: The buckets whose objects are public.
            beside: Answers all other requests.
        """
        self._app = app
        self._starts = tuple(f"{PREFIX}{bucket}/" for bucket in buckets)
        self._beside = beside

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        path = scope.get("path", "")
        is_read = scope.get("method") in ("GET", "HEAD") and path.startswith(self._starts)
        if not is_read or path in self._starts:
            await self._beside(scope, receive, send)
            return
        own_path = f"/{path.removeprefix(PREFIX)}"
        own = {
            "path": own_path,
            "raw_path": scope.get("raw_path", path.encode()).removeprefix(PREFIX[:-1].encode()),
            "query_string": b"",
            "headers": list(_pass_on(scope["headers"])),
        }
        await self._app({**scope, **own}, receive, send)


def serve(app: AsgiApp, *, beside: AsgiApp) -> AsgiApp:
    """Add the public buckets that the environment names."""
    names = [name for name in os.environ.get(VARIABLE, "").split(",") if name]
    return PublicBuckets(app, names, beside) if names else beside


def _pass_on(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    return ((name, value) for name, value in headers if name.lower() in _PASSED_ON)
