"""Requests to a dependency that fail: which are sent again, and for how long."""

import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

from chalicelib.aws.circuit import CircuitBreaker
from chalicelib.errors import unavailable

EVENT_SECONDS: Final = 20
"""In which an event may begin requests. One takes 8 s at worst (two attempts of 2 s to connect and
2 s to answer), so that its answer still comes within the 29 s that API Gateway waits. Source:
"WebSocket API quotas" (integration timeout).
"""

ATTEMPTS: Final = 2
"""Of a request that fails, if sending it again does no harm."""

RETRY_SECONDS: Final = 3.0
"""How long one request is tried again while it is throttled."""

FIRST_DELAY_SECONDS: Final = 0.05
LONGEST_DELAY_SECONDS: Final = 1.0

_Result = TypeVar("_Result")
_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)
_budget_clock: ContextVar[Callable[[], float]] = ContextVar("budget_clock", default=time.monotonic)


class Overloaded(Exception):
    """An attempt was refused for load. Nothing was done, so that even a counter may be repeated."""


class AttemptFailed(Exception):
    """The dependency has failed, or gave no answer; `may_repeat` if another attempt is harmless."""

    def __init__(self, reason: str, *, may_repeat: bool) -> None:
        super().__init__(reason)
        self.may_repeat = may_repeat


@contextmanager
def event_budget(
    seconds: float = EVENT_SECONDS, clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Let no request begin after so many seconds: it answers ServiceUnavailable."""
    token, clock_token = _deadline.set(clock() + seconds), _budget_clock.set(clock)
    try:
        yield
    finally:
        _deadline.reset(token)
        _budget_clock.reset(clock_token)


def seconds_left() -> float:
    """Return how long the event may still begin requests; without a budget, infinity."""
    return _deadline.get() - _budget_clock.get()()


class Retries:
    """Runs the requests to one dependency, behind its circuit breaker. Threads may share it."""

    def __init__(
        self,
        name: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self._breaker = breaker or CircuitBreaker(name)
        self._clock = clock
        self._sleep = sleep
        self._uniform = uniform

    def run(self, attempt: Callable[[], _Result]) -> _Result:
        """Run a request, again while it is overloaded or, once, if it fails and may be repeated.

        `attempt` makes one, and raises Overloaded or AttemptFailed. The waits have full jitter.

        Raises: ServiceUnavailable; any other error of an attempt, which counts as an answer.
        """
        give_up_at = self._clock() + min(RETRY_SECONDS, seconds_left())
        delay_seconds = FIRST_DELAY_SECONDS
        attempts_left = ATTEMPTS
        while True:
            if seconds_left() <= 0:
                raise unavailable()
            self._breaker.check()
            try:
                result = attempt()
            except AttemptFailed as error:
                attempts_left -= 1
                if not (error.may_repeat and attempts_left):
                    self._breaker.failed()
                    raise unavailable() from error
                failure: Exception = error
            except Overloaded as error:
                failure = error
            except Exception:
                self._breaker.succeeded()
                raise
            else:
                self._breaker.succeeded()
                return result
            wait_seconds = self._uniform(0, delay_seconds)
            if self._clock() + wait_seconds >= give_up_at:
                raise unavailable() from failure
            self._sleep(wait_seconds)
            delay_seconds = min(2 * delay_seconds, LONGEST_DELAY_SECONDS)
