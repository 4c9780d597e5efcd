"""A thread pool that runs handlers and returns their results to the event loop.

The futures and locks of concurrent.futures cost more than a trivial handler. Its pool also starts a
thread for each call of a burst, although a few threads would be enough.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

MAX_THREADS = 1000
"""Maximum number of threads. Source: Lambda's default quota of concurrent executions."""

READY_THREADS = 8
"""Number of threads that start without delay. A burst of short calls needs no more."""

GROWTH_DELAY_SECONDS = 0.002
"""How long calls wait for a busy pool before more threads start."""

GROWTH_STEP = 16
"""Number of threads that start at a time if no call finished during the delay.

If calls finished, only one thread starts. The calls then compete for the CPU, and more threads
wouldn't help.
"""

EXPIRY_INTERVAL_SECONDS = 0.25
"""Interval at which timeouts are checked."""

Done = Callable[[Any, BaseException | None], None]


class TimedOut(Exception):
    """The call exceeded its timeout. Its thread continues, because Python can't stop it."""


class _Call:
    __slots__ = ("argument", "deadline", "done", "error", "function", "result")

    def __init__(
        self, function: Callable[[Any], Any], argument: Any, done: Done, deadline: float
    ) -> None:
        self.function = function
        self.argument = argument
        self.done: Done | None = done
        self.deadline = deadline
        self.result: Any = None
        self.error: BaseException | None = None


class Workers:
    """A pool of threads. Call its public methods on the event loop only."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start without threads.

        Args:
            loop: The event loop that receives the results.
        """
        self._loop = loop
        self._queue: SimpleQueue[_Call] = SimpleQueue()
        self._finished: deque[_Call] = deque()
        self._is_waking = False
        self._threads = 0
        self._is_growing = False
        self._has_finished = False
        self._is_expiring = False
        self._running: dict[_Call, None] = {}

    @property
    def running_count(self) -> int:
        """The number of unfinished calls, including those that timed out."""
        return len(self._running)

    def run(
        self, function: Callable[[Any], Any], argument: Any, timeout_seconds: float, done: Done
    ) -> None:
        """Call `function(argument)` in a thread, then `done(result, error)` on the event loop.

        Args:
            function: The function.
            argument: Its argument.
            timeout_seconds: Time after which the error is TimedOut.
            done: Called exactly once.
        """
        call = _Call(function, argument, done, self._loop.time() + timeout_seconds)
        self._running[call] = None
        self._queue.put(call)
        if len(self._running) > self._threads:
            self._grow()
        if not self._is_expiring:
            self._is_expiring = True
            self._loop.call_later(EXPIRY_INTERVAL_SECONDS, self._expire)

    def _grow(self) -> None:
        if self._threads < READY_THREADS:
            self._start_thread()
        elif not self._is_growing and self._threads < MAX_THREADS:
            self._is_growing = True
            self._loop.call_later(GROWTH_DELAY_SECONDS, self._grow_after_delay)

    def _grow_after_delay(self) -> None:
        self._is_growing = False
        waiting = self._queue.qsize()
        step = 1 if self._has_finished else GROWTH_STEP
        self._has_finished = False
        for _ in range(min(waiting, step, MAX_THREADS - self._threads)):
            self._start_thread()
        if waiting:
            self._grow()

    def _start_thread(self) -> None:
        self._threads += 1
        threading.Thread(target=self._work, name="handler", daemon=True).start()

    def _work(self) -> None:
        while True:
            call = self._queue.get()
            try:
                call.result = call.function(call.argument)
            except BaseException as error:
                call.error = error
            self._finished.append(call)
            del call
            if not self._is_waking:
                self._is_waking = True
                self._wake()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # The server stopped before this call finished.
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        # The flag is reset before the queue is read. A later append schedules another wake-up.
        self._is_waking = False
        self._has_finished = True
        while self._finished:
            call = self._finished.popleft()
            del self._running[call]
            if call.done is not None:
                call.done(call.result, call.error)

    def _expire(self) -> None:
        now = self._loop.time()
        for call in [call for call in self._running if call.deadline <= now]:
            done, call.done = call.done, None
            if done is not None:
                done(None, TimedOut())
        self._is_expiring = bool(self._running)
        if self._is_expiring:
            self._loop.call_later(EXPIRY_INTERVAL_SECONDS, self._expire)
