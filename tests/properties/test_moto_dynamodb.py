"""DynamoDB's documented behavior in moto and the emulator, which other tests rely on."""

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.aws.dynamodb import ConditionFailed, DynamoDB, Refused, TransactionCancelled
from local_gateway import aws
from tests import emulator
from tests.unit.fakes import SCHEMA

TABLE = "connections"
A, B = {"connectionId": {"S": "a="}}, {"connectionId": {"S": "b="}}
ITEM = {**A, "sessionId": {"S": "s"}, "targetLanguage": {"S": "es"}}
GONE = {":gone": {"S": "~"}}


@pytest.fixture(scope="module")
def emulated() -> Iterator[DynamoDB]:
    with aws.ministack() as endpoint_url:
        tables = aws.client("dynamodb", endpoint_url)
        tables.create_table(**aws.table_request(TABLE, SCHEMA[TABLE]))
        tables.close()
        with emulator.dynamodb(endpoint_url) as client:
            yield client


@pytest.fixture(params=["dynamodb", "emulated"])
def client(request: pytest.FixtureRequest) -> DynamoDB:
    client: DynamoDB = request.getfixturevalue(request.param)
    client.delete_item(TableName=TABLE, Key=B)
    client.put_item(TableName=TABLE, Item=ITEM)
    return client


def test_a_failed_condition_returns_the_item(client: Any) -> None:
    with pytest.raises(ConditionFailed) as refusal:
        client.put_item(
            TableName=TABLE,
            Item=A,
            ConditionExpression="attribute_not_exists(connectionId)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert refusal.value.item == ITEM


def test_a_failed_condition_on_a_missing_item_returns_no_item(client: Any) -> None:
    with pytest.raises(ConditionFailed) as refusal:
        client.update_item(
            TableName=TABLE,
            Key=B,
            UpdateExpression="SET targetLanguage = :gone",
            ConditionExpression="attribute_exists(connectionId)",
            ExpressionAttributeValues=GONE,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert refusal.value.item == {}


def test_a_transaction_is_atomic_and_returns_reasons(client: Any) -> None:
    update = {
        "TableName": TABLE,
        "Key": A,
        "UpdateExpression": "SET targetLanguage = :gone",
        "ConditionExpression": "targetLanguage <> :gone",
        "ExpressionAttributeValues": GONE,
    }
    put = {
        "TableName": TABLE,
        "Item": B,
        "ConditionExpression": "attribute_exists(connectionId)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    with pytest.raises(TransactionCancelled) as refusal:
        client.transact_write_items([{"Update": update}, {"Put": put}])
    reasons = refusal.value.reasons
    assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed"]
    assert client.get_item(TableName=TABLE, Key=A) == ITEM
    assert client.get_item(TableName=TABLE, Key=B) == {}


def test_a_cancelled_transaction_returns_the_conflicting_items(client: Any) -> None:
    delete = {
        "TableName": TABLE,
        "Key": A,
        "ConditionExpression": "targetLanguage = :gone",
        "ExpressionAttributeValues": GONE,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    with pytest.raises(TransactionCancelled) as refusal:
        client.transact_write_items([{"Delete": delete}])
    (reason,) = refusal.value.reasons
    assert reason["Item"] == ITEM


def test_updates_and_deletions_return_the_old_item(client: Any) -> None:
    old = client.update_item(
        TableName=TABLE,
        Key=A,
        UpdateExpression="SET targetLanguage = :gone",
        ExpressionAttributeValues=GONE,
        ReturnValues="ALL_OLD",
    )
    assert old == ITEM
    deleted = client.delete_item(TableName=TABLE, Key=A, ReturnValues="ALL_OLD")
    assert deleted["targetLanguage"] == {"S": "~"}
    assert client.delete_item(TableName=TABLE, Key=A, ReturnValues="ALL_OLD") == {}


def test_the_index_is_sorted_by_language(client: Any) -> None:
    client.put_item(TableName=TABLE, Item={**ITEM, **B, "targetLanguage": {"S": "~"}})
    request = {
        "TableName": TABLE,
        "IndexName": "sessionId-targetLanguage-index",
        "KeyConditionExpression": "sessionId = :session AND targetLanguage < :gone",
        "ExpressionAttributeValues": {":session": {"S": "s"}, **GONE},
    }
    (item,) = client.query(**request)
    assert item["connectionId"] == A["connectionId"]


def test_the_same_update_expression_uses_the_names_and_values_of_each_request(client: Any) -> None:
    """Moto parses the expression once (tests/moto_dynamodb.py)."""
    for name, value in (("a", "1"), ("b", "2"), ("c", "3")):
        updated = client.update_item(
            TableName=TABLE,
            Key=A,
            UpdateExpression="SET #name = if_not_exists(b, :value)",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": {"N": value}},
            ReturnValues="ALL_NEW",
        )
    assert updated == {**ITEM, "a": {"N": "1"}, "b": {"N": "2"}, "c": {"N": "2"}}


@pytest.mark.parametrize(
    "expression", ["SET a = :v SET b = :v", "SET a.b = :v, a.b.c = :v", "SET a = :v, a = :v"]
)
def test_a_contradictory_update_expression_is_refused_each_time(
    dynamodb: DynamoDB, expression: str
) -> None:
    for _ in range(2):
        with pytest.raises(Refused) as refusal:
            dynamodb.update_item(
                TableName=TABLE,
                Key=A,
                UpdateExpression=expression,
                ExpressionAttributeValues={":v": {"S": "x"}},
            )
        assert refusal.value.code == "ValidationException"


def test_the_same_condition_uses_the_names_and_values_of_each_request(client: Any) -> None:
    for name, value in (("sessionId", "s"), ("targetLanguage", "es")):
        request = {
            "TableName": TABLE,
            "Item": ITEM,
            "ConditionExpression": "#name = :value",
            "ExpressionAttributeNames": {"#name": name},
        }
        client.put_item(**request, ExpressionAttributeValues={":value": {"S": value}})
        with pytest.raises(ConditionFailed):
            client.put_item(**request, ExpressionAttributeValues={":value": {"S": "other"}})
