"""Thousands of idle clients, and clients that never read."""

import asyncio
from asyncio import StreamReader, StreamWriter
from socket import socket

import pytest

from gateway_support.plain_http import upgrade_request
from gateway_support.serving import SECONDS, Server, serving
from local_gateway import descriptors

CLIENTS = 2000
GOING_AWAY = b"\x03\xe9"
MESSAGE = b"\x81\xfe\x75\x30" + bytes(4) + b"x" * 30_000
"""A frame with a text of 30,000 characters, which the application echoes."""

UNREAD_MESSAGES = 2000
"""60 MB, more than the buffers of both ends contain."""


async def open_idle(server: Server) -> tuple[StreamReader, StreamWriter]:
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(upgrade_request("/local"))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    return reader, writer


def test_two_thousand_idle_clients_are_served_and_closed_when_the_server_stops() -> None:
    async def stay(server: Server) -> None:
        clients = await asyncio.gather(*(open_idle(server) for _ in range(CLIENTS)))
        values = await asyncio.to_thread(server.metrics)
        assert values["local_gateway_open_connections"] == CLIENTS
        assert await asyncio.to_thread(ask, server) == "hello"
        assert await asyncio.to_thread(server.stop) == 0
        ends = await asyncio.gather(*(reader.read() for reader, _ in clients))
        assert all(GOING_AWAY in end for end in ends)
        for _, writer in clients:
            writer.close()

    descriptors.raise_limit()
    with serving("recorder", "--no-reload", "--quiet") as server:
        asyncio.run(asyncio.wait_for(stay(server), 60))


def ask(server: Server) -> str | bytes:
    with server.connect() as client:
        client.send("hello")
        return client.recv(SECONDS)


def test_the_server_stops_reading_from_a_client_that_never_reads_and_serves_others() -> None:
    with serving("recorder", "--no-reload", "--quiet") as server, server.raw() as client:
        client.sendall(upgrade_request("/local"))
        client.settimeout(1)
        with pytest.raises(TimeoutError):
            send_unread_messages(client)
        assert ask(server) == "hello"
        assert server.stop() == 0


def send_unread_messages(client: socket) -> None:
    for _ in range(UNREAD_MESSAGES):
        client.sendall(MESSAGE)
