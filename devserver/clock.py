"""The application's clock, which is `time.time`, and may run faster than the real one.

Whatever the server tells the application of a time is read here, so the two cannot differ.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

MAX_RATE = 100_000
"""A schedule of a minute comes every 0.6 ms then; above that the server could not keep up."""


def now() -> float:
    """Read the application's clock: seconds since 1970."""
    return time.time()


def parse_rate(text: str) -> float:
    """Return a rate from 1 to MAX_RATE; raises ValueError for all else."""
    rate = float(text)
    if not 1 <= rate <= MAX_RATE:
        raise ValueError(f"a clock's rate is from 1 to {MAX_RATE}")
    return rate


@contextmanager
def running_at(rate: float) -> Iterator[None]:
    """Let `time.time`, and nothing else, run so many times faster from now on.

    Who has taken the function out of its module before (`from time import time`) keeps the real
    one, so this begins before the application is imported. At a rate of 1 nothing is replaced.
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
