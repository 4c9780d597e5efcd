"""The counts of listeners per target language that a session keeps."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.assembly import UseCases, build_dispatcher
from chalicelib.commands import JoinSession, RefreshListener
from chalicelib.dispatch import Dispatcher
from chalicelib.errors import NoSession, ServiceUnavailable
from chalicelib.models import Participant
from chalicelib.rate_limits import RateLimits
from chalicelib.store.hand_overs import HandOver, HandOverStore
from chalicelib.store.participants import ParticipantStore
from chalicelib.store.placements import Placement
from chalicelib.store.stores import Stores
from chalicelib.store.table import Table
from chalicelib.sweep import Sweep
from tests.unit.fakes import (
    Clock,
    FakeConnections,
    FakeOutcomes,
    closing,
    frame,
    listener,
    reply,
    scan,
    with_failing,
)

Send = Callable[..., dict[str, Any]]
Build = Callable[..., UseCases]
Join = Callable[[str, str], None]
Refresh = Callable[[str, str, str], dict[str, Any]]
Counts = Callable[[], dict[str, int]]


@pytest.fixture
def send(dispatcher: Dispatcher) -> Send:
    def send(connection_id: str, action: str, **fields: str) -> dict[str, Any]:
        user_id = "user-1" if connection_id == "speaker=" else None
        return reply(dispatcher.message(frame(connection_id, user_id, action=action, **fields)))

    return send


@pytest.fixture
def join(send: Send, session_id: str) -> Callable[[str, str], None]:
    def join(connection_id: str, language: str) -> None:
        joined = send(connection_id, "joinSession", sessionId=session_id, targetLanguage=language)
        assert joined["type"] == "sessionJoined", joined

    return join


@pytest.fixture
def refresh(send: Send, session_id: str) -> Callable[[str, str, str], dict[str, Any]]:
    def refresh(new_id: str, old_id: str, language: str) -> dict[str, Any]:
        return send(
            new_id,
            "refreshConnection",
            sessionId=session_id,
            role="listener",
            targetLanguage=language,
            connectionId=old_id,
        )

    return refresh


@pytest.fixture
def languages(send: Send) -> Callable[[], dict[str, int]]:
    """Return a function that gets the counts and checks their total in both answers."""

    def languages() -> dict[str, int]:
        status = send("speaker=", "getSessionStatus")
        ack = send("speaker=", "heartbeat")
        shown: dict[str, int] = status["languages"]
        assert ack["languages"] == shown
        assert list(shown) == sorted(shown)
        assert ack["listenerCount"] == status["listenerCount"]
        return shown

    return languages


@pytest.fixture
def stored(dynamodb: Any) -> Callable[[], dict[str, int]]:
    """Return a function that reads all counts of the session's item."""

    def stored() -> dict[str, int]:
        (item,) = scan(dynamodb, "sessions")
        named = {name: int(it["N"]) for name, it in item.items() if name.startswith("listeners:")}
        return {name.removeprefix("listeners:"): count for name, count in named.items() if count}

    return stored


@pytest.fixture
def connections(dynamodb: Any) -> Table:
    return Table(dynamodb, "connections", "connectionId")


# Interrupted and failing writes


def test_a_language_change_that_stopped_between_its_writes_is_repaired_within_two_sweeps(
    session_id: str, stores: Stores, join: Join, languages: Counts, sweep: Sweep, clock: Clock
) -> None:
    join("a=", "es")
    join("b=", "es")
    stores.participants.set_language("a=", session_id, "fr")
    assert languages() == {"es": 2}
    assert sweep.run().repaired == 0
    clock.now += 34.9
    assert sweep.run().repaired == 0
    clock.now += 0.1
    assert sweep.run().repaired == 1
    assert languages() == {"es": 1, "fr": 1}
    assert sweep.run().repaired == 0


def test_a_drift_that_began_after_another_is_repaired_one_sweep_later(
    session_id: str, stores: Stores, join: Join, languages: Counts, sweep: Sweep, clock: Clock
) -> None:
    join("a=", "es")
    join("b=", "es")
    for each in ("a=", "b="):
        stores.participants.set_language(each, session_id, "fr")
        sweep.run()
        clock.now += 35
    assert languages() == {"es": 1, "fr": 1}
    assert sweep.run().repaired == 1
    assert languages() == {"fr": 2}


def test_a_language_change_that_cannot_be_counted_is_refused_and_repaired(
    build: Build,
    stores: Stores,
    session_id: str,
    rate_limits: RateLimits,
    outcomes: FakeOutcomes,
    join: Join,
    send: Send,
    languages: Counts,
    sweep: Sweep,
    clock: Clock,
) -> None:
    join("a=", "es")
    failing = build(stores=with_failing(stores, "seats.change_language"))
    broken = build_dispatcher(failing, rate_limits, outcomes, "https://api/stage", clock)
    change = frame("a=", action="changeLanguage", targetLanguage="fr")
    assert reply(broken.message(change))["code"] == "SERVICE_UNAVAILABLE"
    assert send("a=", "changeLanguage", targetLanguage="fr")["type"] == "languageChanged"
    sweep.run()
    clock.now += 35
    sweep.run()
    assert languages() == {"fr": 1}


