"""Threads that run handlers, as many as are needed, and one way back to the event loop.

Not concurrent.futures: its futures and locks cost more than a trivial handler, and it starts a
thread for each call of a burst although the first few would have been enough.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

MAX_THREADS = 1000
"""Source: Lambda's default quota, concurrent executions of an account in a region."""

READY_THREADS = 8
"""Started as calls come; more only when calls wait, so that a burst of short ones needs no more."""

GROWTH_DELAY_SECONDS = 0.002
"""How long calls wait, blocked by others, before more threads start."""

GROWTH_STEP = 16
"""Threads started at a time when no call has finished meanwhile; one when some have: then the
processor is what is short, and more threads would only fight for it.
"""

EXPIRY_INTERVAL_SECONDS = 0.25
"""How late a timeout may be noticed."""

Done = Callable[[Any, BaseException | None], None]


class TimedOut(Exception):
    """The call took longer than it may. Its thread runs on, for Python cannot stop it."""


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
    """Runs calls in threads. Every method but the private ones of threads is the loop's alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
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
        """Count the calls that have not finished, timed out ones among them."""
        return len(self._running)

    def run(
        self, function: Callable[[Any], Any], argument: Any, timeout_seconds: float, done: Done
    ) -> None:
        """Call `function(argument)` in a thread; `done(result, error)` follows on the loop, once.

        The error is TimedOut when the call takes longer than it may.
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
            self._loop.call_later(GROWTH_DELAY_SECONDS, self._grow_on)

    def _grow_on(self) -> None:
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
        with suppress(RuntimeError):  # The loop has closed: the server ended before this call did.
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        # The flag falls before the queue is emptied: whoever appends after that wakes us again.
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
