"""An event loop whose clock moves only when a test moves it."""

import asyncio
import gc
import heapq
import itertools
from collections.abc import Coroutine
from typing import Any

TURNS = 50
"""More turns of the loop than any chain of tasks takes."""


class ScriptedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now = 0.0
        self.asleep_seconds = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = itertools.count()
        super().__init__()

    def time(self) -> float:
        return self.now

    def wall_clock(self) -> float:
        """Return a time that also moves while the device sleeps."""
        return 1795708800 + self.now + self.asleep_seconds

    @property
    def timers(self) -> int:
        """The number of timers that wait."""
        return sum(not timer.cancelled() for _, _, timer in self._timers)

    def call_at(self, when: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
        timer = super().call_at(when, *args, **kwargs)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    async def elapse(self, seconds: float) -> None:
        """Run all timers of the next seconds, each at its time."""
        until = self.now + seconds
        await settle()
        while self._timers and self._timers[0][0] <= until:
            due_at, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled():
                self.now = max(self.now, due_at)
                await settle()
        self.now = until
        await settle()


async def settle(messages: int = 1) -> None:
    """Run everything that can run now.

    Args:
        messages: The number of messages that have arrived.
    """
    for _ in range(TURNS * messages):
        await asyncio.sleep(0)


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test, and check that it leaves no task, and that no task failed unnoticed."""
    failures: list[dict[str, Any]] = []

    async def checked() -> None:
        loop().set_exception_handler(lambda _, failure: failures.append(failure))
        await test
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=ScriptedLoop) as runner:
        runner.run(checked())
    gc.collect()
    assert failures == []


def loop() -> ScriptedLoop:
    running = asyncio.get_running_loop()
    assert isinstance(running, ScriptedLoop)
    return running
