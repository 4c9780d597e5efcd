"""Access control for the gateway's HTTP endpoints, which refuses requests from web pages.

Two headers identify web pages, and a page can't suppress either. A browser sends `Origin` with
requests to other sites. If a page's own host name resolves to this machine (DNS rebinding), the
browser sends that name as `Host`.
"""

import re
from collections.abc import Set
from functools import lru_cache

from local_gateway.http_messages import Request

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})

_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::[0-9]*)?")


def find_refusal_reason(request: Request, own_hosts: Set[str]) -> str | None:
    """Return the reason to refuse a request; None if it is allowed.

    Args:
        request: The request.
        own_hosts: The gateway's host names. The port in `Host` doesn't matter.
    """
    for name, value in request.headers:
        if len(name) == 4 and name.lower() == "host" and host_of(value) not in own_hosts:
            return "the Host isn't one of the gateway's host names"
        if len(name) == 6 and name.lower() == "origin":
            return "web pages can't use the gateway's HTTP endpoints"
    return None


@lru_cache(maxsize=64)
def host_of(header: str) -> str:
    """Return the lower-case host name in a Host header; empty if the header isn't valid."""
    match = _HOST.fullmatch(header.strip())
    return "" if match is None else match[1].lower()
