"""Lambda's asynchronous invocation, with its queue's retries and duplicates.

A function's own errors aren't retried. Lambda retries them as configured for the function, by
default after one and after two minutes.

Source: Lambda developer guide, "invocation-async-error-handling".
"""

import json
from functools import partial
from typing import Any

from local_gateway.faults import Throttled
from local_gateway.functions import Function
from local_gateway.gateway import Gateway

FIRST_RETRY_SECONDS = 1
"""Wait before the first retry of a throttled invocation. It doubles with each retry."""

MAX_RETRY_SECONDS = 300
"""Longest wait before a retry of a throttled invocation."""

MAX_AGE_SECONDS = 6 * 3600
"""Age at which the queue drops an invocation."""


class AsyncInvocation:
    """An invocation in Lambda's queue. Its times are those of the application's clock."""

    def __init__(self, gateway: Gateway, function: Function, payload: bytes) -> None:
        """Prepare the invocation; `start` begins it.

        Args:
            gateway: The gateway.
            function: The function.
            payload: The event as JSON. Each run gets an event of its own.
        """
        self._gateway = gateway
        self._function = function
        self._payload = payload

    def start(self) -> None:
        """Invoke the function, or invoke it twice if a fault duplicates the event."""
        injector = self._gateway.fault_injector
        is_twice = injector.selects(injector.faults.invocation_twice_share)
        for _ in range(2 if is_twice else 1):
            self._run(0, FIRST_RETRY_SECONDS)

    def _run(self, age_seconds: float, retry_seconds: float) -> None:
        done = partial(self._finished, age_seconds, retry_seconds, self._gateway.loop.time())
        event = json.loads(self._payload)
        self._gateway.run(self._function, event, self._function.timeout_seconds, done)

    def _finished(
        self,
        age_seconds: float,
        retry_seconds: float,
        started: float,
        _result: Any,
        error: BaseException | None,
    ) -> None:
        log_invocation(self._gateway, f"lambda {self._function.name}", started, error)
        age_seconds += retry_seconds
        if isinstance(error, Throttled) and age_seconds < MAX_AGE_SECONDS:
            next_seconds = min(2 * retry_seconds, MAX_RETRY_SECONDS)
            retry = partial(self._retry, age_seconds, next_seconds)
            self._gateway.call_late(retry_seconds, retry)

    def _retry(self, age_seconds: float, retry_seconds: float) -> None:
        """Run again, unless the gateway is stopping."""
        if not self._gateway.is_stopping:
            self._run(age_seconds, retry_seconds)


def log_invocation(
    gateway: Gateway, name: str, started: float, error: BaseException | None
) -> None:
    """Log the end of an invocation that belongs to no connection."""
    if isinstance(error, Throttled):
        gateway.log.repeated(name, "throttled", started)
        return
    gateway.log.event(None, name, "ok" if error is None else "failed", started)
    if error is not None:
        gateway.log.error(f"{name} failed", error)
