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

READY_THREADS = 4
"""Number of threads that start without delay.

A burst of short calls needs no more: the interpreter runs one thread at a time. With 8, a connect
took 5% more CPU. With one thread for each call, it took 12% more.
"""

GROWTH_SECONDS = 0.001
"""Interval at which one more thread starts while calls wait.

With a thread for each call, 500 connects at once left a gateway of 53 MiB. With this interval it
had 39 MiB.
"""

RETRY_SECONDS = 1.0
"""Time until the next attempt when the system can't start a thread."""

Done = Callable[[Any, BaseException | None], None]


class TimedOut(Exception):
    """The call exceeded its timeout.

    Its thread continues, because Python can't stop it. A call that has no thread yet never runs.
    """


class _Call:
    """One call. Its repr, which the event loop logs, shows neither the argument nor the result."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        function: Callable[[Any], Any],
        argument: Any,
        timeout_seconds: float,
        done: Done,
        drop: Callable[["_Call"], None],
    ) -> None:
        self._loop = loop
        self._function = function
        self._argument = argument
        self._timeout_seconds = timeout_seconds
        self._done = done
        self._drop = drop
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
        self._drop(self)
        self._done(None, TimedOut(f"no result within {self._timeout_seconds:g} s"))


_Inbox = SimpleQueue[_Call]
"""The next call of an idle thread."""


class Workers:
    """A pool of threads. Call its public methods on the event loop only.

    The thread that became idle last runs the next call. With 25 threads that took turns, a round
    trip took 11% more CPU.

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
        self._waiting: deque[_Call] = deque()
        self._finished: deque[tuple[_Call, _Inbox | None]] = deque()
        self._idle: list[_Inbox] = []
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
        call = _Call(self._loop, function, argument, timeout_seconds, done, self._drop)
        is_thread_ready = self._idle and not self._waiting
        if is_thread_ready or self.running_count <= READY_THREADS:
            self._pass_on(call)
        else:
            self._waiting.append(call)
            self._grow_after(GROWTH_SECONDS)

    def _drop(self, call: _Call) -> None:
        """Remove a call that timed out, if it still waits for a thread."""
        with suppress(ValueError):
            self._waiting.remove(call)
            self.running_count -= 1

    def _grow_after(self, seconds: float) -> None:
        if not self._is_growing:
            self._is_growing = True
            self._loop.call_later(seconds, self._grow)

    def _grow(self) -> None:
        """Run one of the waiting calls in an idle or a new thread."""
        self._is_growing = False
        is_possible = self._idle or self._threads < MAX_THREADS
        call = self._next_waiting() if is_possible else None
        if call is not None and self._pass_on(call):
            self._grow_after(GROWTH_SECONDS)

    def _pass_on(self, call: _Call) -> bool:
        """Run a call in an idle or a new thread.

        Returns:
            False if no thread can start. The call then waits as the next one.
        """
        if self._idle:
            self._idle.pop().put(call)
            return True
        inbox: _Inbox = SimpleQueue()
        inbox.put(call)
        thread = threading.Thread(target=self._work, args=[inbox], name="handler", daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            self._loop.call_exception_handler({"message": f"A call waits for a thread: {error}"})
            self._waiting.appendleft(call)
            self._grow_after(RETRY_SECONDS)
            return False
        self._threads += 1
        return True

    def _work(self, inbox: _Inbox) -> None:
        call: _Call | None = None
        while True:
            call = call or inbox.get()
            call.run()
            following = self._next_waiting()
            self._report(call, inbox if following is None else None)
            call = following  # An idle thread keeps no reference to its last call.

    def _next_waiting(self) -> _Call | None:
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def _report(self, call: _Call, idle: _Inbox | None) -> None:
        self._finished.append((call, idle))
        if not self._is_waking:
            self._is_waking = True
            with suppress(RuntimeError):  # The gateway stopped before this call finished.
                self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        # The flag is reset before the queue is read. A later append schedules another wake-up.
        self._is_waking = False
        while self._finished:
            call, idle = self._finished.popleft()
            if idle is not None:
                self._reuse(idle)
            self.running_count -= 1
            try:
                call.finish()
            except Exception as error:
                context = {"message": "A handler's result wasn't processed", "exception": error}
                self._loop.call_exception_handler(context)

    def _reuse(self, inbox: _Inbox) -> None:
        """Pass a waiting call to a thread, or keep the thread idle until there is a call."""
        call = self._next_waiting()
        if call is None:
            self._idle.append(inbox)
        else:
            inbox.put(call)
