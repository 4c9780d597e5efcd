"""The application's callback for tokens."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from broadcast_sessions_client import SessionError, Speaker
from client_support.members import CREATED, answered, speaker
from client_support.scripted_loop import loop, run, settle
from client_support.scripted_server import ScriptedServer

WAIT_SECONDS = 10
"""A callback that blocks the loop fails after this time."""


def throws() -> str:
    raise LookupError("there is no token")


async def throws_later() -> str:
    raise LookupError("there is no token")


async def cancels_itself() -> str:
    raise asyncio.CancelledError


async def hangs() -> str:
    await asyncio.Event().wait()
    return "t1"


async def returns_nothing() -> Any:
    return None


async def returns_two_lines() -> str:
    return "t1\r\nHost: evil.example"


async def error_of(create: "asyncio.Task[Any]") -> SessionError:
    with pytest.raises(SessionError) as caught:
        await create
    return caught.value


@pytest.mark.parametrize(
    "callback", [throws_later, cancels_itself, returns_nothing, returns_two_lines, hangs]
)
def test_a_callback_without_a_token_is_a_temporary_failure(callback: Callable[[], Any]) -> None:
    async def test() -> None:
        client = speaker(ScriptedServer(), callback)
        creating = asyncio.create_task(client.create("en"))
        await loop().elapse(30)
        error = await error_of(creating)
        assert (error.code, error.temporary, client.state) == ("TOKEN_FAILED", True, "idle")
        await client.close()

    run(test())


class Expired(SessionError):
    """An error of the application whose constructor takes other arguments."""

    def __init__(self) -> None:
        super().__init__("SIGNED_OUT", "Sign in again.")


def test_an_error_of_any_class_settles_the_call() -> None:
    async def expire() -> str:
        raise Expired

    async def test() -> None:
        client = speaker(ScriptedServer(), expire)
        creating = asyncio.create_task(client.create("en"))
        await settle()
        error = await error_of(creating)
        assert (error.code, error.message, error.temporary) == (
            "SIGNED_OUT",
            "Sign in again.",
            False,
        )
        assert (client.state, client.reason) == ("failed", "SIGNED_OUT")
        await client.close()

    run(test())


@pytest.mark.parametrize("error", [StopIteration, SystemExit])
def test_a_callback_that_ends_its_thread_is_a_temporary_failure(
    error: type[BaseException],
) -> None:
    def end() -> str:
        raise error

    async def test() -> None:
        client = Speaker("ws://127.0.0.1:9", token=end)
        failure = await error_of(asyncio.create_task(client.create("en")))
        assert (failure.code, failure.temporary) == ("TOKEN_FAILED", True)
        await client.close()

    asyncio.run(test())


def test_a_callback_that_ignores_its_cancellation_holds_up_nothing_for_ever() -> None:
    async def test() -> None:
        may_end = asyncio.Event()

        async def ignore() -> str:
            while not may_end.is_set():
                with suppress(asyncio.CancelledError):
                    await may_end.wait()
            return "t1"

        client = speaker(ScriptedServer(), ignore)
        creating = asyncio.create_task(client.create("en"))
        await loop().elapse(30)
        assert (await error_of(creating)).code == "TOKEN_FAILED"
        again = asyncio.create_task(client.create("en"))
        await settle()
        closing = asyncio.create_task(client.close())
        await loop().elapse(4)
        assert (await error_of(again)).code == "CLOSED"
        assert not closing.done()
        await loop().elapse(1)
        await closing
        may_end.set()

    run(test())


def test_a_callback_that_cleans_up_has_ended_when_the_speaker_is_closed() -> None:
    async def test() -> None:
        has_ended = False

        async def clean_up() -> str:
            nonlocal has_ended
            try:
                return await hangs()
            finally:
                await asyncio.sleep(1)
                has_ended = True

        client = speaker(ScriptedServer(), clean_up)
        creating = asyncio.create_task(client.create("en"))
        await settle()
        closing = asyncio.create_task(client.close())
        await loop().elapse(1)
        assert has_ended
        await closing
        assert (await error_of(creating)).code == "CLOSED"

    run(test())


def test_a_failure_is_logged_with_its_exception(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        client = speaker(ScriptedServer(), throws_later)
        with pytest.raises(SessionError) as caught:
            await client.create("en")
        assert isinstance(caught.value.__cause__, LookupError)

    run(test())
    [record] = caplog.records
    assert (record.name, record.levelno) == ("broadcast_sessions_client", logging.WARNING)
    assert record.exc_info
    assert isinstance(record.exc_info[1], LookupError)


def test_a_callback_can_close_the_speaker() -> None:
    async def test() -> None:
        server = ScriptedServer()

        async def close() -> str:
            await client.close()
            return "t1"

        client = speaker(server, close)
        error = await error_of(asyncio.create_task(client.create("en")))
        assert error.code == "CLOSED"
        await settle()
        assert list(server.openings) == []

    run(test())


def test_a_callback_that_blocks_does_not_block_the_loop() -> None:
    has_begun, may_return = threading.Event(), threading.Event()

    def block() -> str:
        has_begun.set()
        assert may_return.wait(WAIT_SECONDS)
        return "t1"

    async def test() -> None:
        client = Speaker("ws://127.0.0.1:9", token=block)
        creating = asyncio.create_task(client.create("en"))
        await asyncio.to_thread(has_begun.wait)
        may_return.set()
        assert (await error_of(creating)).code == "CONNECTION_FAILED"
        await client.close()

    asyncio.run(test())


def test_a_callback_that_blocks_does_not_hold_up_the_close() -> None:
    has_begun, may_return = threading.Event(), threading.Event()

    def block() -> str:
        has_begun.set()
        may_return.wait()
        return "t1"

    async def test() -> None:
        client = Speaker("ws://127.0.0.1:9", token=block)
        creating = asyncio.create_task(client.create("en"))
        await asyncio.to_thread(has_begun.wait)
        await client.close()
        assert (await error_of(creating)).code == "CLOSED"

    asyncio.run(test())
    may_return.set()


def test_a_callback_without_async_can_throw() -> None:
    async def test() -> None:
        client = Speaker("ws://127.0.0.1:9", token=throws)
        assert (await error_of(asyncio.create_task(client.create("en")))).code == "TOKEN_FAILED"

    asyncio.run(test())


def test_tokens_and_invite_codes_reach_neither_a_log_nor_a_repr(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        server = ScriptedServer()
        client = speaker(server, "very-secret")
        creating = asyncio.create_task(client.create("en"))
        socket = await answered(server, CREATED)
        await creating
        socket.serve("garbage with a secret")
        socket.drop()
        await settle()
        assert "secret" not in repr(client) + str(vars(client)["_first_command"])
        await client.close()

    with caplog.at_level(logging.DEBUG):
        run(test())
    assert "secret" not in caplog.text
    assert str(CREATED["inviteCode"]) not in caplog.text
