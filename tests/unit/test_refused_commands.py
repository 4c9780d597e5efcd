"""The close of a connection after too many refused commands in a row."""

from typing import Any

import pytest

from chalicelib.assembly import UseCases
from chalicelib.dispatch import FOLLOW_UP_DELAY_MS, Dispatcher
from chalicelib.errors import ServiceUnavailable
from chalicelib.lifecycle import Lifecycle
from chalicelib.models import Participant, Role
from chalicelib.outcomes import Delivery
from chalicelib.store.participants import ParticipantStore
from chalicelib.store.refused_commands import RefusedCommandStore
from chalicelib.store.stores import Stores
from chalicelib.sweep import Sweep
from tests.unit.fakes import (
    CREATE,
    Clock,
    FakeConnections,
    FakeOutcomes,
    closing,
    event,
    frame,
    reply,
    scan,
)

NONSENSE = {"action": "fly"}
MAX_REFUSED = 20

ALLOWED_HEARTBEATS = 4
"""Heartbeats that are accepted at once, with 2 a minute. Source: heartbeats.times_to_keep."""


def close(connection_id: str) -> Delivery:
    return Delivery(connection_id, "https://api/stage", delay_ms=FOLLOW_UP_DELAY_MS, closes=True)


def refuse(
    dispatcher: Dispatcher, times: int, connection_id: str = "a=", user_id: str | None = None
) -> None:
    for _ in range(times):
        answer = reply(dispatcher.message(frame(connection_id, user_id, **NONSENSE)))
        assert answer["code"] == "INVALID_ACTION"


def test_the_twentieth_refused_command_in_a_row_closes_the_connection_after_its_answer(
    dispatcher: Dispatcher, outcomes: FakeOutcomes
) -> None:
    refuse(dispatcher, MAX_REFUSED - 1)
    refuse(dispatcher, MAX_REFUSED - 1, "b=")
    assert outcomes.closing == []
    refuse(dispatcher, 1)
    assert outcomes.closing == [("a=", "https://api/stage", FOLLOW_UP_DELAY_MS)]


def test_each_further_refused_command_requests_the_close_again(
    dispatcher: Dispatcher, outcomes: FakeOutcomes
) -> None:
    refuse(dispatcher, MAX_REFUSED + 1)
    assert len(outcomes.closing) == 2


@pytest.mark.parametrize(
    "refused",
    [
        {"body": "no JSON"},
        {"body": ""},
        {"body": '{"action": "joinSession"}'},
        {"body": '{"action": "endSession"}'},
        {"body": '{"action": "pauseSession", "sessionId": "golden-eagle-999"}'},
    ],
)
def test_every_kind_of_refused_command_counts(
    dispatcher: Dispatcher, outcomes: FakeOutcomes, refused: dict[str, Any]
) -> None:
    for _ in range(MAX_REFUSED):
        assert reply(dispatcher.message(event("a=", **refused)))["type"] == "error"
    assert len(outcomes.closing) == 1


@pytest.mark.parametrize("role", ["speaker", "listener"])
def test_refused_joins_and_refreshes_count_as_refused_commands(
    dispatcher: Dispatcher, outcomes: FakeOutcomes, role: str
) -> None:
    unknown = {
        "action": "refreshConnection" if role == "speaker" else "joinSession",
        "role": "speaker",
        "sessionId": "golden-eagle-999",
        "targetLanguage": "es",
    }
    for _ in range(MAX_REFUSED):
        assert reply(dispatcher.message(frame("a=", "user-1", **unknown)))["type"] == "error"
    assert len(outcomes.closing) == 1


