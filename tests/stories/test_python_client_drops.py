"""Drops of all connections of the Python client under each fault of the local server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from broadcast_sessions_client import Listener, Speaker
from tests.stories.target import HIGH_LIMITS, Target, local_server
from tests.stories.test_python_client import Network, states

LISTENERS = 9
ROUNDS = 4
"""In each round, all ten connections drop. With 13 faults these are 520 drops."""

FAULTS: list[dict[str, Any]] = [
    {"authorizer_timeout_share": 0.3, "authorizer_timeout_ms": 100},
    {"connect_throttled_share": 0.5},
    {"disconnect_late_seconds": 1, "disconnect_late_share": 0.5},
    {"disconnect_lost_share": 0.5},
    {"disconnect_twice_share": 0.5},
    {"dynamodb_slow_ms": 50},
    {"dynamodb_throttled_share": 0.2},
    {"handler_raises_share": 0.2},
    {"handler_slow_ms": 200, "handler_slow_share": 0.5},
    {"message_outlived_share": 0.1},
    {"message_throttled_share": 0.2},
    {"post_gone_share": 0.3},
    {"post_throttled_share": 0.5},
]

QUICK = Random(0)
"""For waits of a tenth of the usual length."""


@pytest.fixture(scope="module")
def beating() -> Iterator[Target]:
    """A server whose members send a heartbeat a second, so that they soon notice a fault."""
    settings = {"HEARTBEAT_INTERVAL_SECONDS": "1", "HEARTBEAT_SETTLED_SECONDS": "1"}
    with local_server(**HIGH_LIMITS, **settings) as target:
        yield target


@asynccontextmanager
async def crowd(target: Target, network: Network) -> AsyncIterator[tuple[Speaker, list[Listener]]]:
    environment = replace(network.environment, random=lambda: QUICK.random() / 10)
    token = target.tokens()["IdToken"]
    async with AsyncExitStack() as stack:
        speaker = Speaker(target.url, token=token, environment=environment)
        await stack.enter_async_context(speaker)
        session = await speaker.create("en")
        invitation = {"session": session.id, "invite": session.invite_code}
        listeners = [
            Listener(target.url, **invitation, language="es", environment=environment)
            for _ in range(LISTENERS)
        ]
        await asyncio.gather(*map(stack.enter_async_context, listeners))
        yield speaker, listeners


async def in_session_again(client: Speaker | Listener) -> None:
    """Wait until a client has lost its connection and is in the session again.

    A listener can show `interrupted` until the next notice, if a fault has lost the last one.
    """
    await states(client, "reconnecting")
    while client.state == "reconnecting":
        await anext(client)
    assert client.state in ("live", "joined", "interrupted", "paused")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: next(iter(fault)))
def test_all_members_are_back_after_drops_under_a_fault(
    beating: Target, fault: dict[str, Any]
) -> None:
    async def play() -> None:
        network = Network()
        async with crowd(beating, network) as (speaker, listeners):
            await asyncio.to_thread(beating.set_faults, **fault)
            for _ in range(ROUNDS):
                network.cut()
                await asyncio.gather(*map(in_session_again, (speaker, *listeners)))
            await asyncio.to_thread(beating.set_faults)
            # Members that a fault has removed notice it by their next heartbeat.
            while (await speaker.status()).listener_count != LISTENERS:
                assert "failed" not in {listener.state for listener in listeners}
            await speaker.pause()
            await asyncio.gather(*(states(it, "paused") for it in listeners))
            await speaker.resume()
            await speaker.end()
            for listener in listeners:
                seen = [event.state async for event in listener]
                # The acknowledgement of a heartbeat can tell of the end before the notice does.
                assert [state for state in seen if state != "reconnecting"] == ["joined", "ended"]

    try:
        asyncio.run(play())
    finally:
        beating.set_faults()
