"""The yardstick of the application: its DynamoDB requests, made by boto3 alone.

The tables have the same schema as the application's, and are in the same ministack.
"""

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.servers import ROOT
from local_gateway import aws

SESSION_ID = "golden-eagle-427"


@dataclass(frozen=True, slots=True)
class Scratch:
    """The yardstick's tables, with a client for all threads."""

    client: Any
    sessions_table: str
    connections_table: str
    limits_table: str

    @classmethod
    def create(cls, endpoint_url: str, threads: int) -> "Scratch":
        """Create the tables, and a client with a connection for each thread."""
        schema = json.loads((ROOT / "chalicelib" / "tables.json").read_text())
        names = aws.create_tables(endpoint_url, schema, "bench-scratch")
        client = boto3.client(
            "dynamodb",
            endpoint_url=endpoint_url,
            region_name=aws.REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(max_pool_connections=threads),
        )
        return cls(
            client,
            names["SESSIONS_TABLE"],
            names["CONNECTIONS_TABLE"],
            names["RATE_LIMITS_TABLE"],
        )

    def put_session(self) -> None:
        """Put a session without listeners. It replaces the last one."""
        item = {
            "sessionId": {"S": SESSION_ID},
            "status": {"S": "active"},
            "inviteCode": {"S": "0123456789abcdef"},
            "listenerCount": {"N": "0"},
            "expiresAt": {"N": str(int(time.time()) + 3600)},
        }
        self.client.put_item(TableName=self.sessions_table, Item=item)

    def get_session(self) -> None:
        """Read the session with the application's consistent read."""
        self.client.get_item(
            TableName=self.sessions_table,
            Key={"sessionId": {"S": SESSION_ID}},
            ConsistentRead=True,
        )

    def join(self, _number: int = 0) -> None:
        """Make the four requests of a join, one after the other."""
        now = int(time.time())
        self.client.update_item(
            TableName=self.sessions_table,
            Key={"sessionId": {"S": SESSION_ID}},
            UpdateExpression="ADD listenerCount :one",
            ConditionExpression=(
                "attribute_exists(sessionId) AND #status <> :ended AND expiresAt > :now "
                "AND listenerCount < :max AND inviteCode = :code"
            ),
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={
                ":one": {"N": "1"},
                ":ended": {"S": "ended"},
                ":now": {"N": str(now)},
                ":max": {"N": "500"},
                ":code": {"S": "0123456789abcdef"},
            },
            ReturnValues="ALL_NEW",
        )
        self.client.put_item(
            TableName=self.connections_table,
            Item={
                "connectionId": {"S": uuid.uuid4().hex},
                "sessionId": {"S": SESSION_ID},
                "targetLanguage": {"S": "es"},
                "role": {"S": "listener"},
                "ttl": {"N": str(now + 3600)},
            },
            ConditionExpression="attribute_not_exists(connectionId)",
        )
        self.client.update_item(
            TableName=self.limits_table,
            Key={"identifier": {"S": SESSION_ID}},
            UpdateExpression="ADD joins :one SET expiresAt = :end",
            ExpressionAttributeValues={":one": {"N": "1"}, ":end": {"N": str(now + 180)}},
            ReturnValues="ALL_NEW",
        )
        self.get_session()
