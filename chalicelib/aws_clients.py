"""The clients of AWS, which each process builds once from the environment.

The imports are inside the functions of this module, as in `wiring`.
"""

import os
from typing import TYPE_CHECKING, Final

from chalicelib.environment import read_credentials, read_endpoint_url, read_region
from chalicelib.once import once

if TYPE_CHECKING:
    from chalicelib.aws.connections import Connections
    from chalicelib.aws.dynamodb import DynamoDB
    from chalicelib.aws.functions import Functions
    from chalicelib.aws.http import SignedClient

CONNECT_TIMEOUT_SECONDS: Final = 2
"""Long enough for TCP to repeat a lost SYN after 1 s. Source: RFC 6298, section 2.1."""

READ_TIMEOUT_SECONDS: Final = 2


@once
def dynamodb(dependency: str) -> "DynamoDB":
    """Return a client of DynamoDB whose circuit breaker has a dependency's name."""
    from chalicelib.aws.dynamodb import DynamoDB
    from chalicelib.aws.retries import Retries

    return DynamoDB(
        _client("dynamodb", read_endpoint_url(os.environ, "dynamodb")), Retries(dependency)
    )


@once
def functions() -> "Functions":
    """Return the client that invokes functions."""
    from chalicelib.aws.functions import Functions

    return Functions(_client("lambda", read_endpoint_url(os.environ, "lambda")))


@once
def connections(endpoint_url: str) -> "Connections":
    """Return the client of the @connections at a URL."""
    from chalicelib.aws.connections import ManagementApi

    return ManagementApi(_client("execute-api", endpoint_url))


@once
def _client(service: str, endpoint_url: str) -> "SignedClient":
    return _new_client(service, endpoint_url, READ_TIMEOUT_SECONDS)


def new_client(service: str, read_timeout_seconds: float) -> "SignedClient":
    """Return a new client that signs for a service, and waits that long for an answer."""
    return _new_client(service, read_endpoint_url(os.environ, service), read_timeout_seconds)


def _new_client(service: str, endpoint_url: str, read_timeout_seconds: float) -> "SignedClient":
    from chalicelib.aws.http import SignedClient

    return SignedClient(
        endpoint_url,
        service,
        read_region(os.environ),
        lambda: read_credentials(os.environ),
        connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
        read_timeout_seconds=read_timeout_seconds,
    )
