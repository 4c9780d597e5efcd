"""What only the store knows: paging, batches, and DynamoDB's failures."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.errorfactory import ClientExceptionsFactory
from botocore.exceptions import ClientError

from chalicelib.circuit import CircuitBreaker
from chalicelib.errors import ServiceUnavailable, SessionNotFound
from chalicelib.models import Caller, Connection, EndReason, Role
from chalicelib.resilience import Guard
from chalicelib.store import HandOver, Store, new_arrival
from tests.unit.fakes import Clock, scan

NOW = 1_800_000_000
NOW_MS = NOW * 1000


def seat(number: int, language: str = "es") -> Connection:
    return Connection(f"listener-{number}=", "golden-eagle-427", Role.LISTENER, NOW_MS, language)


def arriving(number: int) -> Connection:
    return replace(seat(number), is_present=False, is_arriving=True, arrival=new_arrival())


def quick(clock: Clock) -> Guard:
    """A guard whose naps turn the clock."""

    def sleep(seconds: float) -> None:
        clock.now += seconds

    return Guard("store", clock, sleep, breaker=CircuitBreaker("store", clock))


def failing(code: str, status: int = 400) -> Any:
    """A client whose requests end in an error of DynamoDB's, without being sent."""
    client = boto3.client("dynamodb", region_name="us-east-1")

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "x"}}, "GetItem")

    client.meta.events.register("before-call.dynamodb", refuse)
    return client


@pytest.mark.parametrize(
    "code",
    ["ThrottlingException", "ProvisionedThroughputExceededException", "InternalServerError"],
)
def test_a_throttled_or_failing_dynamodb_is_unavailable_for_now(
    code: str, dynamodb: Any, clock: Clock
) -> None:
    client = failing(code)
    store = Store(client, client, "sessions", "connections", clock, quick(clock))
    with pytest.raises(ServiceUnavailable) as refusal:
        store.find_session("golden-eagle-427")
    assert refusal.value.retry_after_seconds == 2
    with pytest.raises(ServiceUnavailable):
        store.list_listener_ids("golden-eagle-427")


def test_a_dynamodb_that_does_not_answer_is_unavailable_for_now(clock: Clock) -> None:
    unreachable = boto3.client(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(connect_timeout=1, retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ServiceUnavailable):
        Store(unreachable, unreachable, "sessions", "connections", clock).put_connection(seat(1))


def test_an_error_of_our_own_making_is_not_hidden(dynamodb: Any, clock: Clock) -> None:
    broken = failing("ValidationException")
    store = Store(broken, broken, "sessions", "connections", clock)
    with pytest.raises(ClientError):
        store.find_connection("a")


def test_listing_reads_to_the_last_page(store: Store, dynamodb: Any) -> None:
    pages = 0

    def count_page(**_: Any) -> None:
        nonlocal pages
        pages += 1

    def two_a_page(params: dict[str, Any], **_: Any) -> None:
        params["Limit"] = 2

    dynamodb.meta.events.register("after-call.dynamodb.Query", count_page)
    dynamodb.meta.events.register("provide-client-params.dynamodb.Query", two_a_page)
    for number in range(5):
        store.put_connection(seat(number))
    assert set(store.list_listener_ids("golden-eagle-427")) == {
        f"listener-{number}=" for number in range(5)
    }
    assert pages == 3


def test_deleting_many_takes_100_to_a_transaction(store: Store, dynamodb: Any) -> None:
    requests = 0

    def count_request(**_: Any) -> None:
        nonlocal requests
        requests += 1

    for number in range(201):
        store.put_connection(arriving(number))
    ids = store.list_connections("golden-eagle-427").arriving
    dynamodb.meta.events.register("after-call.dynamodb.TransactWriteItems", count_request)
    assert store.delete_arriving_connections("golden-eagle-427", ids) == ids
    assert scan(dynamodb, "connections") == []
    assert requests == 3


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


def cancelled(client: Any, *reasons: dict[str, Any]) -> Exception:
    response = {
        "Error": {"Code": "TransactionCanceledException", "Message": "x"},
        "CancellationReasons": list(reasons),
    }
    error: Exception = client.exceptions.TransactionCanceledException(response, "x")
    return error


def fail_first_transaction(client: Any, *reasons: dict[str, Any]) -> None:
    pending = [cancelled(client, *reasons)]

    def fail_once(**_: Any) -> None:
        if pending:
            raise pending.pop()

    client.meta.events.register("before-call.dynamodb.TransactWriteItems", fail_once)


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

    def leave_half(parsed: dict[str, Any], **_: Any) -> None:
        items = parsed["Responses"]["connections"]
        asked.append(len(items))
        half = -(-len(items) // 2)
        parsed["Responses"]["connections"] = items[:half]
        left = [{"connectionId": item["connectionId"]} for item in items[half:]]
        parsed["UnprocessedKeys"] = {"connections": {"Keys": left}} if left else {}

    dynamodb.meta.events.register("after-call.dynamodb.BatchGetItem", leave_half)
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


def test_what_dynamodb_raises_is_known_before_two_threads_can_ask_for_it(
    dynamodb: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore makes a service's exceptions when they are first asked for, without a lock, so that
    two threads make two families of them: what one has raised was not caught as the other's.
    """
    made = []
    make = ClientExceptionsFactory._create_client_exceptions

    def count(self: Any, service_model: Any) -> Any:
        made.append(threading.current_thread())
        return make(self, service_model)

    monkeypatch.setattr(ClientExceptionsFactory, "_create_client_exceptions", count)
    client = boto3.Session().client("dynamodb", region_name="us-east-1")
    store = Store(client, client, "sessions", "connections", clock)
    with ThreadPoolExecutor(2) as threads:
        refused = threads.submit(store.count_in, "golden-eagle-100", "es", None, 3).exception()
    assert isinstance(refused, SessionNotFound)
    assert made == [threading.main_thread()]


def test_a_speaker_who_has_another_session_by_now_is_not_replaced_there(store: Store) -> None:
    place = Connection("speaker=", "golden-eagle-427", Role.SPEAKER, NOW_MS)
    store.put_connection(place)
    store.supersede_speaker("calm-fox-100", "speaker=", "new=")
    assert store.find_record("speaker=") == place
