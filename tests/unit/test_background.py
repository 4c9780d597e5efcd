"""Calls in a thread of their own."""

from contextvars import ContextVar
from threading import Event, get_ident

from chalicelib.background import Background


def test_an_error_is_returned_at_the_end() -> None:
    def fail() -> None:
        raise ValueError("x")

    assert isinstance(Background(fail).finish(), ValueError)


def test_a_call_runs_beside_its_caller_in_the_callers_context() -> None:
    context: ContextVar[str] = ContextVar("context")
    context.set("the caller's")
    seen: list[tuple[str, int]] = []
    may_end = Event()

    def run() -> None:
        assert may_end.wait(10)
        seen.append((context.get(), get_ident()))

    running = Background(run)
    may_end.set()
    assert running.finish() is None
    ((value, thread),) = seen
    assert value == "the caller's"
    assert thread != get_ident()
