"""Heartbeats that are late because the process stood still."""

import pytest

from client_support.members import joined_listener
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer

HEARTBEAT_SECONDS = 30


@pytest.mark.parametrize(
    ("late_seconds", "state", "reason"), [(75, "joined", None), (76, "reconnecting", "slept")]
)
def test_a_connection_is_dead_if_a_heartbeat_is_more_than_75_seconds_late(
    late_seconds: int, state: str, reason: str | None
) -> None:
    async def test() -> None:
        client, _ = await joined_listener(ScriptedServer())
        loop().now += HEARTBEAT_SECONDS + late_seconds
        await settle()
        assert (client.state, client.reason) == (state, reason)
        await client.close()

    run(test())
