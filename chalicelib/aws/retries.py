"""Retries of requests to a dependency, within the time budget of the current event."""

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
"""Time in which an event may start requests.

A request takes at most 9 s: an attempt that fails within RETRY_SECONDS, and another one, with up to
2 s on a kept connection that breaks, 2 s to connect and 2 s to answer. The function therefore
answers within the 29 s that API Gateway waits.
Source: "WebSocket API quotas" (integration timeout).
"""

ATTEMPTS: Final = 2
"""Attempts for a failing request that is safe to repeat."""

RETRY_SECONDS: Final = 3.0
"""Time for which a throttled request is retried."""

FIRST_DELAY_SECONDS: Final = 0.05
"""Longest wait before the first retry. It doubles with each further retry."""

LONGEST_DELAY_SECONDS: Final = 1.0
"""Longest wait before any retry."""

_Result = TypeVar("_Result")
_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)
_budget_clock: ContextVar[Callable[[], float]] = ContextVar("budget_clock", default=time.monotonic)


class Overloaded(Exception):
    """The dependency rejected an attempt because of load.

    It did nothing, which makes a retry safe even for a request that is not idempotent.
    """


class AttemptFailed(Exception):
    """The dependency failed or did not answer.

    Attributes:
        may_repeat: Whether another attempt is safe.
    """

    def __init__(self, reason: str, *, may_repeat: bool) -> None:
        """Record the reason, a constant text or a status."""
        super().__init__(reason)
        self.may_repeat = may_repeat


@contextmanager
def event_budget(
    seconds: float = EVENT_SECONDS, clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Refuse requests with ServiceUnavailable once this time has passed."""
    token, clock_token = _deadline.set(clock() + seconds), _budget_clock.set(clock)
    try:
        yield
    finally:
        _deadline.reset(token)
        _budget_clock.reset(clock_token)


def seconds_left() -> float:
    """Return how long the event may still start requests, or infinity without a budget."""
    return _deadline.get() - _budget_clock.get()()


class Retries:
    """Runs the requests to one dependency behind its circuit breaker. Thread-safe."""

    def __init__(
        self,
        name: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        """Create the retries of one dependency.

        Args:
            name: The dependency's name in the log.
            clock: A monotonic clock in seconds.
            sleep: Waits for a number of seconds.
            uniform: Returns a random number between two bounds.
            breaker: The dependency's circuit breaker. The default is a new one.
        """
        self._breaker = breaker or CircuitBreaker(name)
        self._clock = clock
        self._sleep = sleep
        self._uniform = uniform

    def run(self, attempt: Callable[[], _Result]) -> _Result:
        """Run a request, and retry it where that is safe.

        A request that is refused for load is retried for up to RETRY_SECONDS. A request that
        fails within this time is retried once, if that is safe. Waits have full jitter.

        Args:
            attempt: Makes one attempt. It raises Overloaded or AttemptFailed, or any other error
                if the dependency answered.

        Returns:
            The result of the attempt that succeeded.

        Raises:
            ServiceUnavailable: The circuit is open, the event's budget is used up, or the last
                attempt failed.
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
                if isinstance(failure, AttemptFailed):
                    self._breaker.failed()
                raise unavailable() from failure
            self._sleep(wait_seconds)
            delay_seconds = min(2 * delay_seconds, LONGEST_DELAY_SECONDS)
