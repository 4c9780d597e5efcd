"""The sweep, which repairs, once a minute, state that no event has cleaned up."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from chalicelib import telemetry
from chalicelib.audience import IDLE_SECONDS, Audience
from chalicelib.aws.connections import Connections
from chalicelib.aws.retries import event_budget, seconds_left
from chalicelib.counts import count_drifts, drifts_to_repair
from chalicelib.ending import Ending
from chalicelib.errors import ServiceError
from chalicelib.lifecycle import Lifecycle, sleep_until
from chalicelib.limits import Graces
from chalicelib.models import IN_FLIGHT_SECONDS, CountNote, Participant, Session, SessionStatus
from chalicelib.notices import Notices
from chalicelib.outcomes import Outcomes
from chalicelib.pipeline import Pipeline
from chalicelib.slices import Slices
from chalicelib.store.stores import Stores
from chalicelib.store.sweep_cursor import SweepCursor

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
class Visit:
    """The findings and changes of a sweep in one session."""

    is_active: bool = False
    listeners: int = 0
    removed: int = 0
    repaired: int = 0
    has_ended: bool = False
    has_failed: bool = False


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


@dataclass(slots=True)
class Report:
    """The findings and changes of a sweep.

    If `is_complete` is true, `active_sessions` and `listeners` are those of all sessions. A sweep
    that runs out of time passes these two numbers to the next one.
    """

    active_sessions: int = 0
    listeners: int = 0
    visited: int = 0
    ended: int = 0
    removed: int = 0
    repaired: int = 0
    failed: int = 0
    is_complete: bool = False

    def to_fields(self) -> dict[str, int | bool]:
        """Return the report as log fields."""
        return {
            "activeSessions": self.active_sessions,
            "listeners": self.listeners,
            "visited": self.visited,
            "ended": self.ended,
            "removed": self.removed,
            "mended": self.repaired,
            "notSwept": self.failed,
            "isComplete": self.is_complete,
        }

    def add(self, visits: Iterable[Visit]) -> None:
        """Add visits."""
        for visit in visits:
            self.visited += 1
            self.active_sessions += visit.is_active
            self.listeners += visit.listeners
            self.ended += visit.has_ended
            self.removed += visit.removed
            self.repaired += visit.repaired
            self.failed += visit.has_failed


class Sweep:
    """Visits every session.

    A $disconnect may never come, a function may stop between two writes, and a session may expire.
    A sweep may be repeated, and two may run at once, because every change is a conditional write or
    harmless if repeated. If a session fails, the sweep logs it and leaves it to the next sweep.
    """

    def __init__(
        self,
        stores: Stores,
        audience: Audience,
        lifecycle: Lifecycle,
        ending: Ending,
        max_listeners: int,
        *,
        clock: Callable[[], float],
        stopwatch: Callable[[], float],
        sleep: Callable[[float], None],
        page_sessions: int,
        session_threads: int,
    ) -> None:
        self._sessions = stores.sessions
        self._participants = stores.participants
        self._listeners = stores.listeners
        self._seats = stores.seats
        self._cursor = stores.sweep_cursor
        self._audience = audience
        self._lifecycle = lifecycle
        self._ending = ending
        self._max_listeners = max_listeners
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
        return self._safely(ends_at, session.session_id, lambda: self._visit(session))

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

    def _visit(self, session: Session) -> Visit:
        now = self._clock()
        if session.status is SessionStatus.ENDED:
            self._finish_end(session, now)
            return Visit()
        if session.is_expired(now):
            return Visit(has_ended=self._ending.end_expired(session.session_id))
        if session.is_grace_over(now):
            return Visit(has_ended=self._ending.end_after_grace(session.session_id))
        if session.grace_ends_at_ms is None:
            self._check_speaker(session, now)
        self._audience.check(session)
        return self._check_listeners(session, now)

    def _finish_end(self, session: Session, now: float) -> None:
        """Continue an incomplete end, and delete the session when no event can be working on it."""
        if not self._ending.finish(session):
            # Another sweep may have found no listeners while this one had removed them.
            self._sessions.put_back(session)
        elif now - (session.ended_at_ms or 0) / 1000 >= IN_FLIGHT_SECONDS:
            self._sessions.delete(session.session_id)

    def _check_speaker(self, session: Session, now: float) -> None:
        speaker = self._participants.find_present(session.speaker_connection_id)
        if speaker is None or speaker.session_id != session.session_id:
            # Two reads may see only half of the transaction that created both. Source: "Amazon
            # DynamoDB Transactions: How it works" (only TransactGetItems reads a snapshot).
            if now - session.created_at_ms / 1000 >= IN_FLIGHT_SECONDS:
                self._lifecycle.handle_lost_speaker(session, None)
        elif speaker.is_lost(now):
            self._lifecycle.handle_lost_speaker(session, speaker)

    def _check_listeners(self, session: Session, now: float) -> Visit:
        """Remove lost listeners and incomplete joins, and repair the counts.

        The reads are eventually consistent, because each removal has its own condition.
        """
        listing = self._listeners.list_all(session.session_id)
        participants = [
            each
            for each in self._listeners.find_many(listing.present.keys() | listing.arriving)
            if each.session_id == session.session_id
        ]
        lost = [each for each in participants if each.is_present and each.is_lost(now)]
        removed = self._lifecycle.remove_lost_listeners(session.session_id, lost)
        self._remove_broken_off(listing.arriving, participants, now)
        changes = session.changes + (removed > 0)
        return Visit(
            is_active=True,
            listeners=len(listing.present) - removed,
            removed=removed,
            repaired=self._repair_counts(session, Counter(listing.present.values()), changes, now),
        )

    def _remove_broken_off(
        self, arriving: Collection[str], participants: Iterable[Participant], now: float
    ) -> None:
        """Remove incomplete joins. They have no seats."""
        for each in participants:
            if each.connection_id in arriving and not each.is_present and each.is_past_joining(now):
                self._participants.delete_arriving(each)

    def _repair_counts(
        self, session: Session, listed: Mapping[str, int], changes: int, now: float
    ) -> int:
        """Repair counts that two sweeps have found wrong, and store those that are wrong now.

        Args:
            session: The session.
            listed: The number of listeners per target language.
            changes: The session's `changes` if no listener has come or gone since the reads.
            now: Unix time in seconds.

        Returns:
            The largest number by which a count was repaired.
        """
        drifts = count_drifts(session, listed)
        certain = drifts_to_repair(session, drifts, now)
        now_ms = int(now * 1000)
        if certain:
            rest = {key: left for key, it in drifts.items() if (left := it - certain.get(key, 0))}
            repaired = self._audience.repair(
                session.session_id,
                certain,
                CountNote(changes + 1, rest, now_ms),
                self._max_listeners,
            )
            return max(map(abs, certain.values())) if repaired else 0
        note = session.count_note
        noted = note.drifts if note and note.changes == changes else {}
        if any(drifts.get(key, 0) * noted.get(key, 0) <= 0 for key in {*drifts, *noted}):
            self._seats.note_drifts(session.session_id, CountNote(changes, drifts, now_ms))
        return 0


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
    return Sweep(
        stores,
        audience,
        Lifecycle(stores, notices, ending, connections, pipeline, graces, clock, sleep),
        ending,
        max_listeners,
        clock=clock,
        stopwatch=stopwatch,
        sleep=sleep,
        page_sessions=page_sessions,
        session_threads=session_threads,
    )
