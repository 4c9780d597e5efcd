"""The sweep: repairs, once a minute, state that no event has cleaned up.

$disconnect may never come, a function may break off between two writes, a session may just run out.
A sweep looks at every session in turn. It may be repeated, and two may be at work at once: all
that it does is a conditional write, or does no harm twice. A session that fails is logged and left
to the next sweep.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

from chalicelib import telemetry
from chalicelib.aws.retries import event_budget, seconds_left
from chalicelib.errors import ServiceError
from chalicelib.lifecycle import Lifecycle, nap_until
from chalicelib.models import (
    IN_FLIGHT_SECONDS,
    Connection,
    CountNote,
    Session,
    SessionStatus,
    count_drifts,
    drifts_to_mend,
)
from chalicelib.store import Store, SweepCursor

INTERVAL_SECONDS: Final = 60
"""How often a sweep begins. Source: "Rate expressions", Amazon EventBridge User Guide (no less)."""

WORK_SECONDS: Final = 40
"""How long a sweep goes on to new sessions. The next one begins with what is left."""

DEADLINE_SECONDS: Final = 110
"""The end of a sweep's work, also at graces and at sessions that it has begun. The last requests
that begin by then take 23 s more at worst: 10 s of posts, a request of 5 s to DynamoDB, and the
cursor's with its retries. So the sweep ends before Lambda stops it, after 150 s.
"""

PAGE_SESSIONS: Final = 50
SESSION_THREADS: Final = 8
"""Sessions looked at side by side: a look is mostly waiting for DynamoDB."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a sweep found and did at one session."""

    is_active: bool = False
    listeners: int = 0
    removed: int = 0
    mended: int = 0
    has_ended: bool = False
    has_failed: bool = False


@dataclass(slots=True)
class Report:
    """What a sweep found and did.

    `active_sessions` and `listeners` are of all sessions once `is_complete`; a sweep that ran out
    of time hands them on to the next.
    """

    active_sessions: int = 0
    listeners: int = 0
    visited: int = 0
    ended: int = 0
    removed: int = 0
    mended: int = 0
    failed: int = 0
    is_complete: bool = False

    def to_fields(self) -> dict[str, int | bool]:
        """Say it in the log's words."""
        return {
            "activeSessions": self.active_sessions,
            "listeners": self.listeners,
            "visited": self.visited,
            "ended": self.ended,
            "removed": self.removed,
            "mended": self.mended,
            "notSwept": self.failed,
            "isComplete": self.is_complete,
        }

    def add(self, visits: Iterable[Visit]) -> None:
        for visit in visits:
            self.visited += 1
            self.active_sessions += visit.is_active
            self.listeners += visit.listeners
            self.ended += visit.has_ended
            self.removed += visit.removed
            self.mended += visit.mended
            self.failed += visit.has_failed


