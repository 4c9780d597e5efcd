"""Thread-safe fakes of API Gateway, the clock and the network."""

import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from chalicelib.aws.connections import FanOut, Gone
from chalicelib.errors import ServiceError

LONGEST_LATENCY_SECONDS: Final = 0.04

Answer = dict[str, Any] | ServiceError
"""A command's outcome, or the error that refuses it."""


def latency(**_: object) -> None:
    """Sleep for a random latency. A few are long, which changes the order of requests."""
    time.sleep(random.random() ** 4 * LONGEST_LATENCY_SECONDS)


class Clock:
    """A clock that advances only when all running tasks sleep."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._running = 0
        self._wake_times: list[float] = []
        self._changed = threading.Condition()

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        with self._changed:
            assert self._running == 0, "a task is still running"
            self._now += seconds

    def sleep(self, seconds: float) -> None:
        with self._changed:
            wake_at = self._now + seconds
            self._wake_times.append(wake_at)
            self._advance_if_all_sleep()
            while self._now < wake_at:
                self._changed.wait()
            self._wake_times.remove(wake_at)

    def run_all(self, tasks: Sequence[Callable[[], Any]]) -> list[Any]:
        """Run each task in its own thread, and return their results or ServiceErrors."""
        barrier = threading.Barrier(len(tasks))

        def run(task: Callable[[], Any]) -> Any:
            barrier.wait()
            try:
                return task()
            except ServiceError as refusal:
                return refusal
            finally:
                self._finish_task()

        self._running += len(tasks)
        with ThreadPoolExecutor(len(tasks)) as threads:
            return [each.result() for each in [threads.submit(run, task) for task in tasks]]

    def _finish_task(self) -> None:
        with self._changed:
            self._running -= 1
            self._advance_if_all_sleep()

    def _advance_if_all_sleep(self) -> None:
        pending = [wake_at for wake_at in self._wake_times if wake_at > self._now]
        if pending and len(pending) >= self._running:
            self._now = min(pending)
            self._changed.notify_all()


class Connections:
    """A fake of the connections API that stores the posted messages."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[str] = set()
        self._closed: set[str] = set()
        self._inbox: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def open(self, connection_id: str) -> None:
        """Open a connection, unless it has been closed. AWS doesn't reuse connection IDs."""
        with self._lock:
            if connection_id not in self._closed:
                self._open.add(connection_id)

    def close(self, connection_ids: Collection[str]) -> None:
        with self._lock:
            self._open -= set(connection_ids)
            self._closed |= set(connection_ids)

    def received(self, connection_id: str) -> list[str]:
        """List the types of the messages that a connection received, in order."""
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

    def messages(self, connection_id: str) -> list[dict[str, Any]]:
        """List the messages that a connection received, in order."""
        with self._lock:
            return list(self._inbox[connection_id])

    def open_ids(self) -> set[str]:
        with self._lock:
            return set(self._open)


class Functions:
    """Functions that keep the events with which they are invoked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def invoke_later(self, function_name: str, event: Mapping[str, Any]) -> None:
        with self._lock:
            self._events[function_name].append(json.loads(json.dumps(event)))

    def events_of(self, function_name: str) -> list[dict[str, Any]]:
        """List the events of a function, in the order of their invocations."""
        with self._lock:
            return list(self._events[function_name])

    def take_events_of(self, function_name: str) -> list[dict[str, Any]]:
        """List the events of a function since the last call."""
        with self._lock:
            return self._events.pop(function_name, [])
