"""The service's URL."""

from collections.abc import Mapping
from urllib.parse import urlencode

from websockets.exceptions import InvalidURI
from websockets.uri import parse_uri


def check_url(url: str) -> str:
    """Return a URL of a WebSocket.

    Raises:
        ValueError: It is another URL.
    """
    try:
        parse_uri(url)
    except (InvalidURI, ValueError):
        message = f"the URL must be that of a WebSocket, such as wss://host/stage: {url!r}"
        raise ValueError(message) from None
    return url


def with_query(url: str, query: Mapping[str, str]) -> str:
    """Return a URL with further fields in its query."""
    separator = "&" if "?" in url else "?"
    return f"{url}{separator}{urlencode(query)}" if query else url
