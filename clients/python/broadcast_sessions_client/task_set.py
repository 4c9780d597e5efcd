"""The tasks of a client, of which none outlives it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

END_SECONDS: Final = 5
"""A callback of the application that ignores that it is cancelled has this time to end."""

Result = TypeVar("Result")


class TaskSet:
    """Tasks that run in the background."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Start a task."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def wait(self) -> None:
        """Wait until no task runs, except for the one that calls this, or for `END_SECONDS`."""
        await asyncio.sleep(0)  # cancels the calling task, if it is a cancelled one of these
        running = self._tasks - {asyncio.current_task()}
        if running:
            await asyncio.wait(running, timeout=END_SECONDS)
