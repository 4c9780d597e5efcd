"""The log line about a request whose path the gateway doesn't serve."""

import re
from typing import Final

from local_gateway.gateway import Gateway

_START: Final = re.compile(r"/[A-Za-z0-9._-]{1,32}(?![^/])")
"""The first part of a path, if it can be a stage's name or a file's. Tokens are longer."""


def log_wrong_path(gateway: Gateway, path: str) -> None:
    """Log a request that is refused with 403 because of its path.

    Args:
        gateway: The gateway.
        path: The path without the query string, as the client sent it.
    """
    gateway.log.repeated("wrong path", "403", gateway.loop.time(), describe(path))


def describe(path: str) -> str:
    """Return the text of the line. It has no more of the path than the first part."""
    start = _START.match(path)
    if start is None:
        return "wrong path 403"
    rest = "" if start.end() == len(path) else "/..."
    return f"wrong path {start[0]}{rest} 403"
