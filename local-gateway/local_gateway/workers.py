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

_Call = tuple[Callable[[Any], Any], Any, asyncio.TimerHandle, Done]
_Finished = tuple[asyncio.TimerHandle, Done, Any, BaseException | None]


class TimedOut(Exception):
    """The call exceeded its timeout. Its thread continues, because Python can't stop it."""


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
        self._finished: deque[_Finished] = deque()
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
        timer = self._loop.call_later(timeout_seconds, done, None, TimedOut())
        self._calls.put((function, argument, timer, done))
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
            self._call(*self._calls.get())

    def _call(
        self,
        function: Callable[[Any], Any],
        argument: Any,
        timer: asyncio.TimerHandle,
        done: Done,
    ) -> None:
        result = failure = None
        try:
            result = function(argument)
        except BaseException as error:
            failure = error
        self._finished.append((timer, done, result, failure))
        if not self._is_waking:
            self._is_waking = True
            with suppress(RuntimeError):  # The server stopped before this call finished.
                self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        # The flag is reset before the queue is read. A later append schedules another wake-up.
        self._is_waking = False
        while self._finished:
            timer, done, result, error = self._finished.popleft()
            self.running_count -= 1
            if self._loop.time() < timer.when():
                timer.cancel()
                done(result, error)
