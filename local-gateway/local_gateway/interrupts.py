"""The reaction to SIGINT and SIGTERM in each phase of the gateway.

asyncio's own handlers aren't used: when its loop closes, it restores reactions that would end the
process during the cleanup.
"""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def raise_once() -> None:
    """Raise KeyboardInterrupt at the first signal, and ignore others during the cleanup."""
    _react(_raise)


def call(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Call back on the event loop at each signal."""

    def react(_number: int, _frame: FrameType | None) -> None:
        with suppress(RuntimeError):  # The loop has closed.
            loop.call_soon_threadsafe(callback)

    _react(react)


def ignore() -> None:
    """Ignore signals, because the process is about to end."""
    _react(signal.SIG_IGN)


def _raise(_number: int, _frame: FrameType | None) -> NoReturn:
    ignore()
    raise KeyboardInterrupt


def _react(handler: Any) -> None:
    for number in _SIGNALS:
        signal.signal(number, handler)
