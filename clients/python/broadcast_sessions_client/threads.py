"""Functions that block, and can hang."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


async def in_thread(function: Callable[[], Any]) -> Any:
    """Run a function in a thread of its own.

    A pool would wait for the thread at the process's exit, and could run out of threads.

    Raises:
        Exception: The function raised it.
        RuntimeError: The function raised something else, which would end only the thread.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def end(value: Any, error: BaseException | None) -> None:
        if not ended.done():
            ended.set_result((value, error))

    def run() -> None:
        value, error = None, None
        try:
            value = function()
        except BaseException as raised:  # SystemExit would end only the thread.
            error = raised
        with suppress(RuntimeError):  # The loop is closed, because the application has ended.
            loop.call_soon_threadsafe(end, value, error)

    threading.Thread(target=run, daemon=True).start()
    value, error = await ended
    if isinstance(error, Exception):
        raise error
    if error:
        raise RuntimeError("a function has ended its thread") from error
    return value
