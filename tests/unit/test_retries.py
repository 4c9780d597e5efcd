"""Retries, the circuit breaker and the budget of an event."""

import json
import threading
from collections.abc import Callable
from functools import partial

import pytest

from chalicelib import telemetry
from chalicelib.aws.circuit import FAILURES_TO_OPEN, OPEN_SECONDS, CircuitBreaker
from chalicelib.aws.retries import (
    ATTEMPTS,
    LONGEST_DELAY_SECONDS,
    RETRY_SECONDS,
    AttemptFailed,
    Overloaded,
    Retries,
    event_budget,
)
from chalicelib.errors import ServiceUnavailable
from tests.unit.fakes import Clock

WAIT_SECONDS = 10

LOST = AttemptFailed("no answer", may_repeat=False)
UNSENT = AttemptFailed("no answer", may_repeat=True)
BUSY = Overloaded()


class Refusal(Exception):
    """An error that is an answer, not a failure of the service."""


class Dependency:
    """Returns or raises its results in order, and repeats the last."""

    def __init__(self, *results: Exception | str) -> None:
        self.results = list(results)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Exception):
            raise result
        return result


class Sleep:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self._clock.now += seconds


@pytest.fixture
def sleep(clock: Clock) -> Sleep:
    return Sleep(clock)


@pytest.fixture
def retries(clock: Clock, sleep: Sleep) -> Retries:
    """Return retries whose waits are as long as possible."""
    return Retries(
        "store",
        clock,
        sleep,
        uniform=lambda _low, high: high,
        breaker=CircuitBreaker("store", clock),
    )


def refusal(run: Callable[[], object]) -> ServiceUnavailable:
    with pytest.raises(ServiceUnavailable) as caught:
        run()
    assert caught.value.retry_after_seconds is not None
    return caught.value


# Retries


def test_a_request_that_stays_throttled_fails_within_three_seconds(
    retries: Retries, clock: Clock, sleep: Sleep
) -> None:
    dependency = Dependency(BUSY)
    began_at = clock()
    assert refusal(lambda: retries.run(dependency)).retry_after_seconds == 2
    assert clock() - began_at <= RETRY_SECONDS
    assert sleep.seconds == [0.05, 0.1, 0.2, 0.4, 0.8, LONGEST_DELAY_SECONDS]
    assert dependency.calls == len(sleep.seconds) + 1


def test_a_briefly_throttled_request_succeeds(retries: Retries) -> None:
    dependency = Dependency(BUSY, BUSY, "done")
    assert retries.run(dependency) == "done"
    assert dependency.calls == 3


def test_waits_have_full_jitter(clock: Clock, sleep: Sleep) -> None:
    ranges: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        ranges.append((low, high))
        return low

    Retries("store", clock, sleep, uniform).run(Dependency(BUSY, BUSY, BUSY, "done"))
    assert ranges == [(0, 0.05), (0, 0.1), (0, 0.2)]
    assert sleep.seconds == [0, 0, 0]


def test_a_failed_request_is_retried_once_if_it_is_repeatable(
    retries: Retries, sleep: Sleep
) -> None:
    dependency = Dependency(UNSENT, "done")
    assert retries.run(dependency) == "done"
    assert sleep.seconds == [0.05]
    dependency = Dependency(UNSENT, UNSENT, "done")
    assert refusal(lambda: retries.run(dependency)).retry_after_seconds == 2
    assert dependency.calls == ATTEMPTS


def test_a_request_that_is_not_repeatable_is_not_retried(retries: Retries) -> None:
    dependency = Dependency(LOST, "done")
    assert refusal(lambda: retries.run(dependency)).retry_after_seconds == 2
    assert dependency.calls == 1


@pytest.mark.parametrize(("failure", "attempts"), [(LOST, 1), (UNSENT, ATTEMPTS)])
def test_a_failed_request_counts_once_for_the_circuit(
    retries: Retries, failure: Exception, attempts: int
) -> None:
    dependency = Dependency(failure)
    for _ in range(FAILURES_TO_OPEN + 1):
        refusal(lambda: retries.run(dependency))
    assert dependency.calls == FAILURES_TO_OPEN * attempts


def test_slow_failures_are_not_retried_and_open_the_circuit(retries: Retries, clock: Clock) -> None:
    class Slow(Dependency):
        def __call__(self) -> str:
            clock.now += RETRY_SECONDS
            return super().__call__()

    slow = Slow(UNSENT)
    for _ in range(FAILURES_TO_OPEN + 1):
        with pytest.raises(ServiceUnavailable):
            retries.run(slow)
    assert slow.calls == FAILURES_TO_OPEN


