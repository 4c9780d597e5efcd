"""Events for the pipeline, which translates and speaks the captions of sessions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Literal

from chalicelib import telemetry
from chalicelib.aws.functions import Functions, InvocationFailed
from chalicelib.background import Background

VERSION: Final = 1
"""The version of the events' form."""

EventType = Literal[
    "sessionStarted",
    "sessionPaused",
    "sessionResumed",
    "sessionInterrupted",
    "sessionEnded",
    "languageActive",
    "languageIdle",
    "captionSpoken",
]
"""The types of events. docs/reference/pipeline.md has their fields."""


class Pipeline:
    """Notifies the function of the pipeline. Thread-safe."""

    def __init__(
        self, functions: Functions, function_name: str | None, clock: Callable[[], float]
    ) -> None:
        """Invoke a function by its name. Without a name, there is no pipeline."""
        self._functions = functions
        self._function_name = function_name
        self._clock = clock

    def notify(
        self,
        event_type: EventType,
        session_id: str,
        *,
        at_seconds: float | None = None,
        **fields: Any,
    ) -> None:
        """Invoke the pipeline's function asynchronously with an event.

        A failure is logged and counted, and never fails the command that caused the event.

        Args:
            event_type: The event's type.
            session_id: The session's ID.
            at_seconds: The time that orders the event among others of its session; now by default.
            **fields: The fields that the type has, named as in the event.
        """
        if not self._function_name:
            return
        at_seconds = self._clock() if at_seconds is None else at_seconds
        event = {
            "version": VERSION,
            "type": event_type,
            "sessionId": session_id,
            "timestamp": int(at_seconds * 1000),
            **fields,
        }
        try:
            self._functions.invoke_later(self._function_name, event)
        except InvocationFailed as error:
            telemetry.put_metrics(PipelineFailures=1)
            telemetry.log_warning(
                "pipeline not notified", sessionId=session_id, type=event_type, cause=str(error)
            )

    @contextmanager
    def notifying(self, event_type: EventType, session_id: str, **fields: Any) -> Iterator[None]:
        """Notify beside the work of a block, which Lambda then can't delay; see `notify`."""
        if not self._function_name:
            yield
            return
        running = Background(partial(self.notify, event_type, session_id, **fields))
        try:
            yield
        finally:
            error = running.finish()
        if error is not None:
            raise error
