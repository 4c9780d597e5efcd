"""The scheduler alone, with a fake clock and a fake event loop."""

from types import SimpleNamespace
from typing import Any

import pytest

from local_gateway import scheduler
from local_gateway.application import Schedule
from local_gateway.events import Api
from local_gateway.functions import Function
from local_gateway.schedule_expression import Cron, Rate

START = 1_700_000_000.5


class Loop:
    """Timers that tests fire."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Any]] = []

    def time(self) -> float:
        return 0

    def call_later(self, seconds: float, callback: Any, *arguments: Any) -> Any:
        timer = (seconds, lambda: callback(*arguments))
        self.timers.append(timer)
        return SimpleNamespace(cancel=lambda: self.timers.remove(timer))

    def fire(self) -> None:
        fired, self.timers = self.timers, []
        for _seconds, callback in fired:
            callback()


class Gateway:
    """The part of the gateway that the scheduler uses."""

    def __init__(self, expression: Rate | Cron, clock_rate: float = 1) -> None:
        function = Function("x-local-clean_up", "clean_up", print, 60, 128)
        self.application = SimpleNamespace(schedules=(Schedule(function, expression),))
        self.api = Api("local")
        self.loop = Loop()
        self.clock_rate = clock_rate
        self.is_stopping = False
        self.times: list[str] = []

    def run(self, _function: Function, event: Any, _timeout_seconds: float, _done: Any) -> None:
        self.times.append(event["time"])


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(scheduler, "now", clock)
    return clock


def start(gateway: Gateway) -> scheduler.Scheduler:
    started = scheduler.Scheduler(gateway)
    started.restart()
    return started


def test_nothing_runs_or_is_scheduled_after_the_server_stops(clock: Clock) -> None:
    gateway = Gateway(Rate(60))
    start(gateway)
    clock.now += 60
    gateway.is_stopping = True
    gateway.loop.fire()
    assert (gateway.times, gateway.loop.timers) == ([], [])


def test_stop_cancels_the_timers(clock: Clock) -> None:
    gateway = Gateway(Rate(60))
    start(gateway).stop()
    assert gateway.loop.timers == []


def test_an_early_timer_waits_for_the_rest_of_the_time(clock: Clock) -> None:
    gateway = Gateway(Rate(60))
    start(gateway)
    clock.now += 59
    gateway.loop.fire()
    assert gateway.times == []
    assert [seconds for seconds, _ in gateway.loop.timers] == [0.5]


def test_missed_runs_are_skipped(clock: Clock) -> None:
    gateway = Gateway(Rate(60))
    start(gateway)
    clock.now += 605
    gateway.loop.fire()
    assert gateway.times == ["2023-11-14T22:14:20Z"]
    assert [seconds for seconds, _ in gateway.loop.timers] == [54.5]


def test_a_faster_clock_shortens_the_wait(clock: Clock) -> None:
    gateway = Gateway(Rate(3600), clock_rate=100)
    start(gateway)
    assert [seconds for seconds, _ in gateway.loop.timers] == [35.995]


def test_a_long_wait_checks_the_clock_regularly(clock: Clock) -> None:
    gateway = Gateway(Rate(86400))
    start(gateway)
    assert [seconds for seconds, _ in gateway.loop.timers] == [scheduler.MAX_WAIT_SECONDS]


def test_a_reload_does_not_restart_the_interval(clock: Clock) -> None:
    gateway = Gateway(Rate(60))
    started = start(gateway)
    clock.now += 59
    started.restart()
    assert [seconds for seconds, _ in gateway.loop.timers] == [0.5]
