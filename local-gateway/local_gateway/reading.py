"""The base protocol for reading from sockets, with one read buffer for all connections."""

import asyncio
from typing import Final

READ_BYTES: Final = 64 * 1024
"""Maximum size of one read."""

_BUFFER: Final = memoryview(bytearray(READ_BYTES))
"""The shared buffer. The event loop reads one connection at a time."""


class ReadingProtocol(asyncio.BufferedProtocol):
    """A protocol that receives data through `data_received`.

    For subclasses of asyncio.Protocol, asyncio allocates a buffer of 256 KiB for each read. The C
    library can map and unmap it each time, which costs more than handling a whole message.
    """

    def get_buffer(self, _size_hint: int) -> memoryview:
        """Return the buffer that the transport reads into."""
        return _BUFFER

    def buffer_updated(self, count: int) -> None:
        """Pass the data in the buffer on."""
        self.data_received(bytes(_BUFFER[:count]))

    def data_received(self, data: bytes) -> None:
        """Handle bytes from the client."""
        raise NotImplementedError
