"""Requests that fail: what is tried again and for how long, and when nothing is tried."""

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


class Said(Exception):
    """An answer that is no failure of the service."""


class Dependency:
    """Answers with each of its ends in turn, and with the last for ever; counts how often."""

    def __init__(self, *ends: Exception | str) -> None:
        self.ends = list(ends)
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, Exception):
            raise end
        return end


class Naps:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self._clock.now += seconds


@pytest.fixture
def naps(clock: Clock) -> Naps:
    return Naps(clock)


@pytest.fixture
def retries(clock: Clock, naps: Naps) -> Retries:
    """Return retries whose waits are as long as they may be."""
    return Retries(
        "store",
        clock,
        naps,
        uniform=lambda _low, high: high,
        breaker=CircuitBreaker("store", clock),
    )


def refusal(run: Callable[[], object]) -> ServiceUnavailable:
    with pytest.raises(ServiceUnavailable) as caught:
        run()
    assert caught.value.retry_after_seconds is not None
    return caught.value


# What is tried again


def test_what_is_refused_for_load_all_the_time_is_given_up_within_three_seconds(
    retries: Retries, clock: Clock, naps: Naps
) -> None:
    dependency = Dependency(BUSY)
    began_at = clock()
    assert refusal(lambda: retries.run(dependency)).retry_after_seconds == 2
    assert clock() - began_at <= RETRY_SECONDS
    assert naps.seconds == [0.05, 0.1, 0.2, 0.4, 0.8, LONGEST_DELAY_SECONDS]
    assert dependency.asked == len(naps.seconds) + 1


def test_what_is_refused_for_load_for_a_moment_is_answered_in_the_end(retries: Retries) -> None:
    dependency = Dependency(BUSY, BUSY, "done")
    assert retries.run(dependency) == "done"
    assert dependency.asked == 3


def test_waits_have_full_jitter(clock: Clock, naps: Naps) -> None:
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    Retries("store", clock, naps, uniform).run(Dependency(BUSY, BUSY, BUSY, "done"))
    assert asked == [(0, 0.05), (0, 0.1), (0, 0.2)]
    assert naps.seconds == [0, 0, 0]


def test_a_failure_is_repeated_once_if_that_does_no_harm(retries: Retries, naps: Naps) -> None:
    dependency = Dependency(UNSENT, "done")
    assert retries.run(dependency) == "done"
    assert naps.seconds == [0.05]
    dependency = Dependency(UNSENT, UNSENT, "done")
    assert refusal(lambda: retries.run(dependency)).retry_after_seconds == 2
    assert dependency.asked == ATTEMPTS


def test_what_may_have_been_done_is_not_repeated(retries: Retries) -> None:
    dependency = Dependency(LOST, "done")
    assert refusal(lambda: retries.run(dependency)).retry_after_seconds == 2
    assert dependency.asked == 1


@pytest.mark.parametrize(("end", "asked"), [(LOST, 1), (UNSENT, ATTEMPTS)])
def test_a_request_that_fails_counts_once_for_the_circuit(
    retries: Retries, end: Exception, asked: int
) -> None:
    dependency = Dependency(end)
    for _ in range(FAILURES_TO_OPEN + 1):
        refusal(lambda: retries.run(dependency))
    assert dependency.asked == FAILURES_TO_OPEN * asked


def test_an_answer_that_is_no_failure_of_the_service_comes_through(retries: Retries) -> None:
    dependency = Dependency(Said())
    for _ in range(2 * FAILURES_TO_OPEN):
        with pytest.raises(Said):
            retries.run(dependency)
    assert dependency.asked == 2 * FAILURES_TO_OPEN


# The circuit


def trip(retries: Retries) -> None:
    for _ in range(FAILURES_TO_OPEN):
        refusal(lambda: retries.run(Dependency(LOST)))


def test_after_three_failures_nothing_is_asked_and_the_answer_is_at_once(
    retries: Retries, clock: Clock, naps: Naps
) -> None:
    trip(retries)
    clock.now += 1.5
    dependency = Dependency("done")
    assert refusal(lambda: retries.run(dependency)).retry_after_seconds == 4  # 3.5, rounded up
    assert dependency.asked == 0
    assert naps.seconds == []


def test_two_failures_do_not_open_the_circuit_and_a_success_forgets_them(retries: Retries) -> None:
    for _ in range(3):
        for _ in range(FAILURES_TO_OPEN - 1):
            refusal(lambda: retries.run(Dependency(LOST)))
        assert retries.run(Dependency("done")) == "done"


def test_throttling_opens_no_circuit(retries: Retries) -> None:
    for _ in range(2 * FAILURES_TO_OPEN):
        refusal(lambda: retries.run(Dependency(BUSY)))
    assert retries.run(Dependency("done")) == "done"


def test_the_trial_that_fails_opens_the_circuit_again(retries: Retries, clock: Clock) -> None:
    trip(retries)
    clock.now += OPEN_SECONDS
    trial, next_one = Dependency(LOST), Dependency("done")
    refusal(lambda: retries.run(trial))
    clock.now += OPEN_SECONDS - 0.1
    refusal(lambda: retries.run(next_one))
    assert (trial.asked, next_one.asked) == (1, 0)
    clock.now += 0.1
    assert retries.run(next_one) == "done"


def test_the_trial_is_one_callers_alone(retries: Retries, clock: Clock) -> None:
    trip(retries)
    clock.now += OPEN_SECONDS
    other = Dependency("done")

    def trial() -> str:
        refusal(lambda: retries.run(other))
        return "done"

    assert retries.run(trial) == "done"
    assert other.asked == 0
    assert retries.run(other) == "done"


def test_a_trial_that_never_ends_lets_another_try_later(clock: Clock) -> None:
    breaker = CircuitBreaker("store", clock)
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed()
    clock.now += OPEN_SECONDS
    breaker.check()
    refusal(breaker.check)
    clock.now += OPEN_SECONDS
    breaker.check()


def test_a_clock_that_was_set_back_holds_no_trial_up(clock: Clock) -> None:
    breaker = CircuitBreaker("store", clock)
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed()
    clock.now -= 3600
    breaker.check()
    refusal(breaker.check)


def test_a_refusal_closes_the_circuit_since_the_service_answers(
    retries: Retries, clock: Clock
) -> None:
    trip(retries)
    clock.now += OPEN_SECONDS
    with pytest.raises(Said):
        retries.run(Dependency(Said()))
    assert retries.run(Dependency("done")) == "done"


def test_of_many_threads_one_makes_the_trial(clock: Clock) -> None:
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


def test_no_request_begins_after_the_budget_of_its_event(retries: Retries, clock: Clock) -> None:
    dependency = Dependency("done")
    with event_budget(20, clock):
        clock.now += 19.9
        assert retries.run(dependency) == "done"
        clock.now += 0.1
        refusal(lambda: retries.run(dependency))
    assert dependency.asked == 1
    assert retries.run(dependency) == "done"


def test_retries_end_with_the_budget(retries: Retries, clock: Clock) -> None:
    dependency = Dependency(BUSY)
    began_at = clock()
    with event_budget(0.5, clock):
        refusal(lambda: retries.run(dependency))
    assert clock() - began_at <= 0.5
    assert dependency.asked == 4
