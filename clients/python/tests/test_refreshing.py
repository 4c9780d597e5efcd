"""Refreshes that something else comes across."""

import asyncio

from broadcast_sessions_client import StateChanged
from client_support.members import (
    JOINED,
    SESSION,
    answered,
    joined_listener,
    listener,
    waiting_events,
)
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer, ScriptedSocket


async def ask_for_refresh(socket: ScriptedSocket) -> None:
    socket.serve({"type": "connectionRefreshRequired", "sessionId": SESSION})
    await settle()


def test_a_request_that_follows_the_outcome_at_once_is_not_missed() -> None:
    async def test() -> None:
        server = ScriptedServer()
        joining = listener(server)
        call = asyncio.create_task(joining.join())
        await settle()
        socket = server.openings.popleft().answer()
        await settle()
        socket.serve(JOINED)
        await ask_for_refresh(socket)
        await call
        await loop().elapse(0.25)
        assert joining.state == "refreshing"
        await joining.close()

    run(test())


def test_a_sleep_ends_the_wait_for_the_next_attempt_to_refresh() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined_listener(server)
        await loop().elapse(30)
        socket.serve({"type": "heartbeatAck", "sessionId": SESSION})
        await ask_for_refresh(socket)
        for seconds in (9, 9, 9, 2, 0):
            server.openings.popleft().answer("reset")
            await loop().elapse(seconds)
        await waiting_events(client)
        assert (client.state, len(server.openings)) == ("joined", 0)

        loop().asleep_seconds = 600
        await loop().elapse(1)  # to the next heartbeat, and not to the next attempt
        assert not socket.is_open
        assert await waiting_events(client) == [StateChanged("reconnecting", "slept", 0)]
        assert len(server.openings) == 1
        await client.close()

    run(test())


def test_requests_that_follow_each_other_at_once_wait_longer_and_longer() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined_listener(server)
        for seconds in (0.25, 0.5, 1, 2, 4):
            await ask_for_refresh(socket)
            await loop().elapse(seconds - 0.01)
            assert (client.state, len(server.openings)) == ("joined", 0)
            await loop().elapse(0.01)
            assert client.state == "refreshing"
            socket = await answered(server, JOINED | {"type": "connectionRefreshComplete"})
        await loop().elapse(5)
        await ask_for_refresh(socket)
        assert client.state == "refreshing"
        await client.close()

    run(test())


def test_a_connection_that_is_lost_before_a_delayed_refresh_is_replaced_when_it_is_due() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined_listener(server)
        await ask_for_refresh(socket)
        await waiting_events(client)
        socket.drop()
        await loop().elapse(0.25)
        assert await waiting_events(client) == [
            StateChanged("reconnecting", "connectionLost", 0.25),
            StateChanged("reconnecting", "connectionLost", 0),
        ]
        assert len(server.openings) == 1
        await client.close()

    run(test())
