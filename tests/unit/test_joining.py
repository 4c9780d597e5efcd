"""Joins, and events between their steps."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from chalicelib.assembly import UseCases
from chalicelib.commands import EndSession, JoinSession, RefreshListener
from chalicelib.errors import (
    Conflict,
    Forbidden,
    NoSession,
    ServiceUnavailable,
    SessionFull,
    SessionNotFound,
)
from chalicelib.messages import Message
from chalicelib.models import Participant
from chalicelib.store.count_updates import Counted
from chalicelib.store.listeners import ListenerStore, Listing
from chalicelib.store.participants import ParticipantStore
from chalicelib.store.placements import Placement
from chalicelib.store.seats import SeatStore
from chalicelib.store.stores import Stores
from chalicelib.store.table import Table
from tests.unit.conftest import LIMITS
from tests.unit.fakes import Clock, FakeConnections, listener, scan, types, with_failing

LISTENER = listener(1)


@dataclass
class Hook:
    """An action that runs once, at one step of a join."""

    step: str
    action: Callable[[], object] | None

    def run(self, step: str) -> None:
        action, is_due = self.action, step == self.step
        if action and is_due:
            self.action = None
            action()


class HookedSeats(SeatStore):
    """Runs its hook before and after a seat is taken."""

    hook: Hook

    def take(self, *arguments: Any, **named: Any) -> Counted:
        self.hook.run("take")
        counted = super().take(*arguments, **named)
        self.hook.run("taken")
        return counted


class HookedParticipants(ParticipantStore):
    """Runs its hook before a join is completed."""

    hook: Hook

    def activate(self, arriving: Participant) -> Placement:
        self.hook.run("activate")
        return super().activate(arriving)


JoinWhile = Callable[..., Message]


@pytest.fixture
def join_while(
    build: Callable[..., UseCases], stores: Stores, dynamodb: Any, clock: Clock, session_id: str
) -> JoinWhile:
    """Return a function that joins, and runs an action at one step of the join."""

    def join_while(step: str, action: Callable[[], object], **named: Any) -> Message:
        seats = HookedSeats(sessions_table(dynamodb), clock)
        participants = HookedParticipants(connections_table(dynamodb), clock)
        seats.hook = participants.hook = Hook(step, action)
        hooked = replace(stores, seats=seats, participants=participants)
        return join(build(stores=hooked, **named), session_id)

    return join_while


def sessions_table(dynamodb: Any) -> Table:
    return Table(dynamodb, "sessions", "sessionId")


def connections_table(dynamodb: Any) -> Table:
    return Table(dynamodb, "connections", "connectionId")


def join(use_cases: UseCases, session_id: str) -> Message:
    return use_cases.joining.join(LISTENER, JoinSession(session_id, "es", None)).message


def count(stores: Stores, session_id: str) -> int:
    session = stores.sessions.find_open(session_id)
    assert session is not None
    return session.listener_count


STEPS = ["take", "activate"]


@pytest.mark.parametrize("step", STEPS)
def test_a_connection_that_closes_during_its_join_takes_no_seat(
    use_cases: UseCases, join_while: JoinWhile, session_id: str, stores: Stores, step: str
) -> None:
    with pytest.raises(NoSession):
        join_while(step, lambda: use_cases.lifecycle.leave(LISTENER.connection_id))
    assert count(stores, session_id) == 0
    assert stores.listeners.list_ids(session_id) == []
    assert stores.participants.find_present(LISTENER.connection_id) is None


def test_a_connection_that_closed_during_a_refused_join_cannot_return_without_the_code(
    use_cases: UseCases, join_while: JoinWhile, session_id: str, stores: Stores
) -> None:
    with pytest.raises(SessionFull):
        join_while(
            "take",
            lambda: use_cases.lifecycle.leave(LISTENER.connection_id),
            limits=replace(LIMITS, max_listeners=0),
        )
    guess = RefreshListener(session_id, "es", LISTENER.connection_id, "wrong code")
    with pytest.raises(Forbidden):
        use_cases.refresh.refresh_listener(listener(2), guess)
    assert count(stores, session_id) == 0


@pytest.mark.parametrize("step", STEPS)
def test_a_join_is_refused_and_stores_nothing_if_the_session_ends_during_it(
    use_cases: UseCases,
    join_while: JoinWhile,
    speaker: Any,
    dynamodb: Any,
    phones: FakeConnections,
    step: str,
) -> None:
    with pytest.raises(SessionNotFound):
        join_while(step, lambda: use_cases.sessions.end(speaker, EndSession(None)))
    assert scan(dynamodb, "connections") == []
    assert len(types(phones.inbox.get(LISTENER.connection_id, []))) <= 1


@pytest.mark.parametrize("step", STEPS)
def test_one_of_two_concurrent_joins_on_a_connection_succeeds_and_takes_one_seat(
    use_cases: UseCases, join_while: JoinWhile, session_id: str, stores: Stores, step: str
) -> None:
    answers: list[Message] = []
    with pytest.raises(Conflict):
        join_while(step, lambda: answers.append(join(use_cases, session_id)))
    assert [answer["type"] for answer in answers] == ["sessionJoined"]
    assert count(stores, session_id) == 1
    assert stores.listeners.list_ids(session_id) == [LISTENER.connection_id]


def test_a_connection_is_not_a_participant_before_its_join_completes(
    join_while: JoinWhile, session_id: str, stores: Stores
) -> None:
    seen: list[object] = []

    def observe() -> None:
        seen.append(stores.participants.find_present(LISTENER.connection_id))
        seen.append(stores.participants.find(LISTENER.connection_id))
        seen.append(stores.listeners.list_ids(session_id))
        seen.append(set(stores.listeners.list_all(session_id).present.values()))
        seen.append(stores.participants.set_language(LISTENER.connection_id, session_id, "de"))

    assert join_while("activate", observe)["targetLanguage"] == "es"
    assert seen == [None, None, [], set(), None]


def test_an_end_notifies_a_listener_that_a_stale_index_still_shows_as_arriving(
    use_cases: UseCases,
    build: Callable[..., UseCases],
    stores: Stores,
    session_id: str,
    speaker: Any,
    dynamodb: Any,
    phones: FakeConnections,
    clock: Clock,
) -> None:
    class Lagging(ListenerStore):
        """Lists all listeners as arriving, as an index does that lags behind."""

        def list_all(self, session_id: str) -> Listing:
            listing = super().list_all(session_id)
            return Listing(present={}, arriving=frozenset(listing.present))

    join(use_cases, session_id)
    lagging = Lagging(connections_table(dynamodb), clock)
    build(stores=replace(stores, listeners=lagging)).sessions.end(speaker, EndSession(None))
    assert types(phones.inbox[LISTENER.connection_id]) == ["sessionEnded"]
    assert scan(dynamodb, "connections") == []


def test_a_join_can_be_repeated_after_its_function_crashed(
    use_cases: UseCases, join_while: JoinWhile, session_id: str, stores: Stores
) -> None:
    class Crash(BaseException):
        pass

    def crash() -> None:
        raise Crash

    for step, counted in (("take", 0), ("taken", 1)):
        with pytest.raises(Crash):
            join_while(step, crash)
        assert count(stores, session_id) == counted
    assert join(use_cases, session_id)["type"] == "sessionJoined"
    assert count(stores, session_id) == 2


@pytest.mark.parametrize("failing", ["participants.put", "seats.take", "participants.activate"])
def test_a_join_that_fails_is_undone(
    use_cases: UseCases,
    build: Callable[..., UseCases],
    session_id: str,
    stores: Stores,
    dynamodb: Any,
    failing: str,
) -> None:
    with pytest.raises(ServiceUnavailable):
        join(build(stores=with_failing(stores, failing)), session_id)
    assert count(stores, session_id) == 0
    assert len(scan(dynamodb, "connections")) == 1
    assert join(use_cases, session_id)["type"] == "sessionJoined"


def test_an_activation_whose_answer_is_lost_is_undone_once(
    build: Callable[..., UseCases], session_id: str, stores: Stores, dynamodb: Any, clock: Clock
) -> None:
    class Unanswered(ParticipantStore):
        def activate(self, arriving: Participant) -> Placement:
            super().activate(arriving)
            raise ServiceUnavailable("busy", retry_after_seconds=2)

    unanswered = Unanswered(connections_table(dynamodb), clock)
    with pytest.raises(ServiceUnavailable):
        join(build(stores=replace(stores, participants=unanswered)), session_id)
    assert count(stores, session_id) == 0
    assert len(scan(dynamodb, "connections")) == 1


def test_a_repeated_activation_succeeds(
    build: Callable[..., UseCases], session_id: str, stores: Stores, dynamodb: Any, clock: Clock
) -> None:
    class Repeated(ParticipantStore):
        def activate(self, arriving: Participant) -> Placement:
            super().activate(arriving)
            return super().activate(arriving)

    repeated = Repeated(connections_table(dynamodb), clock)
    joined = join(build(stores=replace(stores, participants=repeated)), session_id)
    assert joined["type"] == "sessionJoined"
    assert count(stores, session_id) == 1


def test_a_refused_join_is_answered_even_if_its_participant_cannot_be_removed(
    use_cases: UseCases, build: Callable[..., UseCases], session_id: str, stores: Stores
) -> None:
    broken = build(stores=with_failing(stores, "participants.withdraw"))
    with pytest.raises(SessionNotFound):
        join(broken, "golden-eagle-999")
    assert stores.participants.find(LISTENER.connection_id) is None
    assert join(use_cases, session_id)["type"] == "sessionJoined"
