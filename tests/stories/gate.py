"""A network between clients and a service, which a test can break."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

NO_LINGERING = struct.pack("ii", 1, 0)
"""Lets a close send RST. Source: socket(7), SO_LINGER."""


@dataclass
class Link:
    """One connection through the gate.

    Attributes:
        is_silent: Whether the network loses everything, and no side notices.
    """

    ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    is_silent: bool = False

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if not self.is_silent:
                    writer.write(data)
        if not self.is_silent:
            self.close()

    def close(self) -> None:
        for end in self.ends:
            end.close()

    def reset(self) -> None:
        for end in self.ends:
            if not end.is_closing():
                end.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGERING
                )
            end.transport.abort()


class Gate:
    """The network.

    Attributes:
        url: The service's URL through the gate.
        is_there: Set unless new connections have to wait for the network.
        opened: The number of connections so far.
    """

    def __init__(self, service_url: str) -> None:
        self.url = service_url
        self.is_there = asyncio.Event()
        self.is_there.set()
        self.opened = 0
        self._service = urlsplit(service_url)
        self._links: list[Link] = []
        self._tasks: set[asyncio.Task[None] | None] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Gate"]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.url = self._service._replace(netloc=f"127.0.0.1:{port}").geturl()
        try:
            yield self
        finally:
            server.close()
            self.is_there.set()
            self.reset()
            await asyncio.gather(*filter(None, self._tasks))

    def reset(self) -> None:
        """Reset all connections."""
        for link in self._links:
            link.reset()
        self._links.clear()

    def silence(self) -> None:
        """Lose everything on the connections of now, without a sign."""
        for link in self._links:
            link.is_silent = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        await self.is_there.wait()
        assert self._service.hostname
        from_service, to_service = await asyncio.open_connection(
            self._service.hostname, self._service.port
        )
        self.opened += 1
        link = Link((writer, to_service))
        self._links.append(link)
        await asyncio.gather(link.forward(reader, to_service), link.forward(from_service, writer))
