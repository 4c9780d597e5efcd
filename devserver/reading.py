"""How bytes come in: one buffer for all connections, since the event loop reads one at a time."""

import asyncio
from typing import Final

READ_BYTES: Final = 64 * 1024
"""Read at once at most."""

_BUFFER: Final = memoryview(bytearray(READ_BYTES))


class ReadingProtocol(asyncio.BufferedProtocol):
    """A protocol that is given what was read as `data_received(data)`.

    Not asyncio.Protocol: for that, asyncio makes a buffer of 256 KiB for each read, which the C
    library may map and unmap each time, at a cost above that of a whole message.
    """

    def get_buffer(self, _size_hint: int) -> memoryview:
        """Return where the transport puts what it reads."""
        return _BUFFER

    def buffer_updated(self, count: int) -> None:
        """Hand on what was read."""
        self.data_received(bytes(_BUFFER[:count]))

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        raise NotImplementedError
