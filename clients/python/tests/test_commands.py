"""The application's commands."""

import asyncio
from typing import Any

import pytest

from broadcast_sessions_client import Counts, SessionError
from client_support.members import answered, live_speaker, speaker
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer, ScriptedSocket

REFRESHED = {"type": "connectionRefreshComplete", "connectionId": "a", "status": "active"}


def frames(socket: ScriptedSocket) -> list[dict[str, Any]]:
    return [it for it in socket.done if isinstance(it, dict)]


def test_a_command_survives_any_number_of_drops() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await live_speaker(server)
        pausing = asyncio.create_task(client.pause())
        for _ in range(5):
            await settle()
            assert socket.done.pop() == {"action": "pauseSession"}
            socket.drop()
            await loop().elapse(9)
            socket = await answered(server, REFRESHED)
        socket.serve({"type": "sessionPaused", "timestamp": 1795708800001})
        await pausing
        await client.close()

    run(test())


@pytest.mark.parametrize(("is_connected", "accepted"), [(True, 101), (False, 100)])
def test_of_many_commands_at_once_100_wait(is_connected: bool, accepted: int) -> None:
    async def test() -> None:
        client, socket = await live_speaker(ScriptedServer())
        if not is_connected:
            socket.drop()
            await settle()
        calls = [asyncio.create_task(client.pause()) for _ in range(accepted + 1)]
        await settle()
        assert [call.done() for call in calls] == [False] * accepted + [True]
        assert client.queue == Counts(100, 1)
        await client.close()
        results = await asyncio.gather(*calls, return_exceptions=True)
        codes = [error.code for error in results if isinstance(error, SessionError)]
        assert codes == ["CLOSED"] * accepted + ["QUEUE_FULL"]
        assert client.queue.length == 0

    run(test())


def test_a_loss_at_the_moment_of_many_commands_leaves_the_queue_full() -> None:
    async def test() -> None:
        client, socket = await live_speaker(ScriptedServer())
        calls = [asyncio.create_task(client.pause()) for _ in range(101)]
        socket.drop()
        await settle()
        assert [call.done() for call in calls] == [False] * 101
        late = asyncio.create_task(client.pause())
        await settle()
        assert late.done()
        with pytest.raises(SessionError, match="QUEUE_FULL"):
            await late
        await client.close()
        await asyncio.gather(*calls, return_exceptions=True)

    run(test())


def test_a_cancelled_command_that_waits_is_not_sent() -> None:
    async def test() -> None:
        client, socket = await live_speaker(ScriptedServer())
        first, second = (asyncio.create_task(it()) for it in (client.pause, client.resume))
        await settle()
        second.cancel()
        socket.serve({"type": "sessionPaused", "timestamp": 1795708800001})
        await first
        await settle()
        sent = [frame["action"] for frame in frames(socket)]
        assert sent == ["createSession", "pauseSession"]
        assert client.queue.length == 0
        await client.close()

    run(test())


def test_a_command_that_is_cancelled_without_a_connection_is_never_sent() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await live_speaker(server)
        socket.drop()
        await settle()
        ending = asyncio.create_task(client.end())
        await settle()
        ending.cancel()
        await loop().elapse(1)
        socket = await answered(server, REFRESHED)
        assert [frame["action"] for frame in frames(socket)] == ["refreshConnection"]
        pausing = asyncio.create_task(client.pause())
        await settle()
        assert socket.done.pop() == {"action": "pauseSession"}
        await client.close()
        assert isinstance(pausing.exception(), SessionError)

    run(test())


def test_a_command_that_is_cancelled_in_flight_is_not_sent_again() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await live_speaker(server)
        ending, pausing = (asyncio.create_task(it()) for it in (client.end, client.pause))
        await settle()
        socket.drop()
        await settle()
        ending.cancel()
        await loop().elapse(1)
        socket = await answered(server, REFRESHED)
        sent = [frame["action"] for frame in frames(socket)]
        assert sent == ["refreshConnection", "pauseSession"]
        await client.close()
        assert isinstance(pausing.exception(), SessionError)

    run(test())


def test_a_command_that_is_cancelled_in_its_wait_holds_up_no_other() -> None:
    async def test() -> None:
        client, socket = await live_speaker(ScriptedServer())
        pausing, resuming = (asyncio.create_task(it()) for it in (client.pause, client.resume))
        await settle()
        busy = {"type": "error", "code": "SERVICE_UNAVAILABLE", "temporary": True}
        socket.serve(busy | {"retryAfter": 3600})
        await settle()
        pausing.cancel()
        await settle()
        assert socket.done.pop() == {"action": "resumeSession"}
        await client.close()
        assert isinstance(resuming.exception(), SessionError)

    run(test())


def test_cancelled_commands_take_no_place_in_the_queue() -> None:
    async def test() -> None:
        client, socket = await live_speaker(ScriptedServer())
        socket.drop()
        await settle()
        calls = [asyncio.create_task(client.status()) for _ in range(100)]
        await settle()
        for call in calls:
            call.cancel()
        await settle()
        assert client.queue == Counts(0, 0)
        pausing = asyncio.create_task(client.pause())
        await settle()
        assert not pausing.done()
        assert client.queue == Counts(1, 0)
        await client.close()
        assert isinstance(pausing.exception(), SessionError)

    run(test())


def test_an_error_without_a_type_belongs_to_the_command_and_not_to_the_heartbeat() -> None:
    async def test() -> None:
        client, socket = await live_speaker(ScriptedServer())
        await loop().elapse(30)
        pausing = asyncio.create_task(client.pause())
        await settle()
        socket.serve({"message": "Internal server error", "connectionId": "a", "requestId": "b"})
        await loop().elapse(1)
        sent = [frame["action"] for frame in frames(socket)]
        assert sent[1:] == ["heartbeat", "pauseSession", "pauseSession"]
        await client.close()
        assert isinstance(pausing.exception(), SessionError)

    run(test())


def test_a_command_without_a_session_is_refused_at_once() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = speaker(server)
        for command in (client.pause, client.resume, client.end, client.status):
            with pytest.raises(SessionError) as caught:
                await command()
            assert (caught.value.code, caught.value.temporary) == ("NO_SESSION", False)
        creating = asyncio.create_task(client.create("en"))
        pausing = asyncio.create_task(client.pause())
        await settle()
        server.openings.popleft().answer("reset")
        for call, code in ((creating, "CONNECTION_FAILED"), (pausing, "NO_SESSION")):
            with pytest.raises(SessionError, match=code):
                await call
        with pytest.raises(SessionError, match="NO_SESSION"):
            await client.rotate_invite_code()
        await client.close()

    run(test())


def test_a_command_whose_sending_fails_with_the_connection_is_sent_again() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await live_speaker(server)
        is_reset = asyncio.Event()

        async def fail_when_reset(_: str) -> None:
            await is_reset.wait()
            raise ConnectionResetError

        socket.send = fail_when_reset  # type: ignore[method-assign]
        pausing = asyncio.create_task(client.pause())
        await settle()
        socket.drop()
        await settle()
        is_reset.set()
        await loop().elapse(1)
        again = await answered(server, REFRESHED)
        assert again.done.pop() == {"action": "pauseSession"}
        again.serve({"type": "sessionPaused", "timestamp": 1795708800001})
        await pausing
        await client.close()

    run(test())
