"""The application's clock, `time.time`, which can run faster than real time.

Every time that the gateway passes to the application comes from this module, so both always agree.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

MAX_RATE = 100_000
"""At this rate a one-minute schedule is due every 0.6 ms, which the gateway can just handle."""


def now() -> float:
    """Return the time of the application's clock in seconds since 1970."""
    return time.time()


def parse_rate(text: str) -> float:
    """Parse a clock rate.

    Raises:
        ValueError: The text isn't a number from 1 to MAX_RATE.
    """
    rate = float(text)
    if not 1 <= rate <= MAX_RATE:
        raise ValueError(f"a clock rate must be from 1 to {MAX_RATE}")
    return rate


@contextmanager
def running_at(rate: float) -> Iterator[None]:
    """Make `time.time` run at a multiple of real time until the context ends.

    Enter the context before the application is imported. Modules that have already executed
    `from time import time` keep the real clock. Other clocks don't change. A rate of 1 replaces
    nothing.
    """
    if rate == 1:
        yield
        return
    read_real = time.time
    started_at = read_real()
    _replace(lambda: started_at + (read_real() - started_at) * rate)
    try:
        yield
    finally:
        _replace(read_real)


def _replace(read: object) -> None:
    vars(time)["time"] = read
