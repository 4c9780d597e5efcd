"""Requests that fail: what is tried again and for how long, and when nothing is tried."""

import json
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from chalicelib import telemetry
from chalicelib.circuit import FAILURES_TO_OPEN, OPEN_SECONDS, CircuitBreaker
from chalicelib.errors import ServiceUnavailable
from chalicelib.resilience import LONGEST_DELAY_SECONDS, RETRY_SECONDS, Guard, event_budget
from chalicelib.store import Store
from tests.unit.fakes import Clock, scan

WAIT_SECONDS = 10

CONFLICT = {"Code": "TransactionConflict"}
NONE = {"Code": "None"}
FAILED = {"Code": "ConditionalCheckFailed"}
THROTTLED = {"Code": "ThrottlingError"}


def aws_error(code: str, *reasons: dict[str, str], status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "x"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    if reasons:
        response["CancellationReasons"] = list(reasons)
    return ClientError(response, "UpdateItem")


LOST = ReadTimeoutError(endpoint_url="x")
BROKEN = aws_error("InternalServerError")
BUSY = aws_error("ThrottlingException")


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
def guard(clock: Clock, naps: Naps) -> Guard:
    """A guard whose waits are as long as they may be."""
    return Guard(
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


@pytest.mark.parametrize(
    "code",
    [
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    ],
)
def test_what_is_refused_for_load_all_the_time_is_given_up_within_three_seconds(
    guard: Guard, clock: Clock, naps: Naps, code: str
) -> None:
    dependency = Dependency(aws_error(code))
    began_at = clock()
    assert refusal(lambda: guard.run(dependency)).retry_after_seconds == 2
    assert clock() - began_at <= RETRY_SECONDS
    assert naps.seconds == [0.05, 0.1, 0.2, 0.4, 0.8, LONGEST_DELAY_SECONDS]
    assert dependency.asked == len(naps.seconds) + 1


def test_what_is_refused_for_load_for_a_moment_is_answered_in_the_end(guard: Guard) -> None:
    dependency = Dependency(BUSY, BUSY, "done")
    assert guard.run(dependency) == "done"
    assert dependency.asked == 3


def test_waits_have_full_jitter(clock: Clock, naps: Naps) -> None:
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    Guard("store", clock, naps, uniform).run(Dependency(BUSY, BUSY, BUSY, "done"))
    assert asked == [(0, 0.05), (0, 0.1), (0, 0.2)]
    assert naps.seconds == [0, 0, 0]


@pytest.mark.parametrize(
    "reasons",
    [(CONFLICT, NONE), (NONE, CONFLICT), (CONFLICT, CONFLICT), (THROTTLED, NONE), (CONFLICT, {})],
)
def test_a_transaction_in_anothers_way_is_tried_again(
    guard: Guard, reasons: tuple[dict[str, str], ...]
) -> None:
    dependency = Dependency(aws_error("TransactionCanceledException", *reasons), "done")
    assert guard.run(dependency) == "done"


@pytest.mark.parametrize(
    "reasons", [(CONFLICT, FAILED), (FAILED, THROTTLED), (FAILED, NONE), ({"Code": "Other"}, NONE)]
)
def test_a_transaction_whose_condition_failed_is_not_tried_again_whatever_else_was_wrong(
    guard: Guard, reasons: tuple[dict[str, str], ...]
) -> None:
    dependency = Dependency(aws_error("TransactionCanceledException", *reasons), "done")
    with pytest.raises(ClientError):
        guard.run(dependency)
    assert dependency.asked == 1


FAILURES = [
    *(LOST, ConnectTimeoutError(endpoint_url="x"), BROKEN),
    *(aws_error(code) for code in ("ServiceUnavailable", "ServiceUnavailableException")),
    *(aws_error(str(status), status=status) for status in (500, 502, 503, 504, 599)),
    *(aws_error(code, status=500) for code in ("", "ThrottlingException", "Unknown")),
]


@pytest.mark.parametrize("end", FAILURES, ids=repr)
def test_what_may_have_been_done_is_not_repeated(guard: Guard, end: Exception) -> None:
    dependency = Dependency(end, "done")
    assert refusal(lambda: guard.run(dependency)).retry_after_seconds == 2
    assert dependency.asked == 1


@pytest.mark.parametrize("end", FAILURES, ids=repr)
def test_a_failure_of_the_service_counts_for_the_circuit(guard: Guard, end: Exception) -> None:
    dependency = Dependency(end)
    for _ in range(FAILURES_TO_OPEN + 1):
        refusal(lambda: guard.run(dependency))
    assert dependency.asked == FAILURES_TO_OPEN


@pytest.mark.parametrize(
    "end",
    [aws_error("ConditionalCheckFailedException"), aws_error("ValidationException"), KeyError()],
)
def test_an_answer_that_is_no_failure_of_the_service_comes_through(
    guard: Guard, end: Exception
) -> None:
    dependency = Dependency(end)
    for _ in range(2 * FAILURES_TO_OPEN):
        with pytest.raises(type(end)):
            guard.run(dependency)
    assert dependency.asked == 2 * FAILURES_TO_OPEN


def test_a_count_whose_answer_was_lost_is_not_sent_again(
    dynamodb: Any, clock: Clock, naps: Naps, session_id: str
) -> None:
    def lose(**_: Any) -> None:
        raise LOST

    store = Store(dynamodb, dynamodb, "sessions", "connections", clock, Guard("store", clock, naps))
    dynamodb.meta.events.register("after-call.dynamodb.UpdateItem", lose)
    refusal(lambda: store.count_in(session_id, "es", None, 3))
    (session,) = scan(dynamodb, "sessions")
    assert session["listenerCount"] == {"N": "1"}


# The circuit


def trip(guard: Guard) -> None:
    for _ in range(FAILURES_TO_OPEN):
        refusal(lambda: guard.run(Dependency(LOST)))


def test_after_three_failures_nothing_is_asked_and_the_answer_is_at_once(
    guard: Guard, clock: Clock, naps: Naps
) -> None:
    trip(guard)
    clock.now += 1.5
    dependency = Dependency("done")
    assert refusal(lambda: guard.run(dependency)).retry_after_seconds == 4  # 3.5, rounded up
    assert dependency.asked == 0
    assert naps.seconds == []


def test_two_failures_do_not_open_the_circuit_and_a_success_forgets_them(guard: Guard) -> None:
    for _ in range(3):
        for _ in range(FAILURES_TO_OPEN - 1):
            refusal(lambda: guard.run(Dependency(BROKEN)))
        assert guard.run(Dependency("done")) == "done"


def test_throttling_opens_no_circuit(guard: Guard) -> None:
    for _ in range(2 * FAILURES_TO_OPEN):
        refusal(lambda: guard.run(Dependency(BUSY)))
    assert guard.run(Dependency("done")) == "done"


def test_the_trial_that_fails_opens_the_circuit_again(guard: Guard, clock: Clock) -> None:
    trip(guard)
    clock.now += OPEN_SECONDS
    trial, next_one = Dependency(LOST), Dependency("done")
    refusal(lambda: guard.run(trial))
    clock.now += OPEN_SECONDS - 0.1
    refusal(lambda: guard.run(next_one))
    assert (trial.asked, next_one.asked) == (1, 0)
    clock.now += 0.1
    assert guard.run(next_one) == "done"


def test_the_trial_is_one_callers_alone(guard: Guard, clock: Clock) -> None:
    trip(guard)
    clock.now += OPEN_SECONDS
    other = Dependency("done")

    def trial() -> str:
        refusal(lambda: guard.run(other))
        return "done"

    assert guard.run(trial) == "done"
    assert other.asked == 0
    assert guard.run(other) == "done"


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


def test_a_failed_condition_closes_the_circuit_since_the_service_answers(
    guard: Guard, clock: Clock
) -> None:
    trip(guard)
    clock.now += OPEN_SECONDS
    with pytest.raises(ClientError):
        guard.run(Dependency(aws_error("ConditionalCheckFailedException")))
    assert guard.run(Dependency("done")) == "done"


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
    guard: Guard, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("INFO")
    trip(guard)
    clock.now += OPEN_SECONDS
    refusal(lambda: guard.run(Dependency(LOST)))
    line, counted = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["level"], line["message"]) == ("WARNING", "circuit opened")
    assert counted["CircuitOpen"] == 1


# The budget of an event


def test_no_request_begins_after_the_budget_of_its_event(guard: Guard, clock: Clock) -> None:
    dependency = Dependency("done")
    with event_budget(20, clock):
        clock.now += 19.9
        assert guard.run(dependency) == "done"
        clock.now += 0.1
        refusal(lambda: guard.run(dependency))
    assert dependency.asked == 1
    assert guard.run(dependency) == "done"


def test_retries_end_with_the_budget(guard: Guard, clock: Clock) -> None:
    dependency = Dependency(BUSY)
    began_at = clock()
    with event_budget(0.5, clock):
        refusal(lambda: guard.run(dependency))
    assert clock() - began_at <= 0.5
    assert dependency.asked == 4
