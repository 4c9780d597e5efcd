"""What the properties take for granted of moto: DynamoDB's documented answers, wire or no wire."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.properties.moto_client import MotoClient

TABLE = "connections"
A, B = {"connectionId": {"S": "a="}}, {"connectionId": {"S": "b="}}
ITEM = {**A, "sessionId": {"S": "s"}, "targetLanguage": {"S": "es"}}
GONE = {":gone": {"S": "~"}}


@pytest.fixture(params=["boto3", "moto"])
def client(dynamodb: Any, request: pytest.FixtureRequest) -> Any:
    dynamodb.put_item(TableName=TABLE, Item=ITEM)
    return dynamodb if request.param == "boto3" else MotoClient(dynamodb)


def test_a_failed_condition_shows_the_item(client: Any) -> None:
    with pytest.raises(client.exceptions.ConditionalCheckFailedException) as refusal:
        client.put_item(
            TableName=TABLE,
            Item=A,
            ConditionExpression="attribute_not_exists(connectionId)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert refusal.value.response["Item"] == ITEM


def test_a_failed_condition_on_nothing_shows_no_item(client: Any) -> None:
    with pytest.raises(client.exceptions.ConditionalCheckFailedException) as refusal:
        client.update_item(
            TableName=TABLE,
            Key=B,
            UpdateExpression="SET targetLanguage = :gone",
            ConditionExpression="attribute_exists(connectionId)",
            ExpressionAttributeValues=GONE,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert "Item" not in refusal.value.response


def test_a_transaction_is_done_wholly_or_not_at_all_and_says_why(client: Any) -> None:
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
    with pytest.raises(client.exceptions.TransactionCanceledException) as refusal:
        client.transact_write_items(TransactItems=[{"Update": update}, {"Put": put}])
    reasons = refusal.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed"]
    assert client.get_item(TableName=TABLE, Key=A)["Item"] == ITEM
    assert "Item" not in client.get_item(TableName=TABLE, Key=B)


def test_a_transaction_shows_each_item_that_stood_in_its_way(client: Any) -> None:
    delete = {
        "TableName": TABLE,
        "Key": A,
        "ConditionExpression": "targetLanguage = :gone",
        "ExpressionAttributeValues": GONE,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    with pytest.raises(ClientError) as refusal:
        client.transact_write_items(TransactItems=[{"Delete": delete}])
    (reason,) = refusal.value.response["CancellationReasons"]
    assert reason["Item"] == ITEM


def test_what_was_there_comes_back_with_an_update_and_a_deletion(client: Any) -> None:
    old = client.update_item(
        TableName=TABLE,
        Key=A,
        UpdateExpression="SET targetLanguage = :gone",
        ExpressionAttributeValues=GONE,
        ReturnValues="ALL_OLD",
    )
    assert old["Attributes"] == ITEM
    deleted = client.delete_item(TableName=TABLE, Key=A, ReturnValues="ALL_OLD")
    assert deleted["Attributes"]["targetLanguage"] == {"S": "~"}
    assert "Attributes" not in client.delete_item(TableName=TABLE, Key=A, ReturnValues="ALL_OLD")


def test_the_index_lists_in_the_order_of_languages(client: Any) -> None:
    client.put_item(TableName=TABLE, Item={**ITEM, **B, "targetLanguage": {"S": "~"}})
    request = {
        "TableName": TABLE,
        "IndexName": "sessionId-targetLanguage-index",
        "KeyConditionExpression": "sessionId = :session AND targetLanguage < :gone",
        "ExpressionAttributeValues": {":session": {"S": "s"}, **GONE},
    }
    (item,) = client.query(**request)["Items"]
    assert item["connectionId"] == A["connectionId"]