def test_an_error_that_is_an_answer_is_raised(retries: Retries) -> None:
    dependency = Dependency(Refusal())
    for _ in range(2 * FAILURES_TO_OPEN):
        with pytest.raises(Refusal):
            retries.run(dependency)
    assert dependency.calls == 2 * FAILURES_TO_OPEN


# The circuit


def trip(retries: Retries) -> None:
    for _ in range(FAILURES_TO_OPEN):
        refusal(lambda: retries.run(Dependency(LOST)))


def test_after_three_failures_requests_fail_at_once(
    retries: Retries, clock: Clock, sleep: Sleep
) -> None:
    trip(retries)
    clock.now += 1.5
    dependency = Dependency("done")
    assert refusal(lambda: retries.run(dependency)).retry_after_seconds == 4  # 3.5, rounded up.
    assert dependency.calls == 0
    assert sleep.seconds == []


def test_a_success_after_two_failures_resets_the_circuit(retries: Retries) -> None:
    for _ in range(3):
        for _ in range(FAILURES_TO_OPEN - 1):
            refusal(lambda: retries.run(Dependency(LOST)))
        assert retries.run(Dependency("done")) == "done"


def test_throttling_does_not_open_the_circuit(retries: Retries) -> None:
    for _ in range(2 * FAILURES_TO_OPEN):
        refusal(lambda: retries.run(Dependency(BUSY)))
    assert retries.run(Dependency("done")) == "done"


def test_a_failed_trial_opens_the_circuit_again(retries: Retries, clock: Clock) -> None:
    trip(retries)
    clock.now += OPEN_SECONDS
    trial, next_one = Dependency(LOST), Dependency("done")
    refusal(lambda: retries.run(trial))
    clock.now += OPEN_SECONDS - 0.1
    refusal(lambda: retries.run(next_one))
    assert (trial.calls, next_one.calls) == (1, 0)
    clock.now += 0.1
    assert retries.run(next_one) == "done"


def test_only_one_caller_makes_the_trial(retries: Retries, clock: Clock) -> None:
    trip(retries)
    clock.now += OPEN_SECONDS
    other = Dependency("done")

    def trial() -> str:
        refusal(lambda: retries.run(other))
        return "done"

    assert retries.run(trial) == "done"
    assert other.calls == 0
    assert retries.run(other) == "done"


def test_another_caller_makes_a_trial_if_the_first_never_ends(clock: Clock) -> None:
    breaker = CircuitBreaker("store", clock)
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed()
    clock.now += OPEN_SECONDS
    breaker.check()
    refusal(breaker.check)
    clock.now += OPEN_SECONDS
    breaker.check()


def test_a_clock_that_was_set_back_does_not_delay_the_trial(clock: Clock) -> None:
    breaker = CircuitBreaker("store", clock)
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed()
    clock.now -= 3600
    breaker.check()
    refusal(breaker.check)


def test_a_refusal_closes_the_circuit(retries: Retries, clock: Clock) -> None:
    trip(retries)
    clock.now += OPEN_SECONDS
    with pytest.raises(Refusal):
        retries.run(Dependency(Refusal()))
    assert retries.run(Dependency("done")) == "done"


def test_one_of_many_threads_makes_the_trial(clock: Clock) -> None:
    breaker = CircuitBreaker("store", clock)
    threads_ready = threading.Barrier(16, timeout=WAIT_SECONDS)
    passed: list[int] = []

    def fail() -> None:
        threads_ready.wait()
        breaker.failed()

    def try_once(number: int) -> None:
        threads_ready.wait()
        try:
            breaker.check()
        except ServiceUnavailable:
            return
        passed.append(number)

    run_all([fail] * 16)
    clock.now += OPEN_SECONDS
    run_all([partial(try_once, number) for number in range(16)])
    assert len(passed) == 1


def run_all(work: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SECONDS)


def test_an_opened_circuit_is_logged_once(
    retries: Retries, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("INFO")
    trip(retries)
    clock.now += OPEN_SECONDS
    refusal(lambda: retries.run(Dependency(LOST)))
    line, counted = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["level"], line["message"]) == ("WARNING", "circuit opened")
    assert counted["CircuitOpen"] == 1


# The budget of an event


def test_no_request_starts_after_the_events_budget(retries: Retries, clock: Clock) -> None:
    dependency = Dependency("done")
    with event_budget(20, clock):
        clock.now += 19.9
        assert retries.run(dependency) == "done"
        clock.now += 0.1
        refusal(lambda: retries.run(dependency))
    assert dependency.calls == 1
    assert retries.run(dependency) == "done"


def test_retries_end_with_the_budget(retries: Retries, clock: Clock) -> None:
    dependency = Dependency(BUSY)
    began_at = clock()
    with event_budget(0.5, clock):
        refusal(lambda: retries.run(dependency))
    assert clock() - began_at <= 0.5
    assert dependency.calls == 4
