"""The application's callback for tokens, which can fail, hang or block."""

import asyncio
import inspect
import logging
import re
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeGuard

from broadcast_sessions_client.errors import SessionError, TokenFailed

TokenCallback = Callable[[], str | Awaitable[str]]

TOKEN_SECONDS: Final = 30

_TOKEN: Final = re.compile("[!-~]+")

_LOGGER: Final = logging.getLogger("broadcast_sessions_client")


async def ask_for_token(source: str | TokenCallback) -> str:
    """Return a token, or call the callback. A callback that isn't async runs in a thread.

    Raises:
        SessionError: The callback raised it, and it is final. Or the callback failed in another
            way, took too long, or returned something else.
    """
    if isinstance(source, str):
        return source
    try:
        async with asyncio.timeout(TOKEN_SECONDS):
            token = await _call(source)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise _failed(error) from error  # The callback cancelled something of its own.
    except Exception as error:
        if isinstance(error, SessionError) and not error.temporary:
            raise
        raise _failed(error) from error
    if not is_token(token):
        raise _failed(TypeError("a token must be a printable text without spaces"))
    return token


def is_token(value: object) -> TypeGuard[str]:
    """Return whether a value can be sent as a token."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


async def _call(callback: TokenCallback) -> object:
    returned = callback() if inspect.iscoroutinefunction(callback) else await _in_thread(callback)
    return await returned if inspect.isawaitable(returned) else returned


async def _in_thread(function: Callable[[], Any]) -> Any:
    """Run a function in a thread of its own.

    A pool would wait for the thread at the process's exit, and could run out of threads.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if result.done():
            return
        if error:
            result.set_exception(error)
        else:
            result.set_result(value)

    def run() -> None:
        value, error = None, None
        try:
            value = function()
        except Exception as raised:
            error = raised
        with suppress(RuntimeError):  # The loop is closed, because the application has ended.
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, daemon=True).start()
    return await result


def _failed(error: BaseException) -> TokenFailed:
    _LOGGER.warning("The token callback failed", exc_info=error)
    return TokenFailed("TOKEN_FAILED", "The token callback failed.", temporary=True)
