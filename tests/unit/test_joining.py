"""The steps of a join: the record first, then the seat, then the place; and what comes between."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.errors import (
    Conflict,
    Forbidden,
    NoSession,
    ServiceError,
    ServiceUnavailable,
    SessionFull,
    SessionNotFound,
)
from chalicelib.models import Connection, Session
from chalicelib.protocol import EndSession, JoinSession, Message, RefreshListener
from chalicelib.sessions import Sessions
from chalicelib.store import Listing, Placement, Store
from tests.unit.fakes import Clock, FailingStore, FakeConnections, listener, scan, types

LISTENER = listener(1)


class HookedStore(Store):
    """Lets something happen before, or after, one step of a join, once."""

    step = ""
    hook: Callable[[], object] | None = None

    def count_in(self, *arguments: Any, **named: Any) -> Session:
        self._happen("count_in")
        session = super().count_in(*arguments, **named)
        self._happen("counted in")
        return session

    def activate(self, arriving: Connection) -> Placement:
        self._happen("activate")
        return super().activate(arriving)

    def _happen(self, step: str) -> None:
        hook, is_due = self.hook, step == self.step
        if hook and is_due:
            self.hook = None
            hook()


@pytest.fixture
def hooked(dynamodb: Any, clock: Clock) -> HookedStore:
    return HookedStore(dynamodb, "sessions", "connections", clock)


def join(sessions: Sessions, session_id: str) -> Message:
    return sessions.join(LISTENER, JoinSession(session_id, "es", None))


def join_while(sessions: Sessions, hooked: HookedStore, session_id: str, step: str) -> Message:
    hooked.step = step
    return join(replace(sessions, store=hooked), session_id)


def count(store: Store, session_id: str) -> int:
    session = store.find_session(session_id)
    assert session is not None
    return session.listener_count


STEPS = ["count_in", "activate"]


@pytest.mark.parametrize("step", STEPS)
def test_a_connection_that_closes_during_its_join_takes_no_seat(
    sessions: Sessions, hooked: HookedStore, session_id: str, store: Store, step: str
) -> None:
    hooked.hook = lambda: sessions.lifecycle.leave(LISTENER.connection_id)
    with pytest.raises(NoSession):
        join_while(sessions, hooked, session_id, step)
    assert count(store, session_id) == 0
    assert store.list_listener_ids(session_id) == []
    assert store.find_connection(LISTENER.connection_id) is None


def test_a_connection_that_closes_during_its_refused_join_has_nothing_to_come_back_to(
    sessions: Sessions, hooked: HookedStore, session_id: str, store: Store
) -> None:
    full = replace(sessions, limits=replace(sessions.limits, max_listeners=0))
    hooked.hook = lambda: sessions.lifecycle.leave(LISTENER.connection_id)
    with pytest.raises(SessionFull):
        join_while(full, hooked, session_id, "count_in")
    guess = RefreshListener(session_id, "es", LISTENER.connection_id, "wrong code")
    with pytest.raises(Forbidden):
        sessions.refresh_listener(listener(2), guess)
    assert count(store, session_id) == 0


@pytest.mark.parametrize("step", STEPS)
def test_a_session_that_ends_during_a_join_is_not_joined_and_leaves_nothing(
    sessions: Sessions,
    hooked: HookedStore,
    session_id: str,
    speaker: Any,
    dynamodb: Any,
    phones: FakeConnections,
    step: str,
) -> None:
    hooked.hook = lambda: sessions.end(speaker, EndSession(None))
    with pytest.raises(SessionNotFound):
        join_while(sessions, hooked, session_id, step)
    assert scan(dynamodb, "connections") == []
    assert len(types(phones.inbox.get(LISTENER.connection_id, []))) <= 1


@pytest.mark.parametrize("step", STEPS)
def test_of_two_joins_at_once_on_one_connection_one_succeeds_and_takes_one_seat(
    sessions: Sessions, hooked: HookedStore, session_id: str, store: Store, step: str
) -> None:
    answers: list[Message] = []
    hooked.hook = lambda: answers.append(join(sessions, session_id))
    with pytest.raises(Conflict):
        join_while(sessions, hooked, session_id, step)
    assert [answer["type"] for answer in answers] == ["sessionJoined"]
    assert count(store, session_id) == 1
    assert store.list_listener_ids(session_id) == [LISTENER.connection_id]


def test_of_two_joins_that_overtake_each_other_one_succeeds_at_most(
    sessions: Sessions, hooked: HookedStore, session_id: str, store: Store, dynamodb: Any
) -> None:
    """The second begins before the first takes its seat, and ends after the first has."""
    other = HookedStore(dynamodb, "sessions", "connections", sessions.clock)
    other.step = "activate"
    refused: list[Exception] = []

    def begin_and_wait() -> None:
        join(replace(sessions, store=other), session_id)

    def finish_first() -> None:
        try:
            join_while(sessions, hooked, session_id, "none")
        except ServiceError as refusal:
            refused.append(refusal)

    other.hook = finish_first
    hooked.hook = None
    with pytest.raises(Conflict):
        begin_and_wait()
    assert refused == []
    assert count(store, session_id) == 1
    assert store.list_listener_ids(session_id) == [LISTENER.connection_id]


def test_a_join_that_is_under_way_is_no_place(
    sessions: Sessions, hooked: HookedStore, session_id: str, store: Store
) -> None:
    seen: list[object] = []

    def look() -> None:
        seen.append(store.find_connection(LISTENER.connection_id))
        seen.append(store.find_record(LISTENER.connection_id))
        seen.append(store.list_listener_ids(session_id))
        seen.append(set(store.list_connections(session_id).present.values()))
        seen.append(store.set_language(LISTENER.connection_id, session_id, "de"))

    hooked.hook = look
    assert join_while(sessions, hooked, session_id, "activate")["targetLanguage"] == "es"
    assert seen == [None, None, [], set(), None]


def test_an_end_that_sees_a_finished_join_as_under_way_notifies_its_listener(
    sessions: Sessions,
    session_id: str,
    speaker: Any,
    dynamodb: Any,
    phones: FakeConnections,
) -> None:
    class Lagging(Store):
        """The index shows what was there a moment ago."""

        def list_connections(self, session_id: str) -> Listing:
            listing = super().list_connections(session_id)
            return Listing(present={}, arriving=frozenset(listing.present))

    join(sessions, session_id)
    lagging = Lagging(dynamodb, "sessions", "connections", sessions.clock)
    late = replace(sessions, lifecycle=replace(sessions.lifecycle, store=lagging))
    late.end(speaker, EndSession(None))
    assert types(phones.inbox[LISTENER.connection_id]) == ["sessionEnded"]
    assert scan(dynamodb, "connections") == []


def test_a_join_whose_function_dies_holds_nobody_up(
    sessions: Sessions, hooked: HookedStore, session_id: str, store: Store
) -> None:
    class Crash(BaseException):
        pass

    def die() -> None:
        raise Crash

    for step, counted in (("count_in", 0), ("counted in", 1)):
        hooked.hook = die
        with pytest.raises(Crash):
            join_while(sessions, hooked, session_id, step)
        assert count(store, session_id) == counted
    assert join(sessions, session_id)["type"] == "sessionJoined"
    assert count(store, session_id) == 2


@pytest.mark.parametrize("failing", ["put_connection", "count_in", "activate"])
def test_a_join_that_cannot_be_finished_is_undone(
    sessions: Sessions, session_id: str, store: Store, dynamodb: Any, failing: str
) -> None:
    broken = FailingStore(dynamodb, "sessions", "connections", sessions.clock)
    broken.failing = failing
    with pytest.raises(ServiceUnavailable):
        join(replace(sessions, store=broken), session_id)
    assert count(store, session_id) == 0
    assert len(scan(dynamodb, "connections")) == 1
    assert join(sessions, session_id)["type"] == "sessionJoined"


def test_an_activation_that_was_done_and_not_answered_is_undone_once(
    sessions: Sessions, session_id: str, store: Store, dynamodb: Any
) -> None:
    class Unanswered(Store):
        def activate(self, arriving: Connection) -> Placement:
            super().activate(arriving)
            raise ServiceUnavailable("busy", retry_after_seconds=2)

    unanswered = Unanswered(dynamodb, "sessions", "connections", sessions.clock)
    with pytest.raises(ServiceUnavailable):
        join(replace(sessions, store=unanswered), session_id)
    assert count(store, session_id) == 0
    assert len(scan(dynamodb, "connections")) == 1


def test_an_activation_that_is_sent_again_is_done(
    sessions: Sessions, session_id: str, store: Store, dynamodb: Any
) -> None:
    class Repeated(Store):
        def activate(self, arriving: Connection) -> Placement:
            super().activate(arriving)
            return super().activate(arriving)

    repeated = Repeated(dynamodb, "sessions", "connections", sessions.clock)
    assert join(replace(sessions, store=repeated), session_id)["type"] == "sessionJoined"
    assert count(store, session_id) == 1


def test_a_refusal_is_answered_though_its_record_cannot_be_removed(
    sessions: Sessions, session_id: str, store: Store, dynamodb: Any
) -> None:
    broken = FailingStore(dynamodb, "sessions", "connections", sessions.clock)
    broken.failing = "withdraw"
    with pytest.raises(SessionNotFound):
        join(replace(sessions, store=broken), "golden-eagle-999")
    assert store.find_record(LISTENER.connection_id) is None
    assert join(sessions, session_id)["type"] == "sessionJoined"
