"""The scheduler, which invokes the application's scheduled functions as EventBridge does."""

from asyncio import TimerHandle
from functools import partial
from typing import Any

from local_gateway import events
from local_gateway.application import Schedule
from local_gateway.async_invocation import log_invocation
from local_gateway.clock import now
from local_gateway.gateway import Gateway

MAX_WAIT_SECONDS = 60
"""Interval at which a timer reads the clock again, which can jump or stop while the machine sleeps.
"""


class Scheduler:
    """Invokes scheduled functions. Uses one timer per schedule on the event loop.

    A function is invoked when it is due, even if its previous invocation is still running.
    Invocations that were missed, because the machine was asleep, are skipped. None start after the
    gateway begins to stop.
    """

    def __init__(self, gateway: Gateway) -> None:
        """Start without schedules; `restart` loads them."""
        self._gateway = gateway
        self._started_at = int(now())
        self._timers: dict[str, TimerHandle] = {}

    def restart(self) -> None:
        """Replace the schedules with those of the current application.

        Rates are still counted from the start of the gateway. Otherwise frequent reloads would
        postpone them forever.
        """
        self.stop()
        for schedule in self._gateway.application.schedules:
            self._schedule_next(schedule, now())

    def stop(self) -> None:
        """Cancel all timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _schedule_next(self, schedule: Schedule, moment: float) -> None:
        due_at = schedule.expression.next_after(moment, self._started_at)
        if not self._gateway.is_stopping:
            self._wait(schedule, due_at)

    def _wait(self, schedule: Schedule, due_at: float) -> None:
        real_seconds = max(0.0, due_at - now()) / self._gateway.clock_rate
        self._timers[schedule.function.name] = self._gateway.loop.call_later(
            min(real_seconds, MAX_WAIT_SECONDS), self._run_if_due, schedule, due_at
        )

    def _run_if_due(self, schedule: Schedule, due_at: float) -> None:
        moment = now()
        if moment < due_at:
            self._wait(schedule, due_at)
        elif not self._gateway.is_stopping:
            self._run(schedule, due_at)
            self._schedule_next(schedule, moment)

    def _run(self, schedule: Schedule, due_at: float) -> None:
        gateway, function = self._gateway, schedule.function
        event = events.scheduled_event(gateway.api, schedule.rule_name, due_at)
        done = partial(self._finished, schedule, gateway.loop.time())
        gateway.run(function, event, function.timeout_seconds, done)

    def _finished(
        self, schedule: Schedule, started: float, _result: Any, error: BaseException | None
    ) -> None:
        log_invocation(self._gateway, f"schedule {schedule.function.name}", started, error)
