"""The table of records, for targets whose tables Terraform doesn't create."""

from collections.abc import Mapping
from typing import Any

import boto3

from conformance.targets.base import KEY_SCHEMA


def create_table(name: str, dynamodb_url: str, client_settings: Mapping[str, Any]) -> None:
    """Create the table of records.

    Args:
        name: The table's name.
        dynamodb_url: The endpoint URL of DynamoDB.
        client_settings: The arguments of `boto3.client` besides the endpoint.
    """
    dynamodb: Any = boto3.client("dynamodb", endpoint_url=dynamodb_url, **client_settings)
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=KEY_SCHEMA,
        AttributeDefinitions=[
            {"AttributeName": key["AttributeName"], "AttributeType": "S"} for key in KEY_SCHEMA
        ],
    )