@dataclass(frozen=True, slots=True)
class Sweep:
    lifecycle: Lifecycle
    max_listeners: int
    clock: Callable[[], float]
    stopwatch: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    page_sessions: int = PAGE_SESSIONS
    session_threads: int = SESSION_THREADS

    @property
    def store(self) -> Store:
        return self.lifecycle.store

    def run(self, request_id: str | None = None) -> Report:
        """Sweep, as an event that `request_id` names in the log.

        Raises: ServiceUnavailable if the sessions cannot be read.
        """
        with telemetry.handled("sweep", request_id=request_id, is_clients=False):
            report = self._run()
            telemetry.log_done("sweep done", **report.to_fields())
            telemetry.put_metrics(SweepRepairs=report.mended)
            if report.removed:
                telemetry.put_metrics(ParticipantsLost=report.removed)
            if report.is_complete:
                telemetry.put_metrics(
                    ActiveSessions=report.active_sessions, TotalListeners=report.listeners
                )
            return report

    def _run(self) -> Report:
        """Look at all sessions, or at as many as there is time for.

        Bounded in memory by a page of sessions, and in time by WORK_SECONDS and by the wait for
        graces that end before the next sweep begins: their sessions end in time. After
        DEADLINE_SECONDS the rest of both is left to the next sweep.

        Raises: ServiceUnavailable if the sessions cannot be read.
        """
        began_at = self.stopwatch()
        stop_at, ends_at = began_at + WORK_SECONDS, began_at + DEADLINE_SECONDS
        cursor = self.store.find_sweep_cursor()
        is_stored = cursor.after_session_id is not None
        report = Report(cursor.active_sessions, cursor.listeners)
        graces: list[tuple[int, str]] = []
        with ThreadPoolExecutor(self.session_threads) as pool:
            while not report.is_complete and self.stopwatch() < stop_at:
                sessions, last = self.store.scan_sessions(
                    cursor.after_session_id, self.page_sessions
                )
                graces += self._graces(sessions)
                report.add(pool.map(partial(self._visit_safely, ends_at), sessions))
                report.is_complete = last is None
                cursor = SweepCursor(last, report.active_sessions, report.listeners)
                if is_stored or not report.is_complete:
                    self.store.put_sweep_cursor(cursor)
                    is_stored = not report.is_complete
            for visit in pool.map(partial(self._end_grace_safely, ends_at), sorted(graces)):
                report.ended += visit.has_ended
                report.failed += visit.has_failed
        return report

    def _graces(self, sessions: Iterable[Session]) -> list[tuple[int, str]]:
        """List when graces end, and whose, that end before the next sweep begins."""
        now_ms = self.clock() * 1000
        return [
            (session.grace_ends_at_ms, session.session_id)
            for session in sessions
            if session.grace_ends_at_ms is not None
            and session.status is not SessionStatus.ENDED
            and 0 < session.grace_ends_at_ms - now_ms <= INTERVAL_SECONDS * 1000
        ]

    def _end_grace_safely(self, ends_at: float, grace: tuple[int, str]) -> Visit:
        return self._safely(ends_at, grace[1], lambda: self._end_grace(*grace))

    def _end_grace(self, grace_ends_at_ms: int, session_id: str) -> Visit:
        """Wait for the end of a grace, if it comes before the deadline, and end its session."""
        if grace_ends_at_ms / 1000 - self.clock() >= seconds_left():
            return Visit()
        nap_until(grace_ends_at_ms / 1000, self.clock, self.sleep)
        return Visit(has_ended=self.lifecycle.end_after_grace(session_id))

    def _visit_safely(self, ends_at: float, session: Session) -> Visit:
        return self._safely(ends_at, session.session_id, lambda: self._visit(session))

    def _safely(self, ends_at: float, session_id: str, visit: Callable[[], Visit]) -> Visit:
        """Visit a session, unless the deadline is over, in a thread that knows no budget yet."""
        with event_budget(ends_at - self.stopwatch(), self.stopwatch):
            if seconds_left() <= 0:
                return Visit(has_failed=True)
            try:
                return visit()
            except Exception as error:
                _log_failed(session_id, error)
                return Visit(has_failed=True)

    def _visit(self, session: Session) -> Visit:
        now = self.clock()
        if session.status is SessionStatus.ENDED:
            self._finish_end(session, now)
            return Visit()
        if session.is_expired(now):
            return Visit(has_ended=self.lifecycle.end_expired(session.session_id))
        if session.is_speaker_lost(now):
            return Visit(has_ended=self.lifecycle.end_after_grace(session.session_id))
        if session.grace_ends_at_ms is None:
            self._look_at_speaker(session, now)
        return self._look_at_listeners(session, now)

    def _finish_end(self, session: Session, now: float) -> None:
        """Go on with an end that was broken off, and remove the session once all has settled."""
        if not self.lifecycle.finish_end(session):
            # Another sweep may have found no listener while this one had their records.
            self.store.put_back_session(session)
        elif now - (session.ended_at_ms or 0) / 1000 >= IN_FLIGHT_SECONDS:
            self.store.delete_session(session.session_id)

    def _look_at_speaker(self, session: Session, now: float) -> None:
        speaker = self.store.find_connection(session.speaker_connection_id)
        if speaker is None or speaker.session_id != session.session_id:
            # Two reads may show half of the transaction that creates both. Source: "Amazon
            # DynamoDB Transactions: How it works" (only TransactGetItems reads a snapshot).
            if now - session.created_at_ms / 1000 >= IN_FLIGHT_SECONDS:
                self.lifecycle.miss_speaker(session, None)
        elif speaker.is_lost(now):
            self.lifecycle.miss_speaker(session, speaker)

    def _look_at_listeners(self, session: Session, now: float) -> Visit:
        """Remove lost listeners and what broken-off joins have left, and repair the count.

        The records are read eventually consistent: each removal has its own condition.
        """
        listing = self.store.list_connections(session.session_id)
        records = [
            each
            for each in self.store.find_records(listing.present.keys() | listing.arriving)
            if each.session_id == session.session_id
        ]
        lost = [each for each in records if each.is_present and each.is_lost(now)]
        removed = self.lifecycle.remove_lost(session.session_id, lost)
        self._remove_broken_off(listing.arriving, records, now)
        changes = session.changes + (removed > 0)
        return Visit(
            is_active=True,
            listeners=len(listing.present) - removed,
            removed=removed,
            mended=self._mend_counts(session, Counter(listing.present.values()), changes, now),
        )

    def _remove_broken_off(
        self, arriving: Collection[str], records: Iterable[Connection], now: float
    ) -> None:
        """Remove joins that have not come to an end and never will. They are not counted."""
        for each in records:
            if each.connection_id in arriving and not each.is_present and each.is_settled(now):
                self.store.delete_arriving(each.connection_id, each.session_id, each.taken_at_ms)

    def _mend_counts(
        self, session: Session, listed: Mapping[str, int], changes: int, now: float
    ) -> int:
        """Mend counts that two sweeps found wrong; note those that the first finds.

        `changes` is what the session's must still be: no listener has come or gone since. Returns
        the largest number by which a count was mended.
        """
        drifts = count_drifts(session, listed)
        certain = drifts_to_mend(session, drifts, now)
        now_ms = int(now * 1000)
        if certain:
            rest = {key: left for key, it in drifts.items() if (left := it - certain.get(key, 0))}
            is_mended = self.store.mend_counts(
                session.session_id,
                certain,
                CountNote(changes + 1, rest, now_ms),
                self.max_listeners,
            )
            return max(map(abs, certain.values())) if is_mended else 0
        note = session.count_note
        noted = note.drifts if note and note.changes == changes else {}
        if any(drifts.get(key, 0) * noted.get(key, 0) <= 0 for key in {*drifts, *noted}):
            self.store.note_count(session.session_id, CountNote(changes, drifts, now_ms))
        return 0


def _log_failed(session_id: str, error: Exception) -> None:
    if isinstance(error, ServiceError):
        telemetry.log_warning(
            "session not swept", sessionId=session_id, code=error.code, cause=error.message
        )
    else:
        telemetry.log_failure(sessionId=session_id)
