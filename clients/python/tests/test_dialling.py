"""Connections that can't be opened."""

import asyncio
import logging
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from websockets.exceptions import InvalidMessage

from broadcast_sessions_client import Failed, Listener, SessionError, Speaker
from client_support.members import (
    SESSION,
    URL,
    joined_listener,
    listener,
    live_speaker,
    waiting_events,
)
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer, ScriptedSocket


def raises(error: Exception) -> Callable[[str, Mapping[str, str]], Any]:
    async def connect(_url: str, _headers: Mapping[str, str]) -> ScriptedSocket:
        raise error

    return connect


@pytest.mark.parametrize(
    "error", [ImportError("python-socks"), ValueError(), RuntimeError(), TypeError()], ids=repr
)
def test_an_unexpected_failure_is_final(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        environment = replace(ScriptedServer().environment, connect=raises(error))
        client = Listener(URL, session=SESSION, language="es", environment=environment)
        with pytest.raises(SessionError) as caught:
            await client.join()
        assert (caught.value.code, caught.value.temporary) == ("CONNECTION_FAILED", False)
        assert caught.value.__cause__ is error
        assert (await waiting_events(client))[-1].state == "failed"
        await client.close()

    with caplog.at_level(logging.ERROR):
        run(test())
    [record] = caplog.records
    assert record.exc_info
    assert record.exc_info[1] is error


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(), TimeoutError(), EOFError(), InvalidMessage("")]
)
def test_a_failure_of_the_network_is_temporary(error: Exception) -> None:
    async def test() -> None:
        environment = replace(ScriptedServer().environment, connect=raises(error))
        client = Speaker(URL, token="t1", environment=environment)
        with pytest.raises(SessionError) as caught:
            await client.create("en")
        assert (caught.value.code, caught.value.temporary) == ("CONNECTION_FAILED", True)
        await client.close()

    run(test())


def test_an_invite_code_that_cannot_be_encoded_fails_and_stays_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        environment = ScriptedServer().environment
        client = Listener(
            URL, session=SESSION, language="es", invite="secret\ud800", environment=environment
        )
        with pytest.raises(SessionError, match="CONNECTION_FAILED"):
            await client.join()
        assert client.state == "failed"
        await client.close()

    run(test())
    assert caplog.text
    assert "secret" not in caplog.text


def test_a_parameter_that_cannot_be_encoded_settles_the_call() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, _ = await joined_listener(server)
        language: Any = b"es"
        with pytest.raises(TypeError):
            await client.change_language(language)
        await client.close()

        creator = Speaker(URL, token="t1", environment=server.environment)
        creating = asyncio.create_task(creator.create(language))
        await settle()
        socket = server.openings.popleft().answer()
        with pytest.raises(SessionError, match="CONNECTION_FAILED"):
            await creating
        assert not socket.is_open
        await creator.close()

    run(test())


def test_a_failure_while_coming_back_is_the_last_event() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client, socket = await joined_listener(server)
        socket.drop()
        await settle()
        await loop().elapse(0.25)
        server.openings.popleft().fail(NotImplementedError())
        assert isinstance([event async for event in client][-1], Failed)
        await client.close()

    run(test())


def test_a_failure_between_the_attempts_is_final(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> float:
        raise LookupError

    async def test() -> None:
        server = ScriptedServer()
        server.environment = replace(server.environment, random=fail)
        client = listener(server)
        joining = asyncio.create_task(client.join())
        await settle()
        server.openings.popleft().answer("reset")
        await settle()
        with pytest.raises(SessionError) as caught:
            await joining
        assert (caught.value.code, caught.value.temporary) == ("CONNECTION_FAILED", False)
        assert client.state == "failed"
        await client.close()

    run(test())
    assert [record.exc_info is not None for record in caplog.records] == [True]


@pytest.mark.parametrize("code", ["CONNECTION_FAILED", "NO_ANSWER", "TOKEN_FAILED"])
def test_a_code_of_the_client_that_the_service_sends_is_an_ordinary_refusal(code: str) -> None:
    refusal = {"type": "error", "code": code, "message": "", "temporary": True, "retryAfter": 7}

    async def test() -> None:
        server = ScriptedServer()
        client, socket = await live_speaker(server)
        await loop().elapse(30)
        socket.serve(refusal)
        pausing = asyncio.create_task(client.pause())
        await settle()
        socket.serve(refusal)
        await loop().elapse(7)
        assert (client.state, socket.is_open, pausing.done()) == ("live", True, False)
        await client.close()
        assert isinstance(pausing.exception(), SessionError)

        joining = listener(server)
        call = asyncio.create_task(joining.join())
        await settle()
        socket = server.openings.popleft().answer()
        await settle()
        socket.serve(refusal)
        with pytest.raises(SessionError, match=code):
            await call
        assert (joining.state, joining.reason) == ("reconnecting", code)
        await joining.close()

    run(test())


def test_errors_can_be_copied_and_shared_ones_grow_no_traceback() -> None:
    async def test() -> None:
        client, socket = await live_speaker(ScriptedServer())
        socket.serve({"type": "sessionEnded", "reason": "expired"})
        await settle()
        caught = []
        for _ in range(2):
            with pytest.raises(SessionError) as raised:
                await client.pause()
            caught.append(raised.value)
        assert caught[0] is not caught[1]
        again = pickle.loads(pickle.dumps(caught[0]))
        assert vars(again) == vars(caught[0]) == vars(caught[1])
        assert str(again) == str(caught[0])
        await client.close()

    run(test())


def test_each_of_several_calls_gets_an_error_of_its_own() -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = listener(server)
        calls = [asyncio.create_task(client.join()) for _ in range(2)]
        await settle()
        server.openings.popleft().answer("reset")
        first, second = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(first, SessionError)
        assert isinstance(second, SessionError)
        assert first is not second
        await client.close()

    run(test())
