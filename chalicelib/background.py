"""A call in a thread of its own, beside the work of the calling thread."""

from collections.abc import Callable
from contextvars import copy_context
from threading import Thread


class Background:
    """Runs a call at once, in the caller's context, which has the event's budget and log fields."""

    def __init__(self, call: Callable[[], None]) -> None:
        """Start the call."""
        self._call = call
        self._error: Exception | None = None
        self._thread = Thread(target=copy_context().run, args=(self._run,))
        self._thread.start()

    def _run(self) -> None:
        try:
            self._call()
        except Exception as error:
            self._error = error

    def finish(self) -> Exception | None:
        """Wait for the end of the call, and return its error, if any."""
        self._thread.join()
        return self._error
