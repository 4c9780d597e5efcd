"""Notices of the status, which follow changes of the audience."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.assembly import UseCases
from chalicelib.commands import EndSession, JoinSession, RefreshListener, RefreshSpeaker
from chalicelib.dispatch import Dispatcher
from chalicelib.models import Caller
from chalicelib.status_requests import StatusRequest
from chalicelib.store.stores import Stores
from chalicelib.sweep import Sweep
from tests.unit.fakes import (
    Clock,
    FakeConnections,
    FakeOutcomes,
    closing,
    frame,
    join,
    listener,
    reply,
    types,
)


@pytest.fixture
def deliver(use_cases: UseCases, outcomes: FakeOutcomes) -> Callable[[], int]:
    """Return a function that posts the requested notices, and counts the requests."""

    def deliver() -> int:
        requests, outcomes.statuses = outcomes.statuses, []
        for request in requests:
            use_cases.status_notices.deliver(request)
        return len(requests)

    return deliver


def counts(phones: FakeConnections, connection_id: str = "speaker=") -> list[int]:
    """Return the counts of the notices that a speaker has received."""
    messages = phones.inbox.get(connection_id, [])
    return [each["listenerCount"] for each in messages if each["type"] == "sessionStatus"]


# Lost, repeated and failing notices


def test_a_notice_whose_function_did_not_run_is_requested_by_the_next_change_after_5_s(
    session_id: str,
    dispatcher: Dispatcher,
    outcomes: FakeOutcomes,
    phones: FakeConnections,
    deliver: Callable[[], int],
    clock: Clock,
) -> None:
    join(dispatcher, 1, session_id, "es")
    outcomes.statuses.clear()
    clock.now += 4.999
    join(dispatcher, 2, session_id, "es")
    assert outcomes.statuses == []
    clock.now += 0.001
    join(dispatcher, 3, session_id, "es")
    assert deliver() == 1
    assert counts(phones) == [3]


def test_a_notice_whose_function_did_not_run_is_requested_by_the_sweep(
    session_id: str,
    dispatcher: Dispatcher,
    outcomes: FakeOutcomes,
    phones: FakeConnections,
    sweep: Sweep,
    deliver: Callable[[], int],
    clock: Clock,
) -> None:
    join(dispatcher, 1, session_id, "es")
    (lost,) = outcomes.statuses
    outcomes.statuses.clear()
    sweep.run()
    assert outcomes.statuses == []
    clock.now += 5
    sweep.run()
    sweep.run()
    assert deliver() == 1
    outcomes.statuses.append(lost)
    assert deliver() == 1
    assert counts(phones) == [1]


def test_a_notice_that_is_requested_twice_is_posted_once(
    session_id: str,
    dispatcher: Dispatcher,
    outcomes: FakeOutcomes,
    phones: FakeConnections,
    deliver: Callable[[], int],
) -> None:
    join(dispatcher, 1, session_id, "es")
    outcomes.statuses *= 2
    assert deliver() == 2
    assert counts(phones) == [1]


def test_a_notice_is_posted_even_if_the_write_that_begins_it_is_sent_twice(
    session_id: str,
    dispatcher: Dispatcher,
    phones: FakeConnections,
    deliver: Callable[[], int],
    dynamodb: Any,
) -> None:
    join(dispatcher, 1, session_id, "es")
    update = dynamodb.update_item

    def send_twice(**request: Any) -> Any:
        update(**request)
        return update(**request)

    dynamodb.update_item = send_twice
    try:
        deliver()
    finally:
        del dynamodb.update_item
    assert counts(phones) == [1]


def test_an_ended_session_gets_no_notice(
    session_id: str,
    dispatcher: Dispatcher,
    use_cases: UseCases,
    speaker: Caller,
    phones: FakeConnections,
    sweep: Sweep,
    deliver: Callable[[], int],
    clock: Clock,
) -> None:
    join(dispatcher, 1, session_id, "es")
    use_cases.sessions.end(speaker, EndSession(None))
    assert deliver() == 1
    clock.now += 10
    sweep.run()
    assert deliver() == 0
    assert counts(phones) == []


def test_a_throttled_notice_is_left_to_the_next_heartbeat(
    session_id: str,
    dispatcher: Dispatcher,
    phones: FakeConnections,
    deliver: Callable[[], int],
) -> None:
    join(dispatcher, 1, session_id, "es")
    phones.throttled.add("speaker=")
    assert deliver() == 1
    assert deliver() == 0
    ack = reply(dispatcher.message(frame("speaker=", "user-1", action="heartbeat")))
    assert ack["listenerCount"] == 1


def test_a_notice_that_finds_the_speaker_gone_interrupts_the_session(
    session_id: str,
    dispatcher: Dispatcher,
    phones: FakeConnections,
    stores: Stores,
    deliver: Callable[[], int],
    clock: Clock,
) -> None:
    clock.now += 35
    join(dispatcher, 1, session_id, "es")
    phones.closed.add("speaker=")
    deliver()
    session = stores.sessions.find_open(session_id)
    assert session is not None
    assert session.grace_ends_at_ms is not None
    assert types(phones.inbox["listener-1="]) == ["sessionInterrupted"]
    join(dispatcher, 2, session_id, "es")
    deliver()
    assert types(phones.inbox["listener-1="]) == ["sessionInterrupted"]


def test_a_notice_to_a_speaker_whose_connection_is_not_open_yet_follows_later(
    session_id: str,
    dispatcher: Dispatcher,
    use_cases: UseCases,
    speaker: Caller,
    phones: FakeConnections,
    stores: Stores,
    deliver: Callable[[], int],
) -> None:
    use_cases.refresh.refresh_speaker(
        replace(speaker, connection_id="new="), RefreshSpeaker(session_id)
    )
    phones.closed.add("new=")
    join(dispatcher, 1, session_id, "es")
    assert deliver() == 1
    phones.closed.remove("new=")
    assert deliver() == 1
    assert counts(phones, "new=") == [1]
    session = stores.sessions.find_open(session_id)
    assert session is not None
    assert session.grace_ends_at_ms is None


def test_a_change_while_a_notice_is_posted_gets_its_own_notice(
    session_id: str,
    dispatcher: Dispatcher,
    build: Callable[..., UseCases],
    outcomes: FakeOutcomes,
    phones: FakeConnections,
    deliver: Callable[[], int],
) -> None:
    class JoinsDuringPost(FakeConnections):
        def post(self, connection_id: str, text: str) -> None:
            join(dispatcher, 2, session_id, "es")
            phones.post(connection_id, text)

    join(dispatcher, 1, session_id, "es")
    (request,) = outcomes.statuses
    outcomes.statuses.clear()
    build(connections=JoinsDuringPost()).status_notices.deliver(request)
    assert deliver() == 1
    assert counts(phones) == [1, 2]


# Successful notices


def test_a_change_is_told_after_300_ms_with_the_answer_of_get_session_status(
    session_id: str,
    dispatcher: Dispatcher,
    phones: FakeConnections,
    deliver: Callable[[], int],
    clock: Clock,
) -> None:
    join(dispatcher, 1, session_id, "es")
    deliver()
    (notice,) = phones.inbox["speaker="]
    assert notice["timestamp"] == 1_800_000_000_300 == int(clock() * 1000)
    status = reply(dispatcher.message(frame("speaker=", "user-1", action="getSessionStatus")))
    assert notice == status


def test_changes_within_two_seconds_share_a_notice_2_s_after_the_last_one(
    session_id: str,
    dispatcher: Dispatcher,
    phones: FakeConnections,
    deliver: Callable[[], int],
    clock: Clock,
) -> None:
    join(dispatcher, 1, session_id, "es")
    deliver()
    join(dispatcher, 2, session_id, "es")
    clock.now += 1
    dispatcher.disconnect(closing("listener-1=", 1006))
    join(dispatcher, 3, session_id, "es")
    assert deliver() == 1
    first, second = phones.inbox["speaker="]
    assert second["timestamp"] - first["timestamp"] == 2000
    assert second["listenerCount"] == 2


def test_every_kind_of_change_claims_a_notice(
    session_id: str,
    dispatcher: Dispatcher,
    use_cases: UseCases,
    stores: Stores,
    sweep: Sweep,
    deliver: Callable[[], int],
    clock: Clock,
) -> None:
    def change(number: int, language: str) -> None:
        change = {"action": "changeLanguage", "targetLanguage": language}
        dispatcher.message(frame(f"listener-{number}=", **change))

    def refresh(new: int, old: int, language: str) -> None:
        use_cases.refresh.refresh_listener(
            listener(new), RefreshListener(session_id, language, f"listener-{old}=", None)
        )

    use_cases.joining.join(listener(1), JoinSession(session_id, "es", None))
    assert deliver() == 1
    change(1, "fr")
    assert deliver() == 1
    change(1, "fr")
    assert deliver() == 0
    refresh(2, 1, "fr")
    assert deliver() == 0
    refresh(3, 2, "de")
    assert deliver() == 1
    use_cases.lifecycle.leave("listener-3=")
    assert deliver() == 1
    refresh(4, 3, "de")
    assert deliver() == 1
    clock.now += 60
    dispatcher.message(frame("speaker=", "user-1", action="heartbeat"))
    clock.now += 30
    assert sweep.run().removed == 1
    assert deliver() == 1
    stores.seats.take(session_id, "de", None, 3)  # Then the function stopped.
    sweep.run()
    deliver()
    clock.now += 35
    assert sweep.run().repaired == 1
    assert deliver() == 1


def test_a_notice_goes_to_the_current_speaker(
    session_id: str,
    dispatcher: Dispatcher,
    use_cases: UseCases,
    speaker: Caller,
    phones: FakeConnections,
    deliver: Callable[[], int],
) -> None:
    join(dispatcher, 1, session_id, "es")
    use_cases.refresh.refresh_speaker(
        replace(speaker, connection_id="new="), RefreshSpeaker(session_id)
    )
    deliver()
    assert (counts(phones), counts(phones, "new=")) == ([], [1])


def test_a_request_is_unchanged_after_encoding_and_decoding() -> None:
    trail = {"requestId": "request=", "sessionId": None, "correlation": None}
    request = StatusRequest("golden-eagle-427", "1-a", 2, "https://api/stage", trail)
    assert StatusRequest.from_event(request.to_event()) == request
