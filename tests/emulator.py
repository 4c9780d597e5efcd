"""The application's own client on the emulator's DynamoDB."""

from collections.abc import Iterator
from contextlib import contextmanager

from chalicelib.aws.dynamodb import DynamoDB
from chalicelib.aws.http import SignedClient
from chalicelib.aws.retries import Retries
from chalicelib.aws.signing import Credentials
from local_gateway import aws

TIMEOUT_SECONDS = 30
"""A machine that is busy with other things is no fault."""


def signed_client(endpoint_url: str) -> SignedClient:
    return SignedClient(
        endpoint_url,
        "dynamodb",
        aws.REGION,
        lambda: Credentials("local", "local"),
        connect_timeout_seconds=TIMEOUT_SECONDS,
        read_timeout_seconds=TIMEOUT_SECONDS,
    )


@contextmanager
def dynamodb(endpoint_url: str) -> Iterator[DynamoDB]:
    client = signed_client(endpoint_url)
    yield DynamoDB(client, Retries("store"))
    client.close()
