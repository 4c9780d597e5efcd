"""A plain HTTP request, with just the headers that a test names; redirects are not followed."""

from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """What a server has answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def request(url: str, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    """Send a request to the server of a URL; in the names of headers, `_` stands for `-`."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(HTTPConnection(urlsplit(url).netloc, timeout=15)) as connection:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
