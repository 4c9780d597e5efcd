"""The pool of threads alone."""

import asyncio
import logging
import threading
from functools import partial

import pytest

from local_gateway import workers as pool
from local_gateway.workers import READY_THREADS, TimedOut, Workers


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


def test_an_idle_thread_takes_a_call_at_once_however_many_calls_hang() -> None:
    async def run() -> None:
        workers = Workers(asyncio.get_running_loop())
        await _run_together(workers, READY_THREADS + 1)
        gate, started = threading.Event(), threading.Event()
        for _ in range(READY_THREADS):
            workers.run(lambda _: gate.wait(), None, 60, lambda *_: None)

        workers.run(lambda _: started.set(), None, 60, lambda *_: None)

        # The wait blocks the event loop, so no timer can pass the call on.
        assert started.wait(10)
        gate.set()

    asyncio.run(asyncio.wait_for(run(), 30))


def test_calls_whose_thread_cannot_start_wait_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    failures = [2]

    def start_or_fail(thread: threading.Thread) -> None:
        if failures[0]:
            failures[0] -= 1
            raise RuntimeError("can't start new thread")
        start(thread)

    async def run() -> None:
        workers = Workers(asyncio.get_running_loop())
        monkeypatch.setattr(threading.Thread, "start", start_or_fail)
        assert len(await _run_together(workers, 1)) == 1

        failures[0] = 2
        assert len(await _run_together(workers, READY_THREADS + 4)) == READY_THREADS + 4
        assert workers.running_count == 0

    monkeypatch.setattr(pool, "RETRY_SECONDS", 0)
    asyncio.run(asyncio.wait_for(run(), 10))


def test_a_call_that_times_out_while_it_waits_for_a_thread_never_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        workers = Workers(asyncio.get_running_loop())
        gate, ran, error = threading.Event(), threading.Event(), asyncio.Queue[object]()
        workers.run(lambda _: gate.wait(), None, 60, lambda *_: None)
        workers.run(lambda _: ran.set(), None, 0, lambda _, error_: error.put_nowait(error_))
        assert isinstance(await error.get(), TimedOut)
        assert workers.running_count == 1

        gate.set()
        assert len(await _run_together(workers, 1)) == 1
        assert not ran.is_set()

    monkeypatch.setattr(pool, "MAX_THREADS", 1)
    monkeypatch.setattr(pool, "READY_THREADS", 1)
    asyncio.run(asyncio.wait_for(run(), 10))
