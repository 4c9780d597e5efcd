"""Requests to DynamoDB that fail: which are retried, and for how long.

botocore's standard mode repeats what was lost on the way. Here stands what it leaves out or gives
up too early: throttling, transactions in each other's way, and a budget for a whole event.
"""

import functools
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, ParamSpec, TypeVar

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from chalicelib.circuit import CircuitBreaker, unavailable

EVENT_SECONDS: Final = 20
"""In which an event may begin requests. One takes 5 s at worst, so that its answer still comes
within the 29 s that API Gateway waits. Source: "WebSocket API quotas" (integration timeout).
"""

RETRY_SECONDS: Final = 3.0
"""How long one request is tried again while it is throttled."""

FIRST_DELAY_SECONDS: Final = 0.05
LONGEST_DELAY_SECONDS: Final = 1.0

# Refused before anything was done, so that even a counter may be tried again.
# Source: "Error handling with DynamoDB" and TransactWriteItems, Amazon DynamoDB.
_REFUSED: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_CANCELLED_BY_LOAD: Final = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)
_BROKEN: Final = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)
"""Failures of the service by name; most have a status of 500 or above, too."""

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")
_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)
_budget_clock: ContextVar[Callable[[], float]] = ContextVar("budget_clock", default=time.monotonic)


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


class Guard:
    """Runs the requests to one dependency."""

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

    def run(self, request: Callable[[], _Result]) -> _Result:
        """Run a request, again with backoff and full jitter while it is refused for load.

        What was lost on the way is not repeated here: it may have been done.

        Raises: ServiceUnavailable; whatever else the request raises.
        """
        give_up_at = self._clock() + min(RETRY_SECONDS, seconds_left())
        delay_seconds = FIRST_DELAY_SECONDS
        while True:
            if seconds_left() <= 0:
                raise unavailable()
            self._breaker.check()
            try:
                result = self._try(request)
            except _Overloaded as error:
                wait_seconds = self._uniform(0, delay_seconds)
                if self._clock() + wait_seconds >= give_up_at:
                    raise unavailable() from error
                self._sleep(wait_seconds)
                delay_seconds = min(2 * delay_seconds, LONGEST_DELAY_SECONDS)
            else:
                return result

    def _try(self, request: Callable[[], _Result]) -> _Result:
        """Raises: _Overloaded, ServiceUnavailable."""
        try:
            result = request()
        except (BotoConnectionError, HTTPClientError) as error:
            self._breaker.failed()
            raise unavailable() from error
        except ClientError as error:
            if _is_broken(error):
                self._breaker.failed()
                raise unavailable() from error
            if _is_refused_for_load(error):
                raise _Overloaded from error
            self._breaker.succeeded()
            raise
        except Exception:
            self._breaker.succeeded()
            raise
        self._breaker.succeeded()
        return result


class _Overloaded(Exception):
    """The request was refused for load; nothing was done."""


def guarded(method: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Run a method, which makes one request or harmlessly repeats its own, under `self.guard`."""

    @functools.wraps(method)
    def run(*arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
        guard: Guard = arguments[0].guard  # type: ignore[attr-defined]
        return guard.run(lambda: method(*arguments, **named))

    return run


def _is_broken(error: ClientError) -> bool:
    """Say whether the service has failed, whatever it or a proxy before it says in which form."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or error.response["Error"]["Code"] in _BROKEN


def _is_refused_for_load(error: ClientError) -> bool:
    code = error.response["Error"]["Code"]
    if code != "TransactionCanceledException":
        return code in _REFUSED
    # One reason an item, "None" for an item that would have been written.
    reasons = {each.get("Code", "None") for each in error.response.get("CancellationReasons", [])}
    return bool(reasons & _CANCELLED_BY_LOAD) and "ConditionalCheckFailed" not in reasons
