"""A thread pool that runs handlers and returns their results to the event loop.

concurrent.futures.ThreadPoolExecutor costs too much. In three comparisons, the round trip of a
message took 1.58 to 1.65 times that of a bare server with it, and 1.16 to 1.46 times with this
pool. A hundred connects at once ran at 0.82 to 0.97 times this pool's rate. Its threads also block
the exit while a handler hangs.
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

GROWTH_SECONDS = 0.001
"""Interval at which one more thread starts while calls wait.

With a thread for each call, 500 connects at once left a server of 53 MiB. With this interval it
had 39 MiB.
"""

Done = Callable[[Any, BaseException | None], None]


class TimedOut(Exception):
    """The call exceeded its timeout. Its thread continues, because Python can't stop it."""


class _Call:
    """One call. Its repr, which the event loop logs, shows neither the argument nor the result."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        function: Callable[[Any], Any],
        argument: Any,
        timeout_seconds: float,
        done: Done,
    ) -> None:
        self._loop = loop
        self._function = function
        self._argument = argument
        self._timeout_seconds = timeout_seconds
        self._done = done
        self._result: Any = None
        self._error: BaseException | None = None
        self._timer = loop.call_later(timeout_seconds, self._time_out)

    def run(self) -> None:
        try:
            self._result = self._function(self._argument)
        except BaseException as error:
            self._error = error

    def finish(self) -> None:
        """Pass the result on, unless the call has timed out."""
        if self._loop.time() < self._timer.when():
            self._timer.cancel()
            self._done(self._result, self._error)

    def _time_out(self) -> None:
        self._done(None, TimedOut(f"no result within {self._timeout_seconds:g} s"))


class Workers:
    """A pool of threads. Call its public methods on the event loop only.

    Attributes:
        running_count: The number of unfinished calls, including those that timed out.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start without threads.

        Args:
            loop: The event loop that receives the results.
        """
        self.running_count = 0
        self._loop = loop
        self._calls: SimpleQueue[_Call] = SimpleQueue()
        self._finished: deque[_Call] = deque()
        self._is_waking = False
        self._is_growing = False
        self._threads = 0

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
        self.running_count += 1
        self._calls.put(_Call(self._loop, function, argument, timeout_seconds, done))
        if self._threads < min(self.running_count, READY_THREADS):
            self._start_thread()
        elif not self._is_growing and self._threads < min(self.running_count, MAX_THREADS):
            self._is_growing = True
            self._loop.call_later(GROWTH_SECONDS, self._grow)

    def _grow(self) -> None:
        self._is_growing = not self._calls.empty() and self._threads < MAX_THREADS
        if self._is_growing:
            self._start_thread()
            self._loop.call_later(GROWTH_SECONDS, self._grow)

    def _start_thread(self) -> None:
        self._threads += 1
        threading.Thread(target=self._work, name="handler", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._run(self._calls.get())

    def _run(self, call: _Call) -> None:
        call.run()
        self._finished.append(call)
        if not self._is_waking:
            self._is_waking = True
            with suppress(RuntimeError):  # The server stopped before this call finished.
                self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        # The flag is reset before the queue is read. A later append schedules another wake-up.
        self._is_waking = False
        while self._finished:
            call = self._finished.popleft()
            self.running_count -= 1
            try:
                call.finish()
            except Exception as error:
                context = {"message": "A handler's result wasn't processed", "exception": error}
                self._loop.call_exception_handler(context)
