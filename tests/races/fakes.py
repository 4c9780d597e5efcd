"""What stands in for API Gateway, for time and for the network; all of it is safe among threads."""

import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from chalicelib.aws.connections import FanOut, Gone
from chalicelib.errors import ServiceError

LONGEST_LATENCY_SECONDS: Final = 0.04

Answer = dict[str, Any] | ServiceError
"""What a command comes to: its message, or its refusal."""


def latency(**_: object) -> None:
    """Take a request's time on the way: mostly little, sometimes much, so that others pass it."""
    time.sleep(random.random() ** 4 * LONGEST_LATENCY_SECONDS)


class Clock:
    """Stands still while anybody is at work, and is turned once they all nap."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._at_work = 0
        self._alarms: list[float] = []
        self._changed = threading.Condition()

    def __call__(self) -> float:
        return self._now

    def turn(self, seconds: float) -> None:
        with self._changed:
            assert self._at_work == 0, "somebody is still at work"
            self._now += seconds

    def sleep(self, seconds: float) -> None:
        with self._changed:
            alarm = self._now + seconds
            self._alarms.append(alarm)
            self._turn_if_all_nap()
            while self._now < alarm:
                self._changed.wait()
            self._alarms.remove(alarm)

    def work(self, tasks: Sequence[Callable[[], Any]]) -> list[Any]:
        """Run all tasks at once, each on a thread of its own. Returns what they return, or the
        refusal that they raise.
        """
        barrier = threading.Barrier(len(tasks))

        def run(task: Callable[[], Any]) -> Any:
            barrier.wait()
            try:
                return task()
            except ServiceError as refusal:
                return refusal
            finally:
                self._leave_work()

        self._at_work += len(tasks)
        with ThreadPoolExecutor(len(tasks)) as threads:
            return [each.result() for each in [threads.submit(run, task) for task in tasks]]

    def _leave_work(self) -> None:
        with self._changed:
            self._at_work -= 1
            self._turn_if_all_nap()

    def _turn_if_all_nap(self) -> None:
        pending = [alarm for alarm in self._alarms if alarm > self._now]
        if pending and len(pending) >= self._at_work:
            self._now = min(pending)
            self._changed.notify_all()


class Connections:
    """Knows which connections are open, and keeps what was posted to them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[str] = set()
        self._closed: set[str] = set()
        self._inbox: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def open(self, connection_id: str) -> None:
        """Open a connection, unless it was open before: its id does not come again."""
        with self._lock:
            if connection_id not in self._closed:
                self._open.add(connection_id)

    def close(self, connection_ids: Collection[str]) -> None:
        with self._lock:
            self._open -= set(connection_ids)
            self._closed |= set(connection_ids)

    def heard(self, connection_id: str) -> list[str]:
        """List the types of what a connection was sent, in order."""
        with self._lock:
            return [message["type"] for message in self._inbox[connection_id]]

    def post(self, connection_id: str, text: str) -> None:
        latency()
        with self._lock:
            if connection_id not in self._open:
                raise Gone
            self._inbox[connection_id].append(json.loads(text))

    def fan_out(
        self, connection_ids: Collection[str], text: str, _limit_seconds: float = 10
    ) -> FanOut:
        latency()
        with self._lock:
            reached = self._open & set(connection_ids)
            for each in reached:
                self._inbox[each].append(json.loads(text))
        gone = frozenset(connection_ids) - reached
        return FanOut(len(reached), gone, 0)

    def open_ones(self) -> set[str]:
        with self._lock:
            return set(self._open)