def test_an_error_of_the_service_does_not_count_as_a_refused_command(
    dispatcher: Dispatcher, outcomes: FakeOutcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise ServiceUnavailable("busy", retry_after_seconds=2)

    monkeypatch.setattr(ParticipantStore, "find", busy)
    for _ in range(MAX_REFUSED):
        answer = reply(dispatcher.message(frame("a=", "user-1", action="pauseSession")))
        assert answer["code"] == "SERVICE_UNAVAILABLE"
    assert outcomes.closing == []


@pytest.mark.parametrize("error", [ServiceUnavailable("busy"), KeyError("refusals")])
def test_a_refused_command_that_cannot_be_counted_is_answered_and_closes_nothing(
    dispatcher: Dispatcher,
    outcomes: FakeOutcomes,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(RefusedCommandStore, "count", fail)
    refuse(dispatcher, MAX_REFUSED + 1)
    assert outcomes.closing == []


def as_speaker(session_id: str) -> dict[str, str]:
    return {"action": "refreshConnection", "role": "speaker", "sessionId": session_id}


def as_listener(session_id: str, old_id: str) -> dict[str, str]:
    join = {"sessionId": session_id, "targetLanguage": "es", "connectionId": old_id}
    return {"action": "refreshConnection", "role": "listener", **join}


def test_a_successful_command_resets_the_count_of_refused_commands(
    dispatcher: Dispatcher, outcomes: FakeOutcomes, session_id: str, dynamodb: Any
) -> None:
    join = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
    change = {"action": "changeLanguage", "targetLanguage": "de"}
    successes: list[tuple[str, str | None, dict[str, str]]] = [
        ("a=", None, join),
        ("a=", None, change),
        ("b=", None, as_listener(session_id, "a=")),
        ("b=", None, as_listener(session_id, "a=")),
        ("c=", None, as_listener(session_id, "never-was=")),
        ("new=", "user-1", as_speaker(session_id)),
        ("new=", "user-1", as_speaker(session_id)),
        ("new=", "user-1", {"action": "getSessionStatus"}),
        ("new=", "user-1", {"action": "pauseSession"}),
        ("new=", "user-1", {"action": "pauseSession"}),
        ("new=", "user-1", {"action": "resumeSession"}),
        ("new=", "user-1", {"action": "rotateInviteCode"}),
        ("other=", "user-2", CREATE),
    ]
    for connection_id, user_id, command in successes:
        refuse(dispatcher, 2, connection_id, user_id)
        answer = reply(dispatcher.message(frame(connection_id, user_id, **command)))
        assert answer["type"] != "error", (command, answer)
        assert not any("refusals" in item for item in scan(dynamodb, "connections")), command
    refuse(dispatcher, MAX_REFUSED - 1, "other=", "user-2")
    assert outcomes.closing == []


@pytest.mark.parametrize(
    ("connection_id", "user_id"),
    [("speaker=", "user-1"), ("a=", None)],
    ids=["speaker", "listener"],
)
def test_refused_heartbeats_in_a_row_close_the_connection(
    dispatcher: Dispatcher,
    outcomes: FakeOutcomes,
    session_id: str,
    connection_id: str,
    user_id: str | None,
) -> None:
    join = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
    dispatcher.message(frame("a=", **join))
    heartbeat = frame(connection_id, user_id, action="heartbeat")
    for _ in range(ALLOWED_HEARTBEATS):
        assert reply(dispatcher.message(heartbeat))["type"] == "heartbeatAck"
    for _ in range(MAX_REFUSED):
        assert outcomes.closing == []
        assert reply(dispatcher.message(heartbeat))["code"] == "RATE_LIMIT_EXCEEDED"
    assert outcomes.closing == [(connection_id, "https://api/stage", FOLLOW_UP_DELAY_MS)]


def test_a_participant_keeps_its_seat_after_refused_commands(
    dispatcher: Dispatcher, session_id: str, stores: Stores
) -> None:
    join = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
    dispatcher.message(frame("a=", **join))
    before = stores.participants.find_present("a=")
    refuse(dispatcher, 3)
    assert stores.participants.find_present("a=") == before
    assert stores.listeners.list_ids(session_id) == ["a="]


def test_an_item_that_only_counts_refusals_is_deleted_with_its_connection(
    dispatcher: Dispatcher, stores: Stores, lifecycle: Lifecycle, dynamodb: Any
) -> None:
    refuse(dispatcher, 3)
    assert stores.participants.find("a=") is None
    assert stores.participants.mark_left("b=") is None
    assert dispatcher.disconnect(closing("a=")) == {"statusCode": 200}
    assert scan(dynamodb, "connections") == []


def test_an_item_that_only_counts_refusals_expires(dispatcher: Dispatcher, dynamodb: Any) -> None:
    refuse(dispatcher, 1)
    (item,) = scan(dynamodb, "connections")
    assert int(item["ttl"]["N"]) == 1_800_000_000 + 7800


def test_the_outcome_function_closes_the_connection(
    use_cases: UseCases, phones: FakeConnections, stores: Stores
) -> None:
    stores.participants.put(Participant("a=", "golden-eagle-427", Role.LISTENER, 0, "es"))
    use_cases.deliveries.deliver(close("a="))
    assert phones.closed == {"a="}
    assert phones.inbox == {}


@pytest.mark.parametrize("code", [1000, 1006])
def test_a_speaker_whose_connection_the_service_closes_has_the_long_grace(
    dispatcher: Dispatcher,
    use_cases: UseCases,
    phones: FakeConnections,
    sweep: Sweep,
    clock: Clock,
    session_id: str,
    code: int,
) -> None:
    """Each event occurs twice, and a command succeeds before the close."""
    join = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
    dispatcher.message(frame("a=", **join))
    refuse(dispatcher, MAX_REFUSED, "speaker=", "user-1")
    dispatcher.message(frame("speaker=", "user-1", action="getSessionStatus"))
    delivery = close("speaker=")
    for _ in range(2):
        use_cases.deliveries.deliver(delivery)
    for _ in range(2):
        dispatcher.disconnect(closing("speaker=", code))
    clock.now += 1
    sweep.run()
    assert [
        (it["type"], it.get("graceSeconds"), it.get("reason")) for it in phones.inbox["a="]
    ] == [
        ("sessionInterrupted", 60, None),
        ("sessionEnded", None, "speakerLost"),
    ]


def test_a_connection_is_not_closed_if_the_close_cannot_be_recorded(
    use_cases: UseCases,
    phones: FakeConnections,
    session_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def busy(*_: object) -> None:
        raise ServiceUnavailable("busy", retry_after_seconds=2)

    monkeypatch.setattr(ParticipantStore, "note_service_close", busy)
    with pytest.raises(ServiceUnavailable):
        use_cases.deliveries.deliver(close("speaker="))
    assert phones.closed == set()


def test_the_close_of_a_bare_connection_stores_nothing(
    use_cases: UseCases, phones: FakeConnections, dynamodb: Any
) -> None:
    use_cases.deliveries.deliver(close("a="))
    assert phones.closed == {"a="}
    assert scan(dynamodb, "connections") == []
