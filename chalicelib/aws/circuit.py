"""A circuit breaker, which stops requests to a dependency that keeps failing."""

import math
import threading
import time
from collections.abc import Callable
from typing import Final

from chalicelib import telemetry
from chalicelib.errors import unavailable

FAILURES_TO_OPEN: Final = 3
"""Failures in a row after which the circuit opens."""

OPEN_SECONDS: Final = 5.0
"""Time for which an open circuit refuses all requests."""


class CircuitBreaker:
    """Refuses requests to a dependency that does not answer.

    The circuit is closed, open, or half-open for one trial request. It is thread-safe. Each
    process has its own circuit, so each Lambda environment detects an outage for itself.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.time) -> None:
        """Create a closed circuit.

        Args:
            name: The dependency's name in the log.
            clock: A wall clock in seconds. The monotonic clock can stop while Lambda freezes the
                process, and the circuit would then stay open for hundreds of short events.

        Source: hashicorp/vault-lambda-extension, pull request 150; mbeher2200/DarkHours, pull
        request 204.
        """
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._half_open_at = -math.inf

    def check(self) -> None:
        """Check that a request may start, and make it the trial if the circuit is half-open.

        Raises:
            ServiceUnavailable: The circuit is open.
        """
        with self._lock:
            if self._failures < FAILURES_TO_OPEN:
                return
            remaining_seconds = self._half_open_at - self._clock()
            # A longer time means that the clock was set back.
            if 0 < remaining_seconds <= OPEN_SECONDS:
                raise unavailable(remaining_seconds)
            self._half_open_at = self._clock() + OPEN_SECONDS  # This caller makes the trial.

    def succeeded(self) -> None:
        """Record that the dependency answered, which closes the circuit."""
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        """Record a failure, which opens the circuit if it is the third in a row or a trial."""
        with self._lock:
            self._failures += 1
            is_opening = self._failures == FAILURES_TO_OPEN
            if self._failures >= FAILURES_TO_OPEN:
                self._half_open_at = self._clock() + OPEN_SECONDS
        if is_opening:
            telemetry.log_warning("circuit opened", dependency=self._name)
            telemetry.put_metrics(CircuitOpen=1)
