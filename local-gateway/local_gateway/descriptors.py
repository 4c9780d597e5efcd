"""The process's limit of open file descriptors (`ulimit -n`)."""

import resource
from contextlib import suppress

WANTED_DESCRIPTORS = 65_536
"""Enough for all connections that one machine can serve. Linux allows this many by default."""

FALLBACK_DESCRIPTORS = 10_240
"""The maximum on macOS, although its hard limit is reported as infinite. Source: OPEN_MAX."""


def raise_limit() -> None:
    """Raise the soft limit to WANTED_DESCRIPTORS or as far as the system allows."""
    for wanted in (WANTED_DESCRIPTORS, FALLBACK_DESCRIPTORS):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < target:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))


def limit() -> int | None:
    """Return the soft limit; None if it is infinite."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft
