"""A network between clients and a service, which a test can break."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Thread
from urllib.parse import urlsplit

from tests.stories import frames

NO_LINGERING = struct.pack("ii", 1, 0)
"""Lets a close send RST. Source: socket(7), SO_LINGER."""


@dataclass
class Link:
    """One connection through the gate.

    Attributes:
        is_silent: Whether the network loses everything, and no side notices.
        sent: All that the client has sent, even if the network has lost it.
        received: All that the service has sent, even if the network has lost it.
    """

    ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    is_silent: bool = False
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)

    async def forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                record += data
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
    """

    def __init__(self, service_url: str) -> None:
        self.url = service_url
        self.is_there = asyncio.Event()
        self.is_there.set()
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

    @contextmanager
    def serving_in_thread(self) -> Iterator["Gate"]:
        """Serve in a thread, for clients outside of an event loop."""
        loop = asyncio.new_event_loop()
        thread = Thread(target=loop.run_forever)
        thread.start()
        serving = self.serving()
        try:
            yield asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result()
        finally:
            asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    @property
    def opened(self) -> int:
        """The number of connections so far."""
        return len(self._links)

    def check_messages(self) -> None:
        """Check that there were messages, and that all match docs/asyncapi.yaml."""
        assert sum(frames.check_connection(link.sent, link.received) for link in self._links) > 0

    def reset(self) -> None:
        """Reset all connections."""
        for link in self._links:
            link.reset()

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
        link = Link((writer, to_service))
        self._links.append(link)
        await asyncio.gather(
            link.forward(reader, to_service, link.sent),
            link.forward(from_service, writer, link.received),
        )
