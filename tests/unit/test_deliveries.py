"""Deliveries, which arrive once even if Lambda invokes their function several times."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.assembly import UseCases
from chalicelib.commands import (
    CreateSession,
    EndSession,
    JoinSession,
    PauseSession,
    QualityTier,
    RefreshListener,
    RefreshSpeaker,
)
from chalicelib.dispatch import FOLLOW_UP_DELAY_MS
from chalicelib.models import Caller
from chalicelib.outcomes import Delivery
from chalicelib.store.stores import Stores
from tests.unit.fakes import Clock, FakeConnections, listener, scan, types

URL = "https://api/stage"


@pytest.fixture
def outcome(use_cases: UseCases, session_id: str) -> Delivery:
    """Return the delivery of a listener's outcome."""
    joined = use_cases.joining.join(listener(1), JoinSession(session_id, "es", None)).message
    return Delivery("listener-1=", URL, [joined], event_id="1")


@pytest.fixture
def reminder(outcome: Delivery) -> Delivery:
    return replace(outcome, messages=[{"type": "connectionWarning"}], delay_ms=FOLLOW_UP_DELAY_MS)


def test_an_outcome_that_is_delivered_three_times_arrives_once(
    use_cases: UseCases, outcome: Delivery, phones: FakeConnections
) -> None:
    for _ in range(3):
        use_cases.deliveries.deliver(outcome)
    (message,) = outcome.messages
    assert phones.inbox["listener-1="] == [{**message, "timestamp": 1_800_000_000_000}]
    assert message["type"] == "sessionJoined"


def test_an_outcome_that_is_delivered_while_it_waits_for_its_connection_arrives_once(
    use_cases: UseCases,
    build: Callable[..., UseCases],
    outcome: Delivery,
    phones: FakeConnections,
) -> None:
    phones.closed.add("listener-1=")

    def sleep(_: float) -> None:
        phones.closed.clear()
        use_cases.deliveries.deliver(outcome)

    build(sleep=sleep).deliveries.deliver(outcome)
    assert types(phones.inbox["listener-1="]) == ["sessionJoined"]


def test_an_outcome_of_an_ended_session_is_delivered_once_as_an_error(
    use_cases: UseCases,
    outcome: Delivery,
    phones: FakeConnections,
    speaker: Caller,
    stores: Stores,
    dynamodb: Any,
    clock: Clock,
) -> None:
    phones.closed.add("listener-1=")
    use_cases.sessions.end(speaker, EndSession(None))
    phones.closed.clear()
    for _ in range(3):
        use_cases.deliveries.deliver(outcome)
    assert types(phones.inbox["listener-1="]) == ["error"]
    (claim,) = scan(dynamodb, "connections")
    assert claim["connectionId"]["S"] == "#event-1"
    assert int(claim["ttl"]["N"]) == clock() + 600
    # The claim does not make the connection a participant.
    assert stores.participants.find_present("listener-1=") is None
    other = use_cases.sessions.create(
        replace(speaker, connection_id="other="), CreateSession("en", QualityTier.STANDARD)
    ).message
    joined = use_cases.joining.join(listener(1), JoinSession(other["sessionId"], "es", None))
    assert joined.message["type"] == "sessionJoined"


def _end_and_heartbeat(use_cases: UseCases, _session_id: str) -> None:
    use_cases.lifecycle.leave("speaker=", 1000)
    use_cases.presence.heartbeat(listener(1))


def _lose_and_create(use_cases: UseCases, _session_id: str) -> None:
    use_cases.lifecycle.leave("listener-1=")
    user = replace(listener(1), user_id="user-2")
    use_cases.sessions.create(user, CreateSession("en", QualityTier.STANDARD))


def _lose_and_refresh(use_cases: UseCases, session_id: str) -> None:
    use_cases.joining.join(listener(2), JoinSession(session_id, "es", None))
    use_cases.lifecycle.leave("listener-1=")
    use_cases.refresh.refresh_listener(
        listener(1), RefreshListener(session_id, "es", "listener-2=", None)
    )


@pytest.mark.parametrize("change", [_end_and_heartbeat, _lose_and_create, _lose_and_refresh])
def test_an_outcome_that_is_delivered_again_after_its_participant_changed_arrives_once(
    use_cases: UseCases,
    outcome: Delivery,
    session_id: str,
    phones: FakeConnections,
    change: Callable[[UseCases, str], None],
) -> None:
    use_cases.deliveries.deliver(outcome)
    change(use_cases, session_id)
    heard = list(phones.inbox["listener-1="])
    use_cases.deliveries.deliver(outcome)
    assert phones.inbox["listener-1="] == heard


def test_an_outcome_of_a_superseded_speaker_is_delivered_as_an_error(
    use_cases: UseCases, session_id: str, speaker: Caller, phones: FakeConnections
) -> None:
    first = replace(speaker, connection_id="first=")
    refreshed = use_cases.refresh.refresh_speaker(first, RefreshSpeaker(session_id)).message
    use_cases.refresh.refresh_speaker(
        replace(speaker, connection_id="second="), RefreshSpeaker(session_id)
    )
    use_cases.deliveries.deliver(Delivery("first=", URL, [refreshed]))
    assert [message["code"] for message in phones.inbox["first="]] == ["SESSION_NOT_FOUND"]


def test_an_outcome_arrives_even_if_the_write_of_its_claim_is_repeated(
    use_cases: UseCases, outcome: Delivery, phones: FakeConnections, dynamodb: Any
) -> None:
    update = dynamodb.update_item

    def send_twice(**request: Any) -> Any:
        update(**request)
        return update(**request)

    dynamodb.update_item = send_twice
    try:
        use_cases.deliveries.deliver(outcome)
    finally:
        dynamodb.update_item = update
    assert types(phones.inbox["listener-1="]) == ["sessionJoined"]


@pytest.mark.parametrize("order", ["aabb", "abab", "abba"])
def test_reminders_that_are_delivered_twice_arrive_once(
    use_cases: UseCases, reminder: Delivery, phones: FakeConnections, order: str
) -> None:
    for each in order:
        use_cases.deliveries.deliver(replace(reminder, event_id=each))
    assert types(phones.inbox["listener-1="]) == ["connectionWarning"] * 2


def test_an_outcome_arrives_even_if_a_reminder_arrives_first(
    use_cases: UseCases,
    outcome: Delivery,
    reminder: Delivery,
    phones: FakeConnections,
) -> None:
    use_cases.deliveries.deliver(replace(reminder, event_id="2"))
    use_cases.deliveries.deliver(outcome)
    assert types(phones.inbox["listener-1="]) == ["connectionWarning", "sessionJoined"]


@pytest.mark.parametrize("status", ["paused", "interrupted"])
@pytest.mark.usefixtures("outcome")
def test_the_outcome_of_a_refresh_has_the_sessions_status_at_the_time_of_delivery(
    use_cases: UseCases,
    session_id: str,
    phones: FakeConnections,
    speaker: Caller,
    status: str,
) -> None:
    refreshed = use_cases.refresh.refresh_listener(
        listener(2), RefreshListener(session_id, "es", "listener-1=", None)
    ).message
    assert refreshed["status"] == "active"
    change: dict[str, Callable[[], object]] = {
        "paused": lambda: use_cases.sessions.pause(speaker, PauseSession(None)),
        "interrupted": lambda: use_cases.lifecycle.leave("speaker=", 1006),
    }
    change[status]()
    use_cases.deliveries.deliver(Delivery("listener-2=", URL, [refreshed]))
    assert phones.inbox["listener-2="][-1]["status"] == status
