"""The activity of languages, about which the pipeline is notified."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.assembly import UseCases
from chalicelib.commands import JoinSession, RefreshListener
from chalicelib.dispatch import Dispatcher
from chalicelib.errors import ServiceUnavailable
from chalicelib.models import Participant, Session
from chalicelib.store.participants import ParticipantStore
from chalicelib.store.placements import Placement
from chalicelib.store.stores import Stores
from chalicelib.store.table import Table
from chalicelib.sweep import Sweep
from tests.unit.fakes import (
    Clock,
    FakeConnections,
    FakeFunctions,
    FakeOutcomes,
    closing,
    frame,
    join,
    listener,
    reply,
    with_failing,
)

ES_ACTIVE, ES_IDLE = ("languageActive", "es"), ("languageIdle", "es")
FR_ACTIVE, FR_IDLE = ("languageActive", "fr"), ("languageIdle", "fr")

Told = Callable[[], list[tuple[str, str]]]


@pytest.fixture
def told(functions: FakeFunctions, session_id: str) -> Told:
    """Return a function that lists the types and languages of the events about languages."""

    def told() -> list[tuple[str, str]]:
        events = [event for event in functions.events if "language" in event]
        assert {event["sessionId"] for event in events} <= {session_id}
        return [(event["type"], event["language"]) for event in events]

    return told


@pytest.fixture
def send(dispatcher: Dispatcher) -> Callable[..., dict[str, Any]]:
    def send(connection_id: str, action: str, **fields: str) -> dict[str, Any]:
        user_id = "user-1" if connection_id == "speaker=" else None
        return reply(dispatcher.message(frame(connection_id, user_id, action=action, **fields)))

    return send


@pytest.fixture
def beat(send: Callable[..., dict[str, Any]], clock: Clock) -> Callable[..., None]:
    """Return a function that lets a minute pass in which the given connections are heard."""

    def beat(*connection_ids: str) -> None:
        clock.now += 60
        for each in ("speaker=", *connection_ids):
            assert send(each, "heartbeat")["type"] == "heartbeatAck"

    return beat


def leave(dispatcher: Dispatcher, number: int) -> None:
    dispatcher.disconnect(closing(listener(number).connection_id, 1006))


def session_of(stores: Stores, session_id: str) -> Session:
    session = stores.sessions.find_open(session_id)
    assert session is not None
    return session


# Interrupted and failing writes


def test_a_language_whose_last_listener_left_before_a_crash_is_idle_within_two_sweeps(
    session_id: str,
    dispatcher: Dispatcher,
    stores: Stores,
    sweep: Sweep,
    told: Told,
    beat: Callable[..., None],
) -> None:
    join(dispatcher, 1, session_id, "es")
    left = stores.participants.mark_left("listener-1=")
    assert left is not None
    assert stores.seats.release(session_id, {"es": 1})  # Then the function stopped.
    assert session_of(stores, session_id).quiet_since_ms == {}
    sweep.run()
    beat()
    sweep.run()
    assert told() == [ES_ACTIVE, ES_IDLE]
    session = session_of(stores, session_id)
    assert (session.active_tokens, session.quiet_since_ms) == ({}, {})


def test_a_leave_succeeds_if_its_time_cannot_be_stored(
    build: Callable[..., UseCases],
    session_id: str,
    dispatcher: Dispatcher,
    stores: Stores,
    sweep: Sweep,
    told: Told,
    beat: Callable[..., None],
) -> None:
    join(dispatcher, 1, session_id, "es")
    build(stores=with_failing(stores, "demand.mark_quiet")).lifecycle.leave("listener-1=")
    assert session_of(stores, session_id).listener_count == 0
    sweep.run()
    beat()
    sweep.run()
    assert told() == [ES_ACTIVE, ES_IDLE]


def test_a_join_that_stopped_after_its_seat_makes_its_language_idle_after_the_repair(
    session_id: str, stores: Stores, sweep: Sweep, told: Told, beat: Callable[..., None]
) -> None:
    stores.seats.take(session_id, "es", None, 3)  # Then the function stopped.
    sweep.run()
    beat()
    assert sweep.run().repaired == 1
    beat()
    sweep.run()
    assert told() == [ES_IDLE]
    assert session_of(stores, session_id).active_tokens == {}


def test_a_join_that_fails_after_its_seat_makes_its_language_idle(
    build: Callable[..., UseCases],
    session_id: str,
    stores: Stores,
    dynamodb: Any,
    sweep: Sweep,
    told: Told,
    beat: Callable[..., None],
    clock: Clock,
) -> None:
    class FailsToActivate(ParticipantStore):
        def activate(self, arriving: Participant) -> Placement:
            raise ServiceUnavailable("busy", retry_after_seconds=2)

    table = Table(dynamodb, "connections", "connectionId")
    broken = build(stores=replace(stores, participants=FailsToActivate(table, clock)))
    with pytest.raises(ServiceUnavailable):
        broken.joining.join(listener(1), JoinSession(session_id, "es", None))
    beat()
    sweep.run()
    assert told() == [ES_ACTIVE, ES_IDLE]


def test_a_language_that_a_repair_raises_from_0_becomes_active(
    session_id: str,
    dispatcher: Dispatcher,
    stores: Stores,
    sweep: Sweep,
    told: Told,
    beat: Callable[..., None],
) -> None:
    join(dispatcher, 1, session_id, "es")
    stores.participants.set_language("listener-1=", session_id, "fr")  # Then the function stopped.
    sweep.run()
    beat("listener-1=")
    assert sweep.run().repaired == 1
    assert told() == [ES_ACTIVE, FR_ACTIVE]
    beat("listener-1=")
    sweep.run()
    assert told() == [ES_ACTIVE, FR_ACTIVE, ES_IDLE]
    assert session_of(stores, session_id).demanded_languages == ["fr"]


def test_a_listener_that_tries_many_languages_has_few_translated(
    session_id: str, dispatcher: Dispatcher, stores: Stores, clock: Clock
) -> None:
    join(dispatcher, 1, session_id, "es")
    join(dispatcher, 2, session_id, "fr")
    for language in ("de", "it", "ja", "ko", "uk"):
        clock.now += 1
        dispatcher.message(frame("listener-2=", action="changeLanguage", targetLanguage=language))
    session = session_of(stores, session_id)
    assert len(session.active_tokens) == 7
    assert session.demanded_languages == ["es", "it", "ja", "ko", "uk"]


def test_two_sweeps_tell_an_idle_language_once(
    session_id: str,
    dispatcher: Dispatcher,
    stores: Stores,
    use_cases: UseCases,
    sweep_of: Callable[..., Sweep],
    told: Told,
    clock: Clock,
) -> None:
    join(dispatcher, 1, session_id, "es")
    leave(dispatcher, 1)
    read = session_of(stores, session_id)
    clock.now += 60
    for _ in range(2):
        sweep_of()._audience.end_if_idle(read, "es")
    assert told() == [ES_ACTIVE, ES_IDLE]


def test_an_idle_language_that_gets_a_listener_before_its_write_stays_active(
    session_id: str,
    dispatcher: Dispatcher,
    stores: Stores,
    sweep_of: Callable[..., Sweep],
    told: Told,
    clock: Clock,
) -> None:
    join(dispatcher, 1, session_id, "es")
    leave(dispatcher, 1)
    read = session_of(stores, session_id)
    clock.now += 60
    join(dispatcher, 2, session_id, "es")
    sweep_of()._audience.end_if_idle(read, "es")
    assert told() == [ES_ACTIVE]
    assert session_of(stores, session_id).demanded_languages == ["es"]


def test_the_end_of_a_session_tells_no_idle_language(
    session_id: str,
    dispatcher: Dispatcher,
    stores: Stores,
    sweep: Sweep,
    send: Callable[..., dict[str, Any]],
    told: Told,
    clock: Clock,
) -> None:
    join(dispatcher, 1, session_id, "es")
    leave(dispatcher, 1)
    join(dispatcher, 2, session_id, "fr")
    send("speaker=", "endSession")
    stores.seats.release(session_id, {"fr": 1})
    for _ in range(3):
        clock.now += 60
        sweep.run()
    assert told() == [ES_ACTIVE, FR_ACTIVE]


def test_a_leave_from_an_ended_session_is_no_change_of_its_audience(
    session_id: str,
    dispatcher: Dispatcher,
    build: Callable[..., UseCases],
    stores: Stores,
    send: Callable[..., dict[str, Any]],
    told: Told,
    outcomes: FakeOutcomes,
) -> None:
    join(dispatcher, 1, session_id, "es")
    outcomes.statuses.clear()
    send("speaker=", "endSession")
    use_cases = build()
    assert use_cases.joining._audience.release(session_id, {"es": 1}) is not None
    assert outcomes.statuses == []
    assert told() == [ES_ACTIVE]


def test_the_source_language_is_never_told(
    session_id: str,
    dispatcher: Dispatcher,
    stores: Stores,
    sweep: Sweep,
    told: Told,
    beat: Callable[..., None],
) -> None:
    join(dispatcher, 1, session_id, "en")
    assert session_of(stores, session_id).demanded_languages == []
    leave(dispatcher, 1)
    beat()
    sweep.run()
    assert told() == []
    assert session_of(stores, session_id).active_tokens == {}


# Successful commands


def test_a_language_is_active_from_its_first_listener_until_a_minute_after_its_last(
    session_id: str,
    dispatcher: Dispatcher,
    sweep: Sweep,
    told: Told,
    beat: Callable[..., None],
    clock: Clock,
) -> None:
    join(dispatcher, 1, session_id, "es")
    join(dispatcher, 2, session_id, "es")
    join(dispatcher, 3, session_id, "fr")
    assert told() == [ES_ACTIVE, FR_ACTIVE]
    leave(dispatcher, 1)
    beat("listener-2=", "listener-3=")
    sweep.run()
    assert told() == [ES_ACTIVE, FR_ACTIVE]
    leave(dispatcher, 2)
    beat("listener-3=")
    sweep.run()
    assert told() == [ES_ACTIVE, FR_ACTIVE, ES_IDLE]
    join(dispatcher, 4, session_id, "es")
    assert told() == [ES_ACTIVE, FR_ACTIVE, ES_IDLE, ES_ACTIVE]


def test_a_language_whose_listener_returns_within_a_minute_stays_active(
    session_id: str,
    dispatcher: Dispatcher,
    use_cases: UseCases,
    stores: Stores,
    sweep: Sweep,
    told: Told,
    beat: Callable[..., None],
    clock: Clock,
) -> None:
    join(dispatcher, 1, session_id, "es")
    leave(dispatcher, 1)
    clock.now += 30
    use_cases.refresh.refresh_listener(
        listener(2), RefreshListener(session_id, "es", "listener-1=", None)
    )
    assert session_of(stores, session_id).quiet_since_ms == {}
    beat("listener-2=")
    sweep.run()
    assert told() == [ES_ACTIVE]


@pytest.mark.parametrize("is_refresh", [True, False])
def test_a_change_of_the_language_moves_the_demand(
    session_id: str,
    dispatcher: Dispatcher,
    use_cases: UseCases,
    send: Callable[..., dict[str, Any]],
    sweep: Sweep,
    told: Told,
    beat: Callable[..., None],
    is_refresh: bool,
) -> None:
    join(dispatcher, 1, session_id, "es")
    if is_refresh:
        use_cases.refresh.refresh_listener(
            listener(2), RefreshListener(session_id, "fr", "listener-1=", None)
        )
    else:
        send("listener-1=", "changeLanguage", targetLanguage="fr")
    assert told() == [ES_ACTIVE, FR_ACTIVE]
    beat("listener-2=" if is_refresh else "listener-1=")
    sweep.run()
    assert told() == [ES_ACTIVE, FR_ACTIVE, ES_IDLE]


def test_a_refresh_with_the_same_language_makes_a_language_active_that_was_not(
    session_id: str, dispatcher: Dispatcher, use_cases: UseCases, dynamodb: Any, told: Told
) -> None:
    join(dispatcher, 1, session_id, "es")
    dynamodb.update_item(
        TableName="sessions",
        Key={"sessionId": {"S": session_id}},
        UpdateExpression="REMOVE #active",
        ExpressionAttributeNames={"#active": "active:es"},
    )
    use_cases.refresh.refresh_listener(
        listener(2), RefreshListener(session_id, "es", "listener-1=", None)
    )
    assert told() == [ES_ACTIVE, ES_ACTIVE]


def test_listeners_that_the_sweep_or_a_notice_removes_leave_their_languages(
    session_id: str,
    dispatcher: Dispatcher,
    send: Callable[..., dict[str, Any]],
    phones: FakeConnections,
    sweep: Sweep,
    told: Told,
    beat: Callable[..., None],
) -> None:
    join(dispatcher, 1, session_id, "es")
    join(dispatcher, 2, session_id, "fr")
    beat("listener-2=")
    phones.closed.add("listener-2=")
    send("speaker=", "pauseSession")
    beat()
    sweep.run()
    assert told() == [ES_ACTIVE, FR_ACTIVE, FR_IDLE]
    beat()
    sweep.run()
    assert told() == [ES_ACTIVE, FR_ACTIVE, FR_IDLE, ES_IDLE]


def test_the_sweep_waits_for_a_language_that_becomes_idle_before_the_next_sweep(
    session_id: str, dispatcher: Dispatcher, sweep: Sweep, functions: FakeFunctions, clock: Clock
) -> None:
    join(dispatcher, 1, session_id, "es")
    clock.now += 10
    leave(dispatcher, 1)
    clock.now += 20
    began_ms = int(clock() * 1000)
    sweep.run()
    event = functions.events[-1]
    assert (event["type"], event["timestamp"]) == ("languageIdle", began_ms + 40_000)


def test_an_idle_language_forgets_how_far_it_was_translated(
    session_id: str, dispatcher: Dispatcher, dynamodb: Any, sweep: Sweep, beat: Callable[..., None]
) -> None:
    join(dispatcher, 1, session_id, "es")
    leave(dispatcher, 1)
    dynamodb.update_item(
        TableName="sessions",
        Key={"sessionId": {"S": session_id}},
        UpdateExpression="SET #translated = :last",
        ExpressionAttributeNames={"#translated": "translated:es"},
        ExpressionAttributeValues={":last": {"N": "7"}},
    )
    beat()
    sweep.run()
    (item,) = dynamodb.scan(TableName="sessions")["Items"]
    assert not {name for name in item if name.endswith(":es")} - {"listeners:es"}
