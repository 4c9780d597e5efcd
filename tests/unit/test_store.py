"""What only the store knows: paging, batches, and DynamoDB's failures."""

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from chalicelib.errors import ServiceUnavailable
from chalicelib.models import Connection, Role
from chalicelib.store import Store
from tests.unit.fakes import Clock, scan

END = 1_800_007_200


def seat(number: int, language: str = "es") -> Connection:
    return Connection(f"listener-{number}=", "golden-eagle-427", Role.LISTENER, END, language)


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
    store = Store(failing(code), "sessions", "connections", clock)
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
        Store(unreachable, "sessions", "connections", clock).put_connection(seat(1))


def test_an_error_of_our_own_making_is_not_hidden(dynamodb: Any, clock: Clock) -> None:
    with pytest.raises(ClientError):
        Store(failing("ValidationException"), "sessions", "connections", clock).find_connection("a")


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


def test_deleting_many_takes_25_to_a_request(store: Store, dynamodb: Any) -> None:
    requests = 0

    def count_request(**_: Any) -> None:
        nonlocal requests
        requests += 1

    dynamodb.meta.events.register("after-call.dynamodb.BatchWriteItem", count_request)
    for number in range(51):
        store.put_connection(seat(number))
    store.delete_connections(store.list_listener_ids("golden-eagle-427"))
    assert scan(dynamodb, "connections") == []
    assert requests == 3


def test_what_a_batch_leaves_undone_is_asked_for_again(store: Store, dynamodb: Any) -> None:
    store.put_connection(seat(1))
    held_back: list[Any] = []

    def hold_back_once(parsed: dict[str, Any], **_: Any) -> None:
        if not held_back:
            held_back.append(
                {"connections": [{"DeleteRequest": {"Key": {"connectionId": {"S": "b="}}}}]}
            )
            parsed["UnprocessedItems"] = held_back[0]

    store.put_connection(Connection("b=", "golden-eagle-427", Role.LISTENER, END, "es"))
    dynamodb.meta.events.register("after-call.dynamodb.BatchWriteItem", hold_back_once)
    store.delete_connections(["listener-1="])
    assert held_back
    assert scan(dynamodb, "connections") == []


def test_an_end_is_claimed_once(store: Store, sessions: Any, speaker: Any) -> None:
    from tests.unit.test_sessions import CREATE

    session_id = sessions.create(speaker, CREATE)["sessionId"]
    assert not store.mark_ended(session_id, "somebody-else=")
    assert store.mark_ended(session_id, speaker.connection_id)
    assert not store.mark_ended(session_id, speaker.connection_id)


def test_a_language_is_changed_only_in_the_session_it_was_asked_for(store: Store) -> None:
    store.put_connection(seat(1))
    assert not store.set_language("listener-1=", "golden-eagle-428", "de")
    assert not store.set_language("listener-2=", "golden-eagle-427", "de")
    assert store.count_listeners_by_language("golden-eagle-427") == {"es": 1}
