"""What only the store knows: paging, batches, and DynamoDB's failures."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.aws.circuit import CircuitBreaker
from chalicelib.aws.dynamodb import DynamoDB, Refused
from chalicelib.aws.retries import Retries
from chalicelib.aws.wire import Answer
from chalicelib.errors import ServiceUnavailable
from chalicelib.models import Caller, Connection, EndReason, Role
from chalicelib.store import HandOver, Store, new_arrival
from tests.unit.fakes import Clock, PlayedTransport, refused, scan

NOW = 1_800_000_000
NOW_MS = NOW * 1000


def seat(number: int, language: str = "es") -> Connection:
    return Connection(f"listener-{number}=", "golden-eagle-427", Role.LISTENER, NOW_MS, language)


def operations(dynamodb: Any) -> list[str]:
    return [operation for operation, _ in dynamodb.transport.requests]


def arriving(number: int) -> Connection:
    return replace(seat(number), is_present=False, is_arriving=True, arrival=new_arrival())


def quick(clock: Clock) -> Retries:
    """Return retries whose naps turn the clock."""

    def sleep(seconds: float) -> None:
        clock.now += seconds

    return Retries("store", clock, sleep, breaker=CircuitBreaker("store", clock))


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError"])
def test_a_throttled_or_failing_dynamodb_is_unavailable_for_now(code: str, clock: Clock) -> None:
    dynamodb = DynamoDB(PlayedTransport(refused(code)), quick(clock))
    store = Store(dynamodb, "sessions", "connections", clock)
    with pytest.raises(ServiceUnavailable) as refusal:
        store.find_session("golden-eagle-427")
    assert refusal.value.retry_after_seconds == 2
    with pytest.raises(ServiceUnavailable):
        store.list_listener_ids("golden-eagle-427")


def test_an_error_of_our_own_making_is_not_hidden(clock: Clock) -> None:
    broken = DynamoDB(PlayedTransport(refused("ValidationException")), quick(clock))
    store = Store(broken, "sessions", "connections", clock)
    with pytest.raises(Refused):
        store.find_connection("a")


def test_listing_reads_to_the_last_page(store: Store, dynamodb: Any) -> None:
    def two_a_page(operation: str, request: dict[str, Any]) -> None:
        if operation == "Query":
            request["Limit"] = 2

    dynamodb.transport.on_request.append(two_a_page)
    for number in range(5):
        store.put_connection(seat(number))
    assert set(store.list_listener_ids("golden-eagle-427")) == {
        f"listener-{number}=" for number in range(5)
    }
    assert operations(dynamodb).count("Query") == 3


def test_deleting_many_takes_100_to_a_transaction(store: Store, dynamodb: Any) -> None:
    for number in range(201):
        store.put_connection(arriving(number))
    ids = store.list_connections("golden-eagle-427").arriving
    assert store.delete_arriving_connections("golden-eagle-427", ids) == ids
    assert scan(dynamodb, "connections") == []
    assert operations(dynamodb).count("TransactWriteItems") == 3


def test_deleting_many_spares_who_is_in_another_session_by_now(store: Store, dynamodb: Any) -> None:
    elsewhere = replace(seat(2), session_id="golden-eagle-428")
    store.put_connection(seat(1))
    store.put_connection(elsewhere)
    ids = {"listener-1=", "listener-2=", "listener-3="}
    assert store.take_connections("golden-eagle-428", ids) == {"listener-2="}
    assert store.find_connection("listener-1=") == seat(1)


def test_deleting_arrivals_spares_those_that_have_become_listeners(
    store: Store, dynamodb: Any
) -> None:
    store.put_connection(arriving(1))
    come = arriving(2)
    store.put_connection(come)
    store.activate(come)
    store.put_connection(seat(3))
    ids = {"listener-1=", "listener-2=", "listener-3=", "listener-4="}
    assert store.delete_arriving_connections("golden-eagle-427", ids) == {"listener-1="}
    assert len(scan(dynamodb, "connections")) == 2


def test_an_end_is_claimed_once(store: Store, session_id: str, speaker: Caller) -> None:
    reason = EndReason.SPEAKER_ENDED
    assert not store.claim_end(session_id, reason, "somebody-else=")
    assert store.claim_end(session_id, reason, speaker.connection_id)
    assert not store.claim_end(session_id, reason, speaker.connection_id)


def test_a_language_is_changed_only_in_the_session_it_was_asked_for(store: Store) -> None:
    store.put_connection(seat(1))
    assert not store.set_language("listener-1=", "golden-eagle-428", "de")
    assert not store.set_language("listener-2=", "golden-eagle-427", "de")
    assert store.list_connections("golden-eagle-427").present == {"listener-1=": "es"}


def fail_first_transaction(dynamodb: Any, *reasons: dict[str, Any]) -> None:
    """Have the first transaction cancelled for these reasons, without being carried out."""
    carry_out = dynamodb.transport.request
    pending = [refused("TransactionCanceledException", CancellationReasons=list(reasons))]

    def request(*arguments: Any, **named: Any) -> Answer:
        is_transaction = arguments[3]["x-amz-target"].endswith("TransactWriteItems")
        if is_transaction and pending:
            return pending.pop()
        return carry_out(*arguments, **named)

    dynamodb.transport.request = request


FAILED = {"Code": "ConditionalCheckFailed"}
CONFLICT = {"Code": "TransactionConflict"}


def test_a_hand_over_in_anothers_way_is_tried_again(store: Store, dynamodb: Any) -> None:
    store.put_connection(seat(1))
    fail_first_transaction(dynamodb, CONFLICT, {"Code": "None"})
    assert store.hand_over(seat(1), seat(2)) == HandOver(is_done=True)


def test_a_hand_over_that_was_done_before_is_seen_although_another_was_in_the_way(
    store: Store, dynamodb: Any
) -> None:
    store.put_connection(seat(2))
    held = scan(dynamodb, "connections")[0]
    fail_first_transaction(dynamodb, CONFLICT, {**FAILED, "Item": held})
    assert store.hand_over(seat(1), seat(2)) == HandOver(is_done=False, new=seat(2))


def test_a_hand_over_shows_both_records_as_they_are(store: Store) -> None:
    store.put_connection(seat(1))
    store.hand_over(seat(1), seat(2, "fr"))
    again = store.hand_over(seat(1), seat(2, "de"))
    gone = replace(seat(1), target_language=None, is_present=False, superseded_by="listener-2=")
    assert again == HandOver(is_done=False, old=gone, new=seat(2, "fr"))


def test_a_listener_that_has_changed_its_language_since_it_was_read_hands_nothing_over(
    store: Store,
) -> None:
    store.put_connection(seat(1, "de"))
    tried = store.hand_over(seat(1, "es"), seat(2, "fr"))
    assert tried == HandOver(is_done=False, old=seat(1, "de"))
    assert store.find_connection("listener-2=") is None


def test_a_record_of_another_session_or_a_speaker_hands_nothing_over(store: Store) -> None:
    speaker = Connection("speaker=", "golden-eagle-427", Role.SPEAKER, NOW_MS)
    elsewhere = replace(seat(1), session_id="golden-eagle-428")
    for old in (speaker, elsewhere):
        store.put_connection(old)
        tried = store.hand_over(old, seat(2))
        assert tried == HandOver(is_done=False, old=old)
        assert store.find_connection(old.connection_id) == old
    assert store.find_connection("listener-2=") is None


def test_of_many_only_those_present_are_taken_and_by_one_caller(store: Store) -> None:
    for number in range(4):
        store.put_connection(seat(number))
    store.close_connection("listener-1=")
    ids = {f"listener-{number}=" for number in range(5)}
    assert store.take_connections("golden-eagle-427", ids) == {
        "listener-0=",
        "listener-2=",
        "listener-3=",
    }
    assert store.take_connections("golden-eagle-427", ids) == set()
    assert store.take_connections("golden-eagle-427", set()) == set()


def test_those_that_another_had_in_his_way_are_taken_in_the_end(
    store: Store, dynamodb: Any
) -> None:
    for number in (1, 2):
        store.put_connection(seat(number))
    fail_first_transaction(dynamodb, CONFLICT, {"Code": "None"}, FAILED)
    ids = {"listener-1=", "listener-2=", "listener-3="}
    assert store.take_connections("golden-eagle-427", ids) == {"listener-1=", "listener-2="}


def test_no_more_are_counted_out_than_are_counted(store: Store, session_id: str) -> None:
    store.count_in(session_id, "es", None, 3)
    assert not store.count_out(session_id, {"es": 2})
    assert store.count_out(session_id, {"es": 1})
    assert not store.count_out(session_id, {"es": 1})
    assert not store.count_out("golden-eagle-999", {"es": 1})


def test_who_has_left_is_closed_once_and_no_longer_found(store: Store) -> None:
    store.put_connection(seat(1))
    assert store.close_connection("listener-1=") == seat(1)
    left = replace(seat(1), target_language=None, is_present=False, left_at_ms=NOW_MS)
    assert store.close_connection("listener-1=") == left
    assert store.find_connection("listener-1=") is None
    assert store.list_listener_ids("golden-eagle-427") == []
    assert store.list_connections("golden-eagle-427").present == {}


def test_many_records_are_read_in_batches_and_what_was_not_processed_is_asked_for_again(
    store: Store, dynamodb: Any
) -> None:
    for number in range(130):
        store.put_connection(seat(number))
    asked: list[int] = []

    def leave_half(operation: str, parsed: dict[str, Any]) -> None:
        if operation != "BatchGetItem":
            return
        items = parsed["Responses"]["connections"]
        asked.append(len(items))
        half = -(-len(items) // 2)
        parsed["Responses"]["connections"] = items[:half]
        left = [{"connectionId": item["connectionId"]} for item in items[half:]]
        parsed["UnprocessedKeys"] = {"connections": {"Keys": left}} if left else {}

    dynamodb.transport.on_answer.append(leave_half)
    ids = {f"listener-{number}=" for number in range(131)}
    found = store.find_records(ids)
    assert {each.connection_id for each in found} == ids - {"listener-130="}
    assert len(found) == 130
    # One of the first hundred is not there.
    assert asked[:3] == [99, 49, 24]
    assert store.find_records([]) == []


def test_a_connection_that_closes_while_it_joins_is_left_without_a_place(
    store: Store, dynamodb: Any
) -> None:
    store.put_connection(seat(1, "~arriving-1"))
    closed = store.close_connection("listener-1=")
    assert closed is not None
    assert not closed.is_present  # so it is not counted out
    (item,) = scan(dynamodb, "connections")
    assert "targetLanguage" not in item


def test_an_item_that_names_no_session_is_no_record(store: Store, dynamodb: Any) -> None:
    """As refused commands leave it of a connection that takes part in none."""
    refusals = {"connectionId": {"S": "listener-1="}, "refusals": {"N": "3"}}
    dynamodb.put_item(TableName="connections", Item=refusals)
    assert store.find_record("listener-1=") is None
    assert store.find_records(["listener-1="]) == []
    assert store.close_connection("listener-1=") is None
    assert store.delete_connection("listener-1=", "golden-eagle-427") is None
    assert store.put_connection(seat(1)).held is None


def test_a_connection_that_may_still_be_opening_is_not_closed_as_settled(
    store: Store, clock: Clock
) -> None:
    store.put_connection(seat(1))
    clock.now += 34
    assert store.close_connection("listener-1=", if_settled=True) is None
    clock.now += 1
    assert store.close_connection("listener-1=", if_settled=True) == seat(1)


def test_an_interruption_begins_once_and_for_the_current_speaker_only(
    store: Store, session_id: str, clock: Clock
) -> None:
    ends_at_ms = int(clock() * 1000) + 60_000
    assert not store.interrupt_session(session_id, "somebody-else=", ends_at_ms)
    assert store.interrupt_session(session_id, "speaker=", ends_at_ms)
    assert not store.interrupt_session(session_id, "speaker=", ends_at_ms + 1)
    session = store.find_session(session_id)
    assert session is not None
    assert session.grace_ends_at_ms == ends_at_ms


@pytest.mark.parametrize("reason", [EndReason.SPEAKER_LOST, EndReason.SPEAKER_ENDED])
def test_an_interruption_that_botocore_sends_again_has_begun(
    store: Store, session_id: str, clock: Clock, dynamodb: Any, reason: EndReason
) -> None:
    update = dynamodb.update_item

    def send_twice(**request: Any) -> Any:
        update(**request)
        return update(**request)

    ends_at_ms = int(clock() * 1000) + 60_000
    dynamodb.update_item = send_twice
    try:
        assert store.interrupt_session(session_id, "speaker=", ends_at_ms, reason)
        assert not store.interrupt_session(session_id, "speaker=", ends_at_ms, reason)
    finally:
        dynamodb.update_item = update


def test_nothing_moves_the_end_of_a_session_but_its_current_speaker(
    store: Store, session_id: str
) -> None:
    assert store.extend_session(session_id, "somebody-else=", NOW + 9) is None
    assert store.extend_session("golden-eagle-999", "speaker=", NOW + 9) is None


def test_a_session_is_kept_for_a_day_after_its_end_for_the_sweep_to_tell_of_it(
    store: Store, session_id: str, dynamodb: Any
) -> None:
    (item,) = scan(dynamodb, "sessions")
    assert int(item["ttl"]["N"]) - int(item["expiresAt"]["N"]) == 24 * 3600
    store.extend_session(session_id, "speaker=", NOW + 9000)
    (item,) = scan(dynamodb, "sessions")
    assert item["ttl"] == {"N": str(NOW + 9000 + 24 * 3600)}


def test_a_speaker_who_has_another_session_by_now_is_not_replaced_there(store: Store) -> None:
    place = Connection("speaker=", "golden-eagle-427", Role.SPEAKER, NOW_MS)
    store.put_connection(place)
    store.supersede_speaker("calm-fox-100", "speaker=", "new=")
    assert store.find_record("speaker=") == place
