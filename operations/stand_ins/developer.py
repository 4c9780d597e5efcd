"""The developer's own AWS credentials, with which stand-ins pass requests on to AWS.

`INTERPRETER=aws make local` sets them. Only the stand-ins use them: the functions keep credentials
that are valid nowhere.
"""

import asyncio
import json
import os
from typing import Final

from chalicelib.aws.http import SignedClient
from chalicelib.aws.signing import Credentials
from chalicelib.aws.wire import Unreachable
from operations.stand_ins.service import Answer, Request, Response, ServiceError

VARIABLE: Final = "INTERPRETER_CREDENTIALS"
"""The environment variable with the access key, secret key, session token and Region, as JSON."""

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 10

_FORWARDED: Final = ("content-type", "x-amz-target")


def is_given() -> bool:
    """Return whether the stand-ins pass requests on to AWS."""
    return bool(os.environ.get(VARIABLE))


def encode(credentials: Credentials, region: str) -> str:
    """Return the variable's value."""
    return json.dumps([*credentials, region])


def forward_to(service: str) -> Answer:
    """Return the function that passes requests on to a service of AWS."""
    *keys, region = json.loads(os.environ[VARIABLE])
    return forward(service, f"https://{service}.{region}.amazonaws.com", Credentials(*keys), region)


def forward(service: str, endpoint_url: str, credentials: Credentials, region: str) -> Answer:
    """Return a function that signs requests again and passes them on to an endpoint."""
    client = SignedClient(
        endpoint_url,
        service,
        region,
        lambda: credentials,
        connect_timeout_seconds=CONNECT_SECONDS,
        read_timeout_seconds=READ_SECONDS,
    )

    async def answer(request: Request) -> Response:
        headers = {name: request.headers[name] for name in _FORWARDED if name in request.headers}
        try:
            received = await asyncio.to_thread(
                client.request, request.method, request.path, request.body, headers
            )
        except Unreachable:
            raise ServiceError("ServiceUnavailable", "AWS didn't answer", 503) from None
        return Response(
            received.status,
            received.headers.get("content-type", "application/octet-stream"),
            received.body,
            received.headers.get("x-amzn-errortype"),
        )

    return answer