def test_a_leave_between_the_writes_of_a_language_change_shows_no_negative_count(
    use_cases: UseCases,
    session_id: str,
    dispatcher: Dispatcher,
    stores: Stores,
    join: Join,
    languages: Counts,
    stored: Counts,
) -> None:
    join("a=", "es")
    join("b=", "de")
    before = stores.participants.set_language("a=", session_id, "fr")
    assert before == "es"
    dispatcher.disconnect(closing("a=", 1006))
    assert stored() == {"de": 1, "es": 1, "fr": -1}
    assert languages() == {"de": 1, "es": 1}
    stores.seats.change_language(session_id, before, "fr")
    assert stored() == {"de": 1}


def test_a_language_change_in_a_deleted_session_does_not_create_it(
    stores: Stores, dynamodb: Any
) -> None:
    assert not stores.seats.change_language("golden-eagle-427", "es", "fr")
    assert scan(dynamodb, "sessions") == []


def test_the_sweep_adds_language_counts_to_a_session_without_them(
    session_id: str,
    dispatcher: Dispatcher,
    dynamodb: Any,
    join: Join,
    languages: Counts,
    sweep: Sweep,
    clock: Clock,
) -> None:
    for connection_id, language in (("a=", "es"), ("b=", "fr"), ("c=", "fr")):
        join(connection_id, language)
    dynamodb.update_item(
        TableName="sessions",
        Key={"sessionId": {"S": session_id}},
        UpdateExpression="REMOVE #es, #fr SET countNote = :note",
        ExpressionAttributeNames={"#es": "listeners:es", "#fr": "listeners:fr"},
        ExpressionAttributeValues={":note": {"M": {"drift": {"N": "1"}}}},
    )
    dispatcher.disconnect(closing("a=", 1006))
    assert languages() == {}
    before = clock()
    sweep.run()  # It waits until nobody has listened to es for a minute.
    assert clock() - before == 60
    sweep.run()
    assert languages() == {"fr": 2}


@pytest.mark.parametrize("failing", ["seats.take", "participants.activate"])
def test_a_failed_join_is_not_counted_for_any_language(
    build: Build, session_id: str, stores: Stores, stored: Counts, failing: str
) -> None:
    broken = build(stores=with_failing(stores, failing))
    with pytest.raises(ServiceUnavailable):
        broken.joining.join(listener(1), JoinSession(session_id, "fr", None))
    assert stored() == {}


def test_a_join_whose_connection_closes_during_it_is_not_counted_for_any_language(
    build: Build, session_id: str, stores: Stores, connections: Table, stored: Counts, clock: Clock
) -> None:
    class ClosesDuringJoin(ParticipantStore):
        def activate(self, arriving: Participant) -> Placement:
            self.mark_left(arriving.connection_id)
            return super().activate(arriving)

    hooked = build(stores=replace(stores, participants=ClosesDuringJoin(connections, clock)))
    with pytest.raises(NoSession):
        hooked.joining.join(listener(1), JoinSession(session_id, "fr", None))
    assert stored() == {}


def test_a_join_that_is_undone_after_a_language_change_is_not_counted_for_the_new_language(
    build: Build, session_id: str, stores: Stores, connections: Table, stored: Counts, clock: Clock
) -> None:
    class ChangesAndFails(ParticipantStore):
        def activate(self, arriving: Participant) -> Placement:
            super().activate(arriving)
            before = self.set_language(arriving.connection_id, arriving.session_id, "de")
            assert before == "fr"
            stores.seats.change_language(arriving.session_id, before, "de")
            raise ServiceUnavailable("busy", retry_after_seconds=2)

    hooked = build(stores=replace(stores, participants=ChangesAndFails(connections, clock)))
    with pytest.raises(ServiceUnavailable):
        hooked.joining.join(listener(1), JoinSession(session_id, "fr", None))
    assert stored() == {}


@pytest.mark.parametrize("failing", ["seats.take", "hand_overs.hand_over"])
def test_a_failed_return_is_not_counted_for_any_language(
    build: Build,
    session_id: str,
    dispatcher: Dispatcher,
    stores: Stores,
    join: Join,
    stored: Counts,
    failing: str,
) -> None:
    join("old=", "es")
    dispatcher.disconnect(closing("old=", 1006))
    broken = build(stores=with_failing(stores, failing))
    with pytest.raises(ServiceUnavailable):
        broken.refresh.refresh_listener(
            listener(1), RefreshListener(session_id, "fr", "old=", None)
        )
    assert stored() == {}


