"""The sweep, which repairs, once a minute, state that no event has cleaned up."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from chalicelib import telemetry
from chalicelib.audience import IDLE_SECONDS, Audience
from chalicelib.aws.connections import Connections
from chalicelib.aws.retries import event_budget, seconds_left
from chalicelib.ending import Ending
from chalicelib.errors import ServiceError
from chalicelib.lifecycle import Lifecycle, sleep_until
from chalicelib.limits import Graces
from chalicelib.models import Session, SessionStatus
from chalicelib.notices import Notices
from chalicelib.outcomes import Outcomes
from chalicelib.pipeline import Pipeline
from chalicelib.session_repair import SessionRepair
from chalicelib.slices import Slices
from chalicelib.store.stores import Stores
from chalicelib.store.sweep_cursor import SweepCursor
from chalicelib.sweep_report import Report, Visit

INTERVAL_SECONDS: Final = 60
"""Interval between sweeps, the shortest possible. Source: "Rate expressions", EventBridge."""

WORK_SECONDS: Final = 40
"""How long a sweep visits new sessions. The next sweep begins with the rest."""

DEADLINE_SECONDS: Final = 110
"""The end of all work of a sweep, including graces and visits that it has begun. Requests that
begin just before take at most 28 s more: 10 s for posts, 9 s for a request to DynamoDB, and 9 s for
storing the cursor. So the sweep ends before Lambda stops it after 150 s.
"""

PAGE_SESSIONS: Final = 50
SESSION_THREADS: Final = 8
"""Sessions visited side by side. A visit mostly waits for DynamoDB."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The end of a session's grace, or of an active language's time without listeners.

    Attributes:
        until_ms: When it ends, in Unix milliseconds.
        session: The session, as the sweep has read it.
        language: The language, or None for a grace.
    """

    until_ms: int
    session: Session
    language: str | None = None


class Sweep:
    """Visits every session.

    A $disconnect may never come, a function may stop between two writes, and a session may expire.
    A sweep may be repeated, and two may run at once; see SessionRepair. If a session fails, the
    sweep logs it and leaves it to the next sweep.
    """

    def __init__(
        self,
        stores: Stores,
        repair: SessionRepair,
        audience: Audience,
        ending: Ending,
        *,
        clock: Callable[[], float],
        stopwatch: Callable[[], float],
        sleep: Callable[[float], None],
        page_sessions: int,
        session_threads: int,
    ) -> None:
        self._sessions = stores.sessions
        self._cursor = stores.sweep_cursor
        self._repair = repair
        self._audience = audience
        self._ending = ending
        self._clock = clock
        self._stopwatch = stopwatch
        self._sleep = sleep
        self._page_sessions = page_sessions
        self._session_threads = session_threads

    def run(self, request_id: str | None = None) -> Report:
        """Sweep once.

        Args:
            request_id: The ID of the Lambda invocation, for the log.

        Raises:
            ServiceUnavailable: The sessions can't be read.
        """
        with telemetry.handled("sweep", request_id=request_id, is_clients=False):
            report = self._run()
            telemetry.log_done("sweep done", **report.to_fields())
            telemetry.put_metrics(SweepRepairs=report.repaired)
            if report.removed:
                telemetry.put_metrics(ParticipantsLost=report.removed)
            if report.is_complete:
                telemetry.put_metrics(
                    ActiveSessions=report.active_sessions, TotalListeners=report.listeners
                )
            return report

    def _run(self) -> Report:
        """Visit all sessions, or as many as the time allows.

        A page of sessions bounds the memory. WORK_SECONDS bounds the time for visits. Afterwards,
        the sweep waits for graces that end before the next sweep begins, which ends their sessions
        in time, and for languages that become idle until then. After DEADLINE_SECONDS, it leaves
        the rest to the next sweep.
        """
        began_at = self._stopwatch()
        stop_at, ends_at = began_at + WORK_SECONDS, began_at + DEADLINE_SECONDS
        cursor = self._cursor.get()
        is_stored = cursor.after_session_id is not None
        report = Report(cursor.active_sessions, cursor.listeners)
        waits: list[Wait] = []
        with ThreadPoolExecutor(self._session_threads) as pool:
            while not report.is_complete and self._stopwatch() < stop_at:
                sessions, last = self._sessions.scan_page(
                    cursor.after_session_id, self._page_sessions
                )
                waits += self._waits(sessions)
                report.add(pool.map(partial(self._visit_safely, ends_at), sessions))
                report.is_complete = last is None
                cursor = SweepCursor(last, report.active_sessions, report.listeners)
                if is_stored or not report.is_complete:
                    self._cursor.put(cursor)
                    is_stored = not report.is_complete
            waits.sort(key=lambda wait: wait.until_ms)
            for visit in pool.map(partial(self._wait_safely, ends_at), waits):
                report.ended += visit.has_ended
                report.failed += visit.has_failed
        return report

    def _waits(self, sessions: Iterable[Session]) -> list[Wait]:
        """List the graces that end, and the languages that become idle, before the next sweep."""
        now_ms = self._clock() * 1000
        return [
            wait
            for session in sessions
            if session.status is not SessionStatus.ENDED
            for wait in _waits_of(session)
            if 0 < wait.until_ms - now_ms <= INTERVAL_SECONDS * 1000
        ]

    def _wait_safely(self, ends_at: float, wait: Wait) -> Visit:
        return self._safely(ends_at, wait.session.session_id, lambda: self._wait(wait))

    def _wait(self, wait: Wait) -> Visit:
        """Wait, unless the deadline comes first, and end the session or a language's activity."""
        if wait.until_ms / 1000 - self._clock() >= seconds_left():
            return Visit()
        sleep_until(wait.until_ms / 1000, self._clock, self._sleep)
        if wait.language is None:
            return Visit(has_ended=self._ending.end_after_grace(wait.session.session_id))
        self._audience.end_if_idle(wait.session, wait.language)
        return Visit()

    def _visit_safely(self, ends_at: float, session: Session) -> Visit:
        return self._safely(ends_at, session.session_id, lambda: self._repair.visit(session))

    def _safely(self, ends_at: float, session_id: str, visit: Callable[[], Visit]) -> Visit:
        """Visit a session in a thread, unless the deadline has passed, and log a failure."""
        with event_budget(ends_at - self._stopwatch(), self._stopwatch):
            if seconds_left() <= 0:
                return Visit(has_failed=True)
            try:
                return visit()
            except Exception as error:
                _log_failed(session_id, error)
                return Visit(has_failed=True)


