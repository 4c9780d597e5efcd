"""The application's scheduled functions, run when they are due, as EventBridge runs them."""

from asyncio import TimerHandle
from functools import partial
from typing import Any

from devserver import events
from devserver.application import Schedule
from devserver.clock import now
from devserver.gateway import Gateway

MAX_WAIT_SECONDS = 60
"""After so long it looks at the clock again: it may have been set, or the machine been asleep."""


class Scheduler:
    """A timer for each of the application's schedules; all on the event loop.

    A function is started when it is due, whether or not it has ended since the last time. What
    was missed (the machine was asleep) is not made up for. Nothing starts once the gateway stops.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._started_at = int(now())
        self._timers: dict[str, TimerHandle] = {}

    def restart(self) -> None:
        """Take the application's schedules in the place of those before.

        A rate is counted from the server's start all the same: else none would ever come due
        while a developer saves his files.
        """
        self.stop()
        for schedule in self._gateway.application.schedules:
            self._expect(schedule, now())

    def stop(self) -> None:
        """Start nothing any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _expect(self, schedule: Schedule, moment: float) -> None:
        due_at = schedule.expression.next_after(moment, self._started_at)
        if due_at is not None and not self._gateway.is_stopping:
            self._wait(schedule, due_at)

    def _wait(self, schedule: Schedule, due_at: float) -> None:
        real_seconds = max(0.0, due_at - now()) / self._gateway.clock_rate
        self._timers[schedule.function.name] = self._gateway.loop.call_later(
            min(real_seconds, MAX_WAIT_SECONDS), self._look, schedule, due_at
        )

    def _look(self, schedule: Schedule, due_at: float) -> None:
        moment = now()
        if moment < due_at:
            self._wait(schedule, due_at)
        elif not self._gateway.is_stopping:
            self._run(schedule, due_at)
            self._expect(schedule, moment)

    def _run(self, schedule: Schedule, due_at: float) -> None:
        gateway, function = self._gateway, schedule.function
        event = events.scheduled_event(gateway.api, schedule.rule_name, due_at)
        done = partial(self._finished, schedule, gateway.loop.time())
        gateway.run(function, event, function.timeout_seconds, done)

    def _finished(
        self, schedule: Schedule, started: float, _result: Any, error: BaseException | None
    ) -> None:
        log, name = self._gateway.log, schedule.function.name
        log.event(None, f"schedule {name}", "ok" if error is None else "failed", started)
        if error is not None:
            log.error(f"schedule {name} failed", error)
