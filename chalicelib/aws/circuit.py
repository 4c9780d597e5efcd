"""A circuit breaker, which stops requests to a dependency that keeps failing."""

import math
import threading
import time
from collections.abc import Callable
from typing import Final

from chalicelib import telemetry
from chalicelib.errors import unavailable

FAILURES_TO_OPEN: Final = 3
OPEN_SECONDS: Final = 5.0


class CircuitBreaker:
    """Stops asking a dependency that does not answer: closed, open, or half open for one trial.

    Thread-safe. Its state is the process's own: each of Lambda's finds out for itself.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.time) -> None:
        """Start closed.

        `clock` is the wall's: the monotonic clock can stand still while Lambda freezes the
        process, and the circuit would stay open for hundreds of short events. Source:
        hashicorp/vault-lambda-extension, pull request 150; mbeher2200/DarkHours, pull request 204.
        """
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._opens_again_at = -math.inf

    def check(self) -> None:
        """Raises: ServiceUnavailable while the circuit is open."""
        with self._lock:
            if self._failures < FAILURES_TO_OPEN:
                return
            remaining_seconds = self._opens_again_at - self._clock()
            if 0 < remaining_seconds <= OPEN_SECONDS:  # More than that: the clock was set back.
                raise unavailable(remaining_seconds)
            self._opens_again_at = self._clock() + OPEN_SECONDS  # this caller is the trial

    def succeeded(self) -> None:
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            is_opening = self._failures == FAILURES_TO_OPEN
            if self._failures >= FAILURES_TO_OPEN:
                self._opens_again_at = self._clock() + OPEN_SECONDS
        if is_opening:
            telemetry.log_warning("circuit opened", dependency=self._name)
            telemetry.put_metrics(CircuitOpen=1)
