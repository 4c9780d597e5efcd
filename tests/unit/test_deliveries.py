"""What Lambda delivers asynchronously, more than once: it arrives once."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.dispatch import FOLLOW_MS
from chalicelib.models import Caller
from chalicelib.protocol import (
    CreateSession,
    EndSession,
    JoinSession,
    PauseSession,
    QualityTier,
    RefreshListener,
    RefreshSpeaker,
)
from chalicelib.sessions import Sessions
from tests.unit.fakes import Clock, FakeConnections, listener, scan, types


@pytest.fixture
def event(sessions: Sessions, session_id: str) -> dict[str, Any]:
    """The event of a listener's outcome."""
    joined = sessions.join(listener(1), JoinSession(session_id, "es", None))
    messages = [json.dumps(joined)]
    return {"id": "1", "connectionId": "listener-1=", "messages": messages, "delayMs": 0}


@pytest.fixture
def reminder(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "messages": ['{"type": "connectionWarning"}'], "delayMs": FOLLOW_MS}


def test_an_outcome_that_is_delivered_three_times_arrives_once(
    sessions: Sessions, event: dict[str, Any], phones: FakeConnections
) -> None:
    for _ in range(3):
        sessions.deliver(event)
    assert types(phones.inbox["listener-1="]) == ["sessionJoined"]


def test_an_outcome_that_is_delivered_while_it_waits_for_its_connection_arrives_once(
    sessions: Sessions, event: dict[str, Any], phones: FakeConnections
) -> None:
    phones.closed.add("listener-1=")

    def sleep(_: float) -> None:
        phones.closed.clear()
        sessions.deliver(event)

    replace(sessions, sleep=sleep).deliver(event)
    assert types(phones.inbox["listener-1="]) == ["sessionJoined"]


def test_an_outcome_whose_session_is_over_says_so_once(
    sessions: Sessions,
    event: dict[str, Any],
    phones: FakeConnections,
    speaker: Caller,
    dynamodb: Any,
    clock: Clock,
) -> None:
    phones.closed.add("listener-1=")
    sessions.end(speaker, EndSession(None))
    phones.closed.clear()
    for _ in range(3):
        sessions.deliver(event)
    assert types(phones.inbox["listener-1="]) == ["error"]
    (claim,) = scan(dynamodb, "connections")
    assert claim["connectionId"]["S"] == "#event-1"
    assert int(claim["ttl"]["N"]) == clock() + 600
    # The connection is no participant by it.
    assert sessions.store.find_connection("listener-1=") is None
    other = sessions.create(
        replace(speaker, connection_id="other="), CreateSession("en", QualityTier.STANDARD)
    )
    joined = sessions.join(listener(1), JoinSession(other["sessionId"], "es", None))
    assert joined["type"] == "sessionJoined"


def _end_and_heartbeat(sessions: Sessions) -> None:
    sessions.lifecycle.leave("speaker=", 1000)
    sessions.heartbeat(listener(1))


def _lose_and_create(sessions: Sessions) -> None:
    sessions.lifecycle.leave("listener-1=")
    user = replace(listener(1), user_id="user-2")
    sessions.create(user, CreateSession("en", QualityTier.STANDARD))


def _lose_and_refresh(sessions: Sessions) -> None:
    session_id = sessions.store.find_connection("listener-1=").session_id  # type: ignore[union-attr]
    sessions.join(listener(2), JoinSession(session_id, "es", None))
    sessions.lifecycle.leave("listener-1=")
    sessions.refresh_listener(listener(1), RefreshListener(session_id, "es", "listener-2=", None))


@pytest.mark.parametrize("change", [_end_and_heartbeat, _lose_and_create, _lose_and_refresh])
def test_an_outcome_that_is_delivered_again_after_its_participant_changed_arrives_once(
    sessions: Sessions,
    event: dict[str, Any],
    phones: FakeConnections,
    change: Callable[[Sessions], None],
) -> None:
    sessions.deliver(event)
    change(sessions)
    heard = list(phones.inbox["listener-1="])
    sessions.deliver(event)
    assert phones.inbox["listener-1="] == heard


def test_an_outcome_of_a_speaker_that_was_superseded_is_a_refusal(
    sessions: Sessions, session_id: str, speaker: Caller, phones: FakeConnections
) -> None:
    first = replace(speaker, connection_id="first=")
    refreshed = sessions.refresh_speaker(first, RefreshSpeaker(session_id))
    sessions.refresh_speaker(replace(speaker, connection_id="second="), RefreshSpeaker(session_id))
    sessions.deliver_outcome("first=", "1", json.dumps(refreshed))
    assert [message["code"] for message in phones.inbox["first="]] == ["SESSION_NOT_FOUND"]


def test_an_outcome_whose_claim_is_sent_again_arrives(
    sessions: Sessions, event: dict[str, Any], phones: FakeConnections, dynamodb: Any
) -> None:
    update = dynamodb.update_item

    def send_twice(**request: Any) -> Any:
        update(**request)
        return update(**request)

    dynamodb.update_item = send_twice
    try:
        sessions.deliver(event)
    finally:
        dynamodb.update_item = update
    assert types(phones.inbox["listener-1="]) == ["sessionJoined"]


@pytest.mark.parametrize("order", ["aabb", "abab", "abba"])
def test_reminders_that_are_delivered_twice_arrive_once(
    sessions: Sessions, reminder: dict[str, Any], phones: FakeConnections, order: str
) -> None:
    for each in order:
        sessions.deliver({**reminder, "id": each})
    assert types(phones.inbox["listener-1="]) == ["connectionWarning"] * 2


def test_a_reminder_that_overtakes_the_outcome_does_not_cost_it(
    sessions: Sessions,
    event: dict[str, Any],
    reminder: dict[str, Any],
    phones: FakeConnections,
) -> None:
    sessions.deliver({**reminder, "id": "2"})
    sessions.deliver(event)
    assert types(phones.inbox["listener-1="]) == ["connectionWarning", "sessionJoined"]


@pytest.mark.parametrize("status", ["paused", "interrupted"])
def test_the_outcome_of_a_refresh_says_how_the_session_stands_when_the_connection_opens(
    sessions: Sessions,
    session_id: str,
    event: dict[str, Any],
    phones: FakeConnections,
    speaker: Caller,
    status: str,
) -> None:
    refreshed = sessions.refresh_listener(
        listener(2), RefreshListener(session_id, "es", "listener-1=", None)
    )
    assert refreshed["status"] == "active"
    change: dict[str, Callable[[], object]] = {
        "paused": lambda: sessions.pause(speaker, PauseSession(None)),
        "interrupted": lambda: sessions.lifecycle.leave("speaker=", 1006),
    }
    change[status]()
    sessions.deliver(
        {**event, "connectionId": "listener-2=", "messages": [json.dumps(refreshed)], "id": "2"}
    )
    assert phones.inbox["listener-2="][-1]["status"] == status
