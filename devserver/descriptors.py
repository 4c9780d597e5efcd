"""The process's limit of open file descriptors (`ulimit -n`)."""

import resource
from contextlib import suppress

WANTED_DESCRIPTORS = 65_536
"""Enough for every connection that one machine can serve. Linux allows as many by default."""

FALLBACK_DESCRIPTORS = 10_240
"""The most that macOS accepts, where the hard limit claims to be infinite. Source: OPEN_MAX."""


def raise_limit() -> None:
    """Raise the soft limit as far as the hard limit, or the system, allows; never lower it."""
    for wanted in (WANTED_DESCRIPTORS, FALLBACK_DESCRIPTORS):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < target:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))


def limit() -> int | None:
    """Return the soft limit; None if there is none."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft
