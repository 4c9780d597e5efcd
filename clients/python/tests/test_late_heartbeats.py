"""When heartbeats leave, and how late they can be."""

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


def test_the_heartbeats_of_many_clients_leave_at_whole_seconds() -> None:
    async def test() -> None:
        server = ScriptedServer()
        members = []
        for _ in range(3):
            await loop().elapse(0.3)
            members.append(await joined_listener(server))
        sockets = [socket for _, socket in members]
        await loop().elapse(29)
        assert [len(socket.done) for socket in sockets] == [1, 1, 1]
        await loop().elapse(30 - loop().now)
        assert [socket.done[-1] for socket in sockets] == [{"action": "heartbeat"}] * 3
        for client, _ in members:
            await client.close()

    run(test())
