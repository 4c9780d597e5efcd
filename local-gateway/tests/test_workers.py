"""The pool of threads alone."""

import asyncio
import logging
import threading
from functools import partial

import pytest

from local_gateway.workers import IDLE_SECONDS, READY_THREADS, Workers


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


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock a test can advance."""

    advanced_seconds = 0.0

    def time(self) -> float:
        return super().time() + self.advanced_seconds


async def _run_together(workers: Workers, count: int) -> list[threading.Thread]:
    """Run calls in as many threads at once, and return the threads in the order of their ends."""
    gates = [threading.Event() for _ in range(count)]
    started: asyncio.Queue[None] = asyncio.Queue()
    ended: asyncio.Queue[threading.Thread] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def call(gate: threading.Event) -> threading.Thread:
        loop.call_soon_threadsafe(started.put_nowait, None)
        gate.wait()
        return threading.current_thread()

    def done(thread: threading.Thread, _error: BaseException | None) -> None:
        ended.put_nowait(thread)

    for gate in gates:
        workers.run(call, gate, 60, done)
    for _ in gates:
        await started.get()
    threads = []
    for gate in gates:
        gate.set()
        threads.append(await ended.get())
    return threads


def test_the_thread_that_became_idle_last_runs_the_next_call() -> None:
    async def run() -> None:
        workers = Workers(asyncio.get_running_loop())
        threads = await _run_together(workers, 20)

        assert await _run_together(workers, 1) == [threads[-1]]
        assert await _run_together(workers, 1) == [threads[-1]]
        assert await _run_together(workers, 2) == [threads[-1], threads[-2]]

    asyncio.run(asyncio.wait_for(run(), 10))


def test_unneeded_threads_end_after_a_while_except_the_ready_ones() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, _Loop)
        workers = Workers(loop)
        threads = await _run_together(workers, 20)

        for _ in range(2):
            loop.advanced_seconds += IDLE_SECONDS
            await _run_together(workers, 1)
        for thread in threads[:-READY_THREADS]:
            await asyncio.to_thread(thread.join, 10)
            assert not thread.is_alive()
        kept = await _run_together(workers, READY_THREADS)
        assert set(kept) == set(threads[-READY_THREADS:])

    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(asyncio.wait_for(run(), 10 * IDLE_SECONDS))


def test_threads_that_each_burst_needs_do_not_end() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, _Loop)
        workers = Workers(loop)
        threads = await _run_together(workers, 20)
        for _ in range(4):
            loop.advanced_seconds += IDLE_SECONDS
            assert set(await _run_together(workers, 20)) == set(threads)

    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(asyncio.wait_for(run(), 10 * IDLE_SECONDS))
