"""The rate limit for the heartbeats of one connection, as pure functions of their times."""

from collections.abc import Sequence
from typing import Final

from chalicelib.errors import RateLimitExceeded

MINUTE_MS: Final = 60_000
"""The window of the limit."""

MAX_TIMES_KEPT: Final = 110
"""Most heartbeat times that a participant's item stores.

Each takes about 34 characters of the update expression, which is limited to 4 KB.
Source: "Quotas in Amazon DynamoDB" (expression string).
"""


def times_to_keep(per_minute: int) -> int:
    """Return how many earlier heartbeats decide whether the current one is allowed.

    The limit allows twice the configured number within any minute, because heartbeats that are
    sent on time can arrive in a burst. Of heartbeats sent every 30 s, never more than four arrive
    within a minute. With 2 per minute, the limit therefore refuses the fifth.

    Args:
        per_minute: The configured number of heartbeats per minute.

    Returns:
        The number of times to keep, or 0 for no limit. A number above MAX_TIMES_KEPT means no
        limit.
    """
    allowed = 2 * per_minute
    return allowed if allowed <= MAX_TIMES_KEPT else 0


def check_limit(times_ms: Sequence[int]) -> None:
    """Check that a heartbeat comes at least a minute after the oldest one that was kept.

    Args:
        times_ms: Times of heartbeats in Unix milliseconds, newest first, with this heartbeat at
            index 0. A refused heartbeat counts, too. A time of 0 means that there was none.

    Raises:
        RateLimitExceeded: The heartbeat comes too early.
    """
    if len(times_ms) < 2 or times_ms[0] - times_ms[-1] >= MINUTE_MS:
        return
    wait_ms = times_ms[-2] + MINUTE_MS - times_ms[0]
    raise RateLimitExceeded(wait_ms / 1000)
