"""The pool of threads alone."""

import asyncio
import logging
from functools import partial

import pytest

from local_gateway.workers import Workers


def test_a_callback_that_fails_stops_no_other_and_its_data_stays_out_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        workers = Workers(loop)
        results: asyncio.Queue[str] = asyncio.Queue()

        def done(result: str, _error: BaseException | None) -> None:
            if result == "private text":
                raise KeyError("requestContext")
            results.put_nowait(result)

        workers.run(str, "private text", 10, done)
        workers.run(str, "hello", 10, done)

        assert await results.get() == "hello"
        assert workers.running_count == 0

    with caplog.at_level(logging.ERROR, "asyncio"):
        asyncio.run(asyncio.wait_for(run(), 10))
    assert "KeyError: 'requestContext'" in caplog.text
    assert "private text" not in caplog.text


def test_a_callback_that_fails_after_a_timeout_keeps_its_data_out_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        failed = asyncio.Event()

        def done(_event: str, _result: str, _error: BaseException | None) -> None:
            failed.set()
            raise KeyError("requestContext")

        workers = Workers(asyncio.get_running_loop())
        workers.run(str, "", 0, partial(done, "private text"))
        await failed.wait()

    with caplog.at_level(logging.ERROR, "asyncio"):
        asyncio.run(asyncio.wait_for(run(), 10))
    assert "KeyError: 'requestContext'" in caplog.text
    assert "private text" not in caplog.text
