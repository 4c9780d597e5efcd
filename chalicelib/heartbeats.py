"""The limit of heartbeats on one connection: of the times of the last ones. Pure."""

from collections.abc import Sequence
from typing import Final

from chalicelib.errors import RateLimitExceeded

MINUTE_MS: Final = 60_000

MAX_TIMES_KEPT: Final = 110
"""Times that a participant's record keeps: each takes some 34 characters of the update.

Source: "Quotas in Amazon DynamoDB" (an expression has 4 KB at most).
"""


def times_to_keep(per_minute: int) -> int:
    """Return how many heartbeats before the present one decide about it; 0 means no limit.

    With 2 a minute allowed, the fifth within any minute is refused. Twice the number, since
    heartbeats that were sent on time may arrive in a bunch: of those sent every 30 s, never more
    than four arrive within a minute. A limit that would take more times than a record can keep is
    none.
    """
    allowed = 2 * per_minute
    return allowed if allowed <= MAX_TIMES_KEPT else 0


def check_limit(times_ms: Sequence[int]) -> None:
    """Refuse a heartbeat that comes within a minute of the oldest one kept.

    `times_ms` begins with this heartbeat, which counts although it is refused; 0 is for none.

    Raises: RateLimitExceeded.
    """
    if len(times_ms) < 2 or times_ms[0] - times_ms[-1] >= MINUTE_MS:
        return
    wait_ms = times_ms[-2] + MINUTE_MS - times_ms[0]
    raise RateLimitExceeded(wait_ms / 1000)
