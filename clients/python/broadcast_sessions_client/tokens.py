"""The application's callback for tokens, which can fail, hang or block."""

import asyncio
import inspect
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Final, TypeGuard

from broadcast_sessions_client.errors import SessionError, TokenFailed
from broadcast_sessions_client.task_set import TaskSet
from broadcast_sessions_client.threads import in_thread

TokenCallback = Callable[[], str | Awaitable[str]]

TOKEN_SECONDS: Final = 30

_TOKEN: Final = re.compile("[!-~]+")

_LOGGER: Final = logging.getLogger("broadcast_sessions_client")


async def ask_for_token(source: str | TokenCallback, tasks: TaskSet) -> str:
    """Return a token, or call the callback. A callback that isn't async runs in a thread.

    Args:
        source: The token, or the callback.
        tasks: Gets the task of the callback, which can ignore that it is cancelled.

    Raises:
        SessionError: The callback raised it, and it is final. Or the callback failed in another
            way, took too long, or returned something else.
    """
    if isinstance(source, str):
        return source
    call = tasks.start(_call(source))
    try:
        await asyncio.wait([call], timeout=TOKEN_SECONDS)
    finally:
        call.cancel()
    return _token_of(call)


def _token_of(call: asyncio.Task[object]) -> str:
    if not call.done():
        raise _failed(TimeoutError(f"no token within {TOKEN_SECONDS} seconds"))
    if call.cancelled():
        raise _failed(asyncio.CancelledError())
    error = call.exception()
    if isinstance(error, SessionError) and not error.temporary:
        raise error
    if error:
        raise _failed(error) from error
    token = call.result()
    if not is_token(token):
        raise _failed(TypeError("a token must be a printable text without spaces"))
    return token


def is_token(value: object) -> TypeGuard[str]:
    """Return whether a value can be sent as a token."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


async def _call(callback: TokenCallback) -> object:
    returned = callback() if inspect.iscoroutinefunction(callback) else await in_thread(callback)
    return await returned if inspect.isawaitable(returned) else returned


def _failed(error: BaseException) -> TokenFailed:
    _LOGGER.warning("The token callback failed", exc_info=error)
    return TokenFailed("TOKEN_FAILED", "The token callback failed.", temporary=True)
