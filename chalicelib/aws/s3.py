"""Amazon S3's PutObject."""

from typing import Final
from urllib.parse import quote

from chalicelib.aws.calls import Calls, Client

CACHE_CONTROL: Final = "public, max-age=31536000, immutable"
"""A year, the longest usual time. An object never changes under its key.

Source: RFC 8246, section 2 (immutable).
"""


class Bucket:
    """A bucket. Thread-safe.

    The bucket's name is part of the path, not of the host, because this works with an emulator and
    shares the connections.

    Source: PutObject, Amazon S3 API Reference; "Virtual hosting of buckets" (path-style requests),
    Amazon S3 User Guide.
    """

    def __init__(self, client: Client, name: str) -> None:
        """Send requests for a bucket through this client."""
        self._calls = Calls(client)
        self._path = f"/{quote(name, safe='')}"

    def put(self, key: str, body: bytes, content_type: str, ends_at: float) -> None:
        """Store an object that caches may keep for a year.

        Args:
            key: The object's key.
            body: The object's content.
            content_type: The content's media type.
            ends_at: The monotonic time at which to give up.

        Raises:
            CallFailed: S3 has not confirmed the object in time.
        """
        headers = {"cache-control": CACHE_CONTROL, "content-type": content_type}
        self._calls.call("PUT", f"{self._path}/{quote(key)}", body, headers, ends_at)