def _waits_of(session: Session) -> Iterator[Wait]:
    if session.grace_ends_at_ms is not None:
        yield Wait(session.grace_ends_at_ms, session)
    for language, since_ms in session.quiet_since_ms.items():
        yield Wait(since_ms + IDLE_SECONDS * 1000, session, language)


def _log_failed(session_id: str, error: Exception) -> None:
    if isinstance(error, ServiceError):
        telemetry.log_warning(
            "session not swept", sessionId=session_id, code=error.code, cause=error.message
        )
    else:
        telemetry.log_failure(sessionId=session_id)


def build_sweep(
    stores: Stores,
    connections: Connections,
    graces: Graces,
    max_listeners: int,
    *,
    pipeline: Pipeline,
    outcomes: Outcomes,
    endpoint_url: str,
    clock: Callable[[], float],
    stopwatch: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    page_sessions: int = PAGE_SESSIONS,
    session_threads: int = SESSION_THREADS,
    slices: Slices | None = None,
) -> Sweep:
    """Build the sweep, without the use cases of clients.

    Args:
        stores: The stores.
        connections: The API's @connections.
        graces: How long sessions wait for their speakers.
        max_listeners: The seats of a session.
        pipeline: Notifies the pipeline.
        outcomes: Requests notices of the status.
        endpoint_url: The URL of the API's @connections.
        clock: Returns the Unix time in seconds.
        stopwatch: Measures in seconds how long the sweep lasts.
        sleep: Waits for a number of seconds.
        page_sessions: The number of sessions that are read at once.
        session_threads: The number of sessions that are visited side by side.
        slices: Requests the slices of large fan-outs. Without it, the sweep makes all posts.
    """
    audience = Audience(stores, pipeline, outcomes, endpoint_url, clock)
    notices = Notices(stores, connections, audience, pipeline, clock, sleep, slices)
    ending = Ending(stores, notices, pipeline, clock)
    lifecycle = Lifecycle(stores, notices, ending, connections, pipeline, graces, clock, sleep)
    return Sweep(
        stores,
        SessionRepair(stores, audience, lifecycle, ending, max_listeners, clock),
        audience,
        ending,
        clock=clock,
        stopwatch=stopwatch,
        sleep=sleep,
        page_sessions=page_sessions,
        session_threads=session_threads,
    )
