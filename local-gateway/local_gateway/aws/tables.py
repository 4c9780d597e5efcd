"""DynamoDB tables, from a file that describes them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from local_gateway.aws.ministack import client
from local_gateway.table_schema import table_variable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import CreateTableInputTypeDef


def create_tables(endpoint_url: str, schema: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """Create tables.

    Args:
        endpoint_url: The embedded AWS.
        schema: The tables by name. Each has a `partition_key` and optionally a `sort_key`
            (`{"name": ..., "type": ...}`), a `ttl_attribute`, and `indexes`, which have a `name`,
            keys and a `projection`.
        prefix: The first part of the tables' full names.

    Returns:
        The tables' full names, by environment variable: `NAME_TABLE`.
    """
    dynamodb = client("dynamodb", endpoint_url)
    environment = {}
    for name, table in schema.items():
        request = table_request(f"{prefix}-{name}", table)
        dynamodb.create_table(**request)
        if "ttl_attribute" in table:
            dynamodb.update_time_to_live(
                TableName=request["TableName"],
                TimeToLiveSpecification={"Enabled": True, "AttributeName": table["ttl_attribute"]},
            )
        environment[table_variable(name)] = request["TableName"]
    return environment


def table_request(table_name: str, table: Mapping[str, Any]) -> "CreateTableInputTypeDef":
    """Build a CreateTable request from a table of the schema file."""
    indexes = table.get("indexes", [])
    keys = [table, *indexes]
    attributes = {
        key["name"]: key["type"]
        for holder in keys
        for key in (holder["partition_key"], holder.get("sort_key"))
        if key
    }
    request: CreateTableInputTypeDef = {
        "TableName": table_name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _key_schema(table),
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": type_} for name, type_ in attributes.items()
        ],
    }
    if indexes:
        request["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index["name"],
                "KeySchema": _key_schema(index),
                "Projection": {"ProjectionType": index["projection"]},
            }
            for index in indexes
        ]
    return request


def _key_schema(holder: Mapping[str, Any]) -> list[Any]:
    schema = [{"AttributeName": holder["partition_key"]["name"], "KeyType": "HASH"}]
    if "sort_key" in holder:
        schema.append({"AttributeName": holder["sort_key"]["name"], "KeyType": "RANGE"})
    return schema
