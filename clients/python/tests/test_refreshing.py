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


def test_a_lost_membership_ends_no_wait_that_the_service_demands() -> None:
    busy = {"type": "error", "code": "SERVICE_UNAVAILABLE", "temporary": True, "retryAfter": 40}

    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined_listener(server)
        await loop().elapse(6)
        await ask_for_refresh(socket)
        await answered(server, busy)
        await loop().elapse(24)
        socket.serve({"type": "heartbeatAck"})
        await settle()
        assert (client.state, client.reason) == ("reconnecting", "membershipLost")
        assert not socket.is_open
        await loop().elapse(16.2)
        assert len(server.openings) == 0
        await loop().elapse(0.05)
        assert len(server.openings) == 1
        await client.close()

    run(test())
