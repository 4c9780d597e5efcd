"""The stores: pages, batches, conditions and the failures of DynamoDB."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.aws.circuit import CircuitBreaker
from chalicelib.aws.dynamodb import DynamoDB, Refused
from chalicelib.aws.retries import Retries
from chalicelib.aws.wire import Answer
from chalicelib.errors import ServiceUnavailable, SessionNotFound
from chalicelib.models import Caller, EndReason, Participant, Role
from chalicelib.store.hand_overs import HandOver
from chalicelib.store.items import KEPT_AFTER_END_SECONDS, new_arrival
from chalicelib.store.stores import Stores, build_stores
from tests.unit.fakes import TABLES, Clock, PlayedTransport, refused, scan

NOW = 1_800_000_000
NOW_MS = NOW * 1000


def seat(number: int, language: str = "es") -> Participant:
    return Participant(f"listener-{number}=", "golden-eagle-427", Role.LISTENER, NOW_MS, language)


def operations(dynamodb: Any) -> list[str]:
    return [operation for operation, _ in dynamodb.transport.requests]


def arriving(number: int) -> Participant:
    return replace(seat(number), is_present=False, is_arriving=True, arrival=new_arrival())


def quick(clock: Clock) -> Retries:
    """Return retries whose waits advance the clock."""

    def sleep(seconds: float) -> None:
        clock.now += seconds

    return Retries("store", clock, sleep, breaker=CircuitBreaker("store", clock))


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError"])
def test_a_throttled_or_failing_dynamodb_is_unavailable_for_now(code: str, clock: Clock) -> None:
    dynamodb = DynamoDB(PlayedTransport(refused(code)), quick(clock))
    stores = build_stores(dynamodb, TABLES, 600, clock)
    with pytest.raises(ServiceUnavailable) as refusal:
        stores.sessions.find_open("golden-eagle-427")
    assert refusal.value.retry_after_seconds == 2
    with pytest.raises(ServiceUnavailable):
        stores.listeners.list_ids("golden-eagle-427")


def test_a_refusal_by_dynamodb_of_an_invalid_request_is_raised(clock: Clock) -> None:
    broken = DynamoDB(PlayedTransport(refused("ValidationException")), quick(clock))
    stores = build_stores(broken, TABLES, 600, clock)
    with pytest.raises(Refused):
        stores.participants.find_present("a")


def test_listing_reads_to_the_last_page(stores: Stores, dynamodb: Any) -> None:
    def two_a_page(operation: str, request: dict[str, Any]) -> None:
        if operation == "Query":
            request["Limit"] = 2

    dynamodb.transport.on_request.append(two_a_page)
    for number in range(5):
        stores.participants.put(seat(number))
    assert set(stores.listeners.list_ids("golden-eagle-427")) == {
        f"listener-{number}=" for number in range(5)
    }
    assert operations(dynamodb).count("Query") == 3


def test_a_transaction_removes_up_to_100_arrivals(stores: Stores, dynamodb: Any) -> None:
    for number in range(201):
        stores.participants.put(arriving(number))
    ids = stores.listeners.list_all("golden-eagle-427").arriving
    assert stores.listeners.remove_arriving("golden-eagle-427", ids) == ids
    assert scan(dynamodb, "connections") == []
    assert operations(dynamodb).count("TransactWriteItems") == 3


def test_removing_listeners_skips_listeners_of_another_session(
    stores: Stores, dynamodb: Any
) -> None:
    elsewhere = replace(seat(2), session_id="golden-eagle-428")
    stores.participants.put(seat(1))
    stores.participants.put(elsewhere)
    ids = {"listener-1=", "listener-2=", "listener-3="}
    assert stores.listeners.remove("golden-eagle-428", ids) == {"listener-2="}
    assert stores.participants.find_present("listener-1=") == seat(1)


def test_removing_arrivals_skips_arrivals_that_have_become_listeners(
    stores: Stores, dynamodb: Any
) -> None:
    stores.participants.put(arriving(1))
    completed = arriving(2)
    stores.participants.put(completed)
    stores.participants.activate(completed)
    stores.participants.put(seat(3))
    ids = {"listener-1=", "listener-2=", "listener-3=", "listener-4="}
    assert stores.listeners.remove_arriving("golden-eagle-427", ids) == {"listener-1="}
    assert len(scan(dynamodb, "connections")) == 2


def test_an_end_is_claimed_once_and_only_by_the_current_speaker(
    stores: Stores, session_id: str, speaker: Caller
) -> None:
    reason = EndReason.SPEAKER_ENDED
    assert not stores.sessions.claim_end(session_id, reason, "other=")
    assert stores.sessions.claim_end(session_id, reason, speaker.connection_id)
    assert not stores.sessions.claim_end(session_id, reason, speaker.connection_id)


def test_a_language_is_changed_only_for_a_listener_of_the_given_session(stores: Stores) -> None:
    stores.participants.put(seat(1))
    assert not stores.participants.set_language("listener-1=", "golden-eagle-428", "de")
    assert not stores.participants.set_language("listener-2=", "golden-eagle-427", "de")
    assert stores.listeners.list_all("golden-eagle-427").present == {"listener-1=": "es"}


def fail_first_transaction(dynamodb: Any, *reasons: dict[str, Any]) -> None:
    """Cancel the first transaction for these reasons."""
    send = dynamodb.transport.request
    pending = [refused("TransactionCanceledException", CancellationReasons=list(reasons))]

    def request(*arguments: Any, **named: Any) -> Answer:
        is_transaction = arguments[3]["x-amz-target"].endswith("TransactWriteItems")
        if is_transaction and pending:
            return pending.pop()
        return send(*arguments, **named)

    dynamodb.transport.request = request


FAILED = {"Code": "ConditionalCheckFailed"}
CONFLICT = {"Code": "TransactionConflict"}


def test_a_hand_over_with_a_transaction_conflict_is_retried(stores: Stores, dynamodb: Any) -> None:
    stores.participants.put(seat(1))
    fail_first_transaction(dynamodb, CONFLICT, {"Code": "None"})
    assert stores.hand_overs.hand_over(seat(1), seat(2)) == HandOver(is_done=True)


def test_a_completed_hand_over_is_recognized_despite_a_transaction_conflict(
    stores: Stores, dynamodb: Any
) -> None:
    stores.participants.put(seat(2))
    stored = scan(dynamodb, "connections")[0]
    fail_first_transaction(dynamodb, CONFLICT, {**FAILED, "Item": stored})
    assert stores.hand_overs.hand_over(seat(1), seat(2)) == HandOver(is_done=False, new=seat(2))


def test_a_repeated_hand_over_returns_both_stored_participants(stores: Stores) -> None:
    stores.participants.put(seat(1))
    stores.hand_overs.hand_over(seat(1), seat(2, "fr"))
    again = stores.hand_overs.hand_over(seat(1), seat(2, "de"))
    gone = replace(seat(1), target_language=None, is_present=False, superseded_by="listener-2=")
    assert again == HandOver(is_done=False, old=gone, new=seat(2, "fr"))


def test_a_hand_over_fails_if_the_listeners_language_has_changed_since_the_read(
    stores: Stores,
) -> None:
    stores.participants.put(seat(1, "de"))
    tried = stores.hand_overs.hand_over(seat(1, "es"), seat(2, "fr"))
    assert tried == HandOver(is_done=False, old=seat(1, "de"))
    assert stores.participants.find_present("listener-2=") is None


def test_a_speaker_or_a_listener_of_another_session_cannot_be_handed_over(stores: Stores) -> None:
    speaker = Participant("speaker=", "golden-eagle-427", Role.SPEAKER, NOW_MS)
    elsewhere = replace(seat(1), session_id="golden-eagle-428")
    for old in (speaker, elsewhere):
        stores.participants.put(old)
        tried = stores.hand_overs.hand_over(old, seat(2))
        assert tried == HandOver(is_done=False, old=old)
        assert stores.participants.find_present(old.connection_id) == old
    assert stores.participants.find_present("listener-2=") is None


def test_removing_listeners_returns_each_present_listener_to_only_one_caller(
    stores: Stores,
) -> None:
    for number in range(4):
        stores.participants.put(seat(number))
    stores.participants.mark_left("listener-1=")
    ids = {f"listener-{number}=" for number in range(5)}
    assert stores.listeners.remove("golden-eagle-427", ids) == {
        "listener-0=",
        "listener-2=",
        "listener-3=",
    }
    assert stores.listeners.remove("golden-eagle-427", ids) == set()
    assert stores.listeners.remove("golden-eagle-427", set()) == set()


def test_removing_listeners_is_retried_after_a_transaction_conflict(
    stores: Stores, dynamodb: Any
) -> None:
    for number in (1, 2):
        stores.participants.put(seat(number))
    fail_first_transaction(dynamodb, CONFLICT, {"Code": "None"}, FAILED)
    ids = {"listener-1=", "listener-2=", "listener-3="}
    assert stores.listeners.remove("golden-eagle-427", ids) == {"listener-1=", "listener-2="}


def test_no_more_seats_are_released_than_are_taken(stores: Stores, session_id: str) -> None:
    stores.seats.take(session_id, "es", None, 3)
    assert not stores.seats.release(session_id, {"es": 2})
    assert stores.seats.release(session_id, {"es": 1})
    assert not stores.seats.release(session_id, {"es": 1})
    assert not stores.seats.release("golden-eagle-999", {"es": 1})


def test_a_listener_that_has_left_is_no_longer_found(stores: Stores) -> None:
    stores.participants.put(seat(1))
    assert stores.participants.mark_left("listener-1=") == seat(1)
    left = replace(seat(1), target_language=None, is_present=False, left_at_ms=NOW_MS)
    assert stores.participants.mark_left("listener-1=") == left
    assert stores.participants.find_present("listener-1=") is None
    assert stores.listeners.list_ids("golden-eagle-427") == []
    assert stores.listeners.list_all("golden-eagle-427").present == {}


def test_participants_are_read_in_batches_and_unprocessed_keys_are_requested_again(
    stores: Stores, dynamodb: Any
) -> None:
    for number in range(130):
        stores.participants.put(seat(number))
    counts: list[int] = []

    def leave_half(operation: str, parsed: dict[str, Any]) -> None:
        if operation != "BatchGetItem":
            return
        items = parsed["Responses"]["connections"]
        counts.append(len(items))
        half = -(-len(items) // 2)
        parsed["Responses"]["connections"] = items[:half]
        left = [{"connectionId": item["connectionId"]} for item in items[half:]]
        parsed["UnprocessedKeys"] = {"connections": {"Keys": left}} if left else {}

    dynamodb.transport.on_answer.append(leave_half)
    ids = {f"listener-{number}=" for number in range(131)}
    found = stores.listeners.find_many(ids)
    assert {each.connection_id for each in found} == ids - {"listener-130="}
    assert len(found) == 130
    # One of the first hundred does not exist.
    assert counts[:3] == [99, 49, 24]
    assert stores.listeners.find_many([]) == []


def test_a_connection_that_closes_during_its_join_is_not_present(
    stores: Stores, dynamodb: Any
) -> None:
    stores.participants.put(seat(1, "~arriving-1"))
    closed = stores.participants.mark_left("listener-1=")
    assert closed is not None
    assert not closed.is_present  # So it is not subtracted.
    (item,) = scan(dynamodb, "connections")
    assert "targetLanguage" not in item


def test_an_item_without_a_session_is_not_a_participant(stores: Stores, dynamodb: Any) -> None:
    """Refused commands on a connection without a session leave such an item."""
    refusals = {"connectionId": {"S": "listener-1="}, "refusals": {"N": "3"}}
    dynamodb.put_item(TableName="connections", Item=refusals)
    assert stores.participants.find("listener-1=") is None
    assert stores.listeners.find_many(["listener-1="]) == []
    assert stores.participants.mark_left("listener-1=") is None
    assert stores.participants.delete("listener-1=", "golden-eagle-427") is None
    assert stores.participants.put(seat(1)).existing is None


def test_a_connection_that_may_still_be_opening_is_not_marked_as_left(
    stores: Stores, clock: Clock
) -> None:
    stores.participants.put(seat(1))
    clock.now += 34
    assert stores.participants.mark_left("listener-1=", if_past_joining=True) is None
    clock.now += 1
    assert stores.participants.mark_left("listener-1=", if_past_joining=True) == seat(1)


def test_an_interruption_begins_once_and_only_for_the_current_speaker(
    stores: Stores, session_id: str, clock: Clock
) -> None:
    ends_at_ms = int(clock() * 1000) + 60_000
    assert not stores.sessions.interrupt(session_id, "other=", ends_at_ms)
    assert stores.sessions.interrupt(session_id, "speaker=", ends_at_ms)
    assert not stores.sessions.interrupt(session_id, "speaker=", ends_at_ms + 1)
    session = stores.sessions.find_open(session_id)
    assert session is not None
    assert session.grace_ends_at_ms == ends_at_ms


@pytest.mark.parametrize("reason", [EndReason.SPEAKER_LOST, EndReason.SPEAKER_ENDED])
def test_an_interruption_begins_even_if_its_write_is_repeated(
    stores: Stores, session_id: str, clock: Clock, dynamodb: Any, reason: EndReason
) -> None:
    update = dynamodb.update_item

    def send_twice(**request: Any) -> Any:
        update(**request)
        return update(**request)

    ends_at_ms = int(clock() * 1000) + 60_000
    dynamodb.update_item = send_twice
    try:
        assert stores.sessions.interrupt(session_id, "speaker=", ends_at_ms, reason)
        assert not stores.sessions.interrupt(session_id, "speaker=", ends_at_ms, reason)
    finally:
        dynamodb.update_item = update


def test_only_the_current_speaker_extends_a_session(stores: Stores, session_id: str) -> None:
    assert stores.sessions.extend(session_id, "other=", NOW + 9) is None
    assert stores.sessions.extend("golden-eagle-999", "speaker=", NOW + 9) is None


def test_a_session_is_kept_for_a_day_after_it_expires(
    stores: Stores, session_id: str, dynamodb: Any
) -> None:
    (item,) = scan(dynamodb, "sessions")
    assert int(item["ttl"]["N"]) - int(item["expiresAt"]["N"]) == 24 * 3600
    stores.sessions.extend(session_id, "speaker=", NOW + 9000)
    (item,) = scan(dynamodb, "sessions")
    assert item["ttl"] == {"N": str(NOW + 9000 + 24 * 3600)}


def test_a_speaker_of_another_session_is_not_superseded(stores: Stores) -> None:
    stored = Participant("speaker=", "golden-eagle-427", Role.SPEAKER, NOW_MS)
    stores.participants.put(stored)
    stores.participants.supersede_speaker("calm-fox-100", "speaker=", "new=")
    assert stores.participants.find("speaker=") == stored


def test_expiring_an_unknown_session_does_not_create_it(stores: Stores, dynamodb: Any) -> None:
    assert stores.sessions.expire("golden-eagle-427") is None
    assert scan(dynamodb, "sessions") == []


def test_an_ended_session_does_not_expire(stores: Stores, dynamodb: Any, session_id: str) -> None:
    stores.sessions.claim_end(session_id, EndReason.SPEAKER_ENDED, "speaker=")
    before = scan(dynamodb, "sessions")
    assert stores.sessions.expire(session_id) is None
    assert scan(dynamodb, "sessions") == before


def test_an_expired_session_is_kept_for_the_sweep_and_cannot_be_extended(
    stores: Stores, dynamodb: Any, clock: Clock, session_id: str
) -> None:
    expired = stores.sessions.expire(session_id)
    assert expired is not None
    assert expired.expires_at_seconds == clock.now
    (item,) = scan(dynamodb, "sessions")
    assert int(item["ttl"]["N"]) == clock.now + KEPT_AFTER_END_SECONDS
    assert stores.sessions.find_open(session_id) is None
    assert stores.sessions.extend(session_id, "speaker=", int(clock.now) + 7200) is None
    with pytest.raises(SessionNotFound):
        stores.seats.take(session_id, "es", None, 500)