def test_a_refresh_whose_language_cannot_be_counted_is_repaired(
    use_cases: UseCases,
    build: Build,
    session_id: str,
    stores: Stores,
    join: Join,
    languages: Counts,
    sweep: Sweep,
    clock: Clock,
) -> None:
    join("old=", "es")
    broken = build(stores=with_failing(stores, "seats.pass_on"))
    command = RefreshListener(session_id, "fr", "old=", None)
    with pytest.raises(ServiceUnavailable):
        broken.refresh.refresh_listener(listener(1), command)
    sweep.run()
    clock.now += 35
    sweep.run()
    assert languages() == {"fr": 1}
    use_cases.refresh.refresh_listener(listener(1), command)
    assert languages() == {"fr": 1}


def test_a_refresh_during_a_language_change_moves_the_listener_from_the_new_language(
    build: Build,
    session_id: str,
    stores: Stores,
    connections: Table,
    join: Join,
    stored: Counts,
    clock: Clock,
) -> None:
    class ChangesDuringRefresh(HandOverStore):
        def hand_over(self, old: Participant, new: Participant) -> HandOver:
            before = stores.participants.set_language(old.connection_id, old.session_id, "de")
            if before not in (None, "de"):
                stores.seats.change_language(old.session_id, before, "de")
            return super().hand_over(old, new)

    join("old=", "es")
    hooked = build(stores=replace(stores, hand_overs=ChangesDuringRefresh(connections, clock)))
    command = RefreshListener(session_id, "fr", "old=", None)
    refreshed = hooked.refresh.refresh_listener(listener(1), command).message
    assert refreshed["targetLanguage"] == "fr"
    assert stored() == {"fr": 1}


# Successful commands


def test_joins_and_leaves_are_counted_by_language(
    join: Join, languages: Counts, stored: Counts, dispatcher: Dispatcher
) -> None:
    assert languages() == {}
    for connection_id, language in (("a=", "fr"), ("b=", "es"), ("c=", "fr")):
        join(connection_id, language)
    assert languages() == {"es": 1, "fr": 2}
    for _ in range(2):
        dispatcher.disconnect(closing("a=", 1006))
        assert stored() == {"es": 1, "fr": 1}
    dispatcher.disconnect(closing("b=", 1000))
    assert languages() == stored() == {"fr": 1}


def test_a_language_change_moves_one_listener_and_a_repeated_change_moves_none(
    join: Join, send: Send, languages: Counts, dispatcher: Dispatcher
) -> None:
    join("a=", "es")
    join("b=", "es")
    for _ in range(2):
        send("a=", "changeLanguage", targetLanguage="fr")
        assert languages() == {"es": 1, "fr": 1}
    send("a=", "changeLanguage", targetLanguage="de")
    assert languages() == {"de": 1, "es": 1}
    dispatcher.disconnect(closing("a=", 1006))
    assert languages() == {"es": 1}


@pytest.mark.parametrize("language", ["es", "fr"])
def test_a_refresh_moves_its_listener_once_to_the_requested_language(
    join: Join, refresh: Refresh, languages: Counts, dispatcher: Dispatcher, language: str
) -> None:
    join("old=", "es")
    for _ in range(2):
        assert refresh("new=", "old=", language)["targetLanguage"] == language
        assert languages() == {language: 1}
    dispatcher.disconnect(closing("old=", 1006))
    assert languages() == {language: 1}
    dispatcher.disconnect(closing("new=", 1006))
    assert languages() == {}


@pytest.mark.parametrize("language", ["es", "fr"])
def test_a_return_after_a_drop_is_counted_for_the_requested_language(
    join: Join, refresh: Refresh, languages: Counts, dispatcher: Dispatcher, language: str
) -> None:
    join("old=", "es")
    dispatcher.disconnect(closing("old=", 1006))
    for _ in range(2):
        assert refresh("new=", "old=", language)["targetLanguage"] == language
        assert languages() == {language: 1}


def test_a_lost_listener_is_subtracted_from_its_language(
    join: Join, send: Send, languages: Counts, sweep: Sweep, clock: Clock
) -> None:
    join("a=", "es")
    join("b=", "fr")
    send("a=", "changeLanguage", targetLanguage="de")
    clock.now += 89
    send("b=", "heartbeat")
    send("speaker=", "heartbeat")
    clock.now += 1
    assert sweep.run().removed == 1
    assert languages() == {"fr": 1}
    clock.now += 35
    assert sweep.run().repaired == 0


def test_listeners_that_a_notice_finds_gone_are_subtracted_from_their_languages(
    join: Join, send: Send, languages: Counts, phones: FakeConnections, clock: Clock
) -> None:
    for connection_id, language in (("a=", "es"), ("b=", "fr"), ("c=", "fr")):
        join(connection_id, language)
    clock.now += 35
    phones.closed |= {"a=", "b="}
    send("speaker=", "pauseSession")
    assert languages() == {"fr": 1}


def test_many_listeners_are_subtracted_in_one_write(stores: Stores, session_id: str) -> None:
    for language in ("es", "fr", "fr"):
        session = stores.seats.take(session_id, language, None, 3).session
    assert stores.seats.release(session_id, Counter(["es", "fr"]))
    after = stores.sessions.find_open(session_id)
    assert after is not None
    assert (after.listener_count, after.languages) == (1, {"fr": 1})
    assert after.changes == session.changes + 1
