"""The surroundings of a client, which tests replace."""

import asyncio
import functools
import logging
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from websockets.asyncio.client import ClientConnection, connect

CLOSE_SECONDS: Final = 2
"""How long the other side can take to read everything, and to confirm a close."""

# At the level DEBUG, websockets would log tokens and messages.
_LOGGER: Final = logging.getLogger("broadcast_sessions_client.websockets")
_LOGGER.setLevel(logging.INFO)


class Socket(Protocol):
    """What a client uses of a WebSocket."""

    async def send(self, message: str, /) -> None:
        """Send a text frame."""

    async def close(self, code: int = ..., /) -> None:
        """Close the WebSocket, and wait until it is closed."""

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Receive messages until the WebSocket is closed."""


Connect = Callable[[str, Mapping[str, str]], Awaitable[Socket]]
"""Opens a WebSocket to a URL with headers."""


class ConnectWithoutRedirects(connect):
    """A connection that takes a redirect for a refusal.

    Versions of websockets before 17 would send the headers, with the token, to another origin.
    """

    def process_redirect(self, exc: Exception) -> Exception:
        """Return the refusal, which `connect` then raises."""
        return exc


class BoundedConnection(ClientConnection):
    """A connection that can be closed although the other side reads nothing."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and abort the connection after `CLOSE_SECONDS`."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await super().close(code, reason)
        except TimeoutError:
            self.transport.abort()
            await self.wait_closed()


async def open_websocket(url: str, headers: Mapping[str, str]) -> Socket:
    """Open a WebSocket.

    Raises:
        OSError: The server can't be reached.
        websockets.InvalidHandshake: The server refused.
    """
    return await ConnectWithoutRedirects(
        url,
        additional_headers=headers,
        create_connection=BoundedConnection,
        compression=None,  # saves memory; messages are short
        ping_interval=None,  # the protocol has heartbeats of its own
        open_timeout=None,
        close_timeout=CLOSE_SECONDS,
        logger=_LOGGER,
        ssl=_tls_context() if url.startswith("wss:") else None,
    )


@functools.cache
def _tls_context() -> ssl.SSLContext:
    """Return the context that all connections share, because each one takes a megabyte."""
    return ssl.create_default_context()


@dataclass(frozen=True)
class Environment:
    """The surroundings of a client.

    Attributes:
        connect: Opens a WebSocket.
        random: Returns a random number from 0 to 1.
        wall_clock: Returns Unix time in seconds. It also advances while the device sleeps.
    """

    connect: Connect = open_websocket
    random: Callable[[], float] = random.random
    wall_clock: Callable[[], float] = time.time


DEFAULT: Final = Environment()
