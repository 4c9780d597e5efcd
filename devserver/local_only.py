"""Who may use the server's HTTP endpoints: programs of this machine, and no web page. Pure.

A page cannot keep a browser from sending Origin with what it asks of another site, nor, when its
own name is made to lead to this machine (DNS rebinding), its own name as the Host.
"""

import re
from collections.abc import Set
from functools import lru_cache

from devserver.http_messages import Request

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})

_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::[0-9]*)?")


def find_objection(request: Request, own_hosts: Set[str]) -> str | None:
    """Return why the request is refused; None if it is not. Whatever the port of its Host is."""
    for name, value in request.headers:
        if len(name) == 4 and name.lower() == "host" and host_of(value) not in own_hosts:
            return "this server's HTTP endpoints go by no such Host"
        if len(name) == 6 and name.lower() == "origin":
            return "this server's HTTP endpoints are not for web pages"
    return None


@lru_cache(maxsize=64)
def host_of(header: str) -> str:
    """Return the name in a Host header, in lower case; empty if it holds none."""
    match = _HOST.fullmatch(header.strip())
    return "" if match is None else match[1].lower()
