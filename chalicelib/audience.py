"""The audience of a session, with the demand that its changes cause."""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Final

from chalicelib.admission import Invitation
from chalicelib.errors import ServiceUnavailable
from chalicelib.models import CountNote, Session, SessionStatus
from chalicelib.outcomes import Outcomes
from chalicelib.pipeline import Pipeline
from chalicelib.status_requests import StatusRequest
from chalicelib.store.count_updates import Counted, token_time_ms
from chalicelib.store.stores import Stores

NOTICE_INTERVAL_MS: Final = 2000
"""Shortest time between two notices of the status. Source: docs/reference/protocol.md."""

NOTICE_DELAY_MS: Final = 300
"""Time between a change and its notice, in which further changes join the same notice."""

STALE_CLAIM_MS: Final = 5000
"""Age at which the claim of a notice is taken over, because its function has certainly not run.

It is longer than NOTICE_INTERVAL_MS and the start of a function.
"""

IDLE_SECONDS: Final = 60
"""Time without listeners after which a language is idle. Source: docs/reference/protocol.md."""


class Audience:
    """Changes the listener counts of sessions, and reports what the changes mean.

    If a language gets its first listener, the pipeline is notified. If it loses its last one, its
    time without listeners begins. For any change, the speaker gets a notice of the status. These
    reactions never fail a change: the sweep makes up for them.

    The methods that change counts have the arguments and errors of SeatStore's.
    """

    def __init__(
        self,
        stores: Stores,
        pipeline: Pipeline,
        outcomes: Outcomes,
        endpoint_url: str,
        clock: Callable[[], float],
    ) -> None:
        self._seats = stores.seats
        self._demand = stores.demand
        self._pipeline = pipeline
        self._outcomes = outcomes
        self._endpoint_url = endpoint_url
        self._clock = clock

    def take(
        self,
        session_id: str,
        target_language: str,
        invitation: Invitation | None,
        max_listeners: int,
        *,
        last_window: int = 0,
        is_return: bool = False,
    ) -> Session:
        """Take a seat for a listener, and return the session with this seat taken."""
        counted = self._seats.take(
            session_id,
            target_language,
            invitation,
            max_listeners,
            last_window=last_window,
            is_return=is_return,
        )
        return self._react(counted, [target_language])

    def release(self, session_id: str, languages: Mapping[str, int]) -> Session | None:
        """Release the seats of listeners that left; None if the session no longer exists."""
        counted = self._seats.release(session_id, languages)
        return counted and self._react(counted, languages)

    def change_language(self, session_id: str, before: str, after: str) -> Session | None:
        """Count a listener under another language; None if the session no longer exists."""
        counted = self._seats.change_language(session_id, before, after)
        return counted and self._react(counted, [before, after])

    def pass_on(self, session_id: str, before: str, after: str) -> Session | None:
        """Count a listener's refresh; None if the session is not open."""
        counted = self._seats.pass_on(session_id, before, after)
        return counted and self._react(counted, [before, after])

    def repair(
        self, session_id: str, drifts: Mapping[str, int], rest: CountNote, max_listeners: int
    ) -> Session | None:
        """Lower counts by their drifts; None if a count has changed since."""
        counted = self._seats.repair(session_id, drifts, rest, max_listeners)
        return counted and self._react(counted, drifts)

    def request_notice(self, session_id: str) -> None:
        """Request another notice of the status, because the last one didn't reach the speaker."""
        if claimed := self._demand.claim_notice(session_id):
            self._send(claimed)

    def check(self, session: Session) -> None:
        """Make up for reactions that didn't happen, and notify the pipeline of idle languages.

        Raises:
            ServiceUnavailable: DynamoDB is throttling, failing or unreachable.
        """
        for language in session.active_tokens:
            self._mark_if_quiet(session, language)
        now_ms = self._clock() * 1000
        for language, since_ms in session.quiet_since_ms.items():
            if now_ms - since_ms >= IDLE_SECONDS * 1000:
                self.end_if_idle(session, language)
        self._take_over_stale(session)

    def end_if_idle(self, session: Session, language: str) -> None:
        """End the activity of a language that is quiet since `session` was read.

        Call it IDLE_SECONDS after the language has become quiet. Its event has the time before the
        write, which is earlier than that of the event of a listener that comes after it.

        Raises:
            ServiceUnavailable: DynamoDB is throttling, failing or unreachable.
        """
        at_seconds = self._clock()
        since_ms = session.quiet_since_ms[language]
        is_idle = self._demand.claim_idle(session.session_id, language, since_ms)
        if is_idle and language != session.source_language:
            self._pipeline.notify(
                "languageIdle", session.session_id, at_seconds=at_seconds, language=language
            )

    def _react(self, counted: Counted, languages: Collection[str]) -> Session:
        """React to a write that changed the counts of languages."""
        session = counted.session
        if session.status is SessionStatus.ENDED:
            return session
        for language in dict.fromkeys(languages):
            if counted.has_activated(language) and language != session.source_language:
                self._pipeline.notify("languageActive", session.session_id, language=language)
        with suppress(ServiceUnavailable):
            for language in dict.fromkeys(languages):
                self._mark_if_quiet(session, language)
        if counted.has_claimed_notice:
            self._send(counted)
        else:
            with suppress(ServiceUnavailable):
                self._take_over_stale(session)
        return session

    def _mark_if_quiet(self, session: Session, language: str) -> None:
        is_active = language in session.active_tokens and language not in session.quiet_since_ms
        if is_active and session.language_counts.get(language, 0) <= 0:
            self._demand.mark_quiet(session.session_id, language)

    def _take_over_stale(self, session: Session) -> None:
        """Request a notice whose claim has led to none, because its function didn't run."""
        token = session.status_due
        if token is None or self._clock() * 1000 - token_time_ms(token) < STALE_CLAIM_MS:
            return
        if claimed := self._demand.claim_notice(session.session_id, token):
            self._send(claimed)

    def _send(self, claimed: Counted) -> None:
        session = claimed.session
        due_at_ms = max(
            int(self._clock() * 1000) + NOTICE_DELAY_MS, session.status_at_ms + NOTICE_INTERVAL_MS
        )
        self._outcomes.send(
            StatusRequest(session.session_id, claimed.token, due_at_ms, self._endpoint_url)
        )
