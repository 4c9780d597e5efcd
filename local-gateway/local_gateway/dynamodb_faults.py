"""Faults of the embedded DynamoDB, injected by ASGI middleware inside ministack's process.

The application sends its DynamoDB requests to a path of its own (PREFIX). Tests and tools use the
root path, which has no faults. A separate proxy would slow every request down.
"""

import asyncio
import json
import random
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from local_gateway.asgi import AsgiApp, Message, Receive, Send
from local_gateway.faults import FaultInjector, Faults, InvalidFault

PREFIX: Final = "/_local_gateway/dynamodb"
_FAULTS_PATH: Final = "/_local_gateway/dynamodb-faults"

APPLY_TIMEOUT_SECONDS: Final = 5

APPLY_LOCK: Final = threading.Lock()
"""Serializes updates of the embedded AWS's faults."""


def table_names(environment: Mapping[str, str]) -> dict[str, str]:
    """Map the start of each table's variable in lower case, and its full name, to its full name."""
    full_names = {
        key.removesuffix("_TABLE").lower(): name
        for key, name in environment.items()
        if key.endswith("_TABLE")
    }
    return {**full_names, **{name: name for name in full_names.values()}}


def apply_faults(faults: Faults, environment: Mapping[str, str]) -> None:
    """Send the faults to the embedded AWS, and return when they are in effect.

    Raises:
        OSError: The embedded AWS doesn't accept the faults or can't be reached.
    """
    # Imported here because it takes 3 MiB, and a gateway without faults doesn't need it.
    import urllib.request

    table = faults.dynamodb_only_table
    names = table_names(environment)
    sent = replace(faults, handler_only=None, dynamodb_only_table=table and names[table])
    request = urllib.request.Request(  # noqa: S310
        environment["AWS_ENDPOINT_URL"] + _FAULTS_PATH,
        data=json.dumps(sent.to_dict()).encode(),
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=APPLY_TIMEOUT_SECONDS).close()  # noqa: S310


class FaultyDynamoDb:
    """ASGI middleware that injects faults. Without a fault it takes microseconds per request."""

    def __init__(self, app: AsgiApp, seed: int) -> None:
        """Wrap an ASGI application.

        Args:
            app: The application that responds to requests without a fault.
            seed: Random seed of the faults.
        """
        self._app = app
        self._injector = FaultInjector(seed)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Respond to a request, or pass it on to the wrapped application."""
        path = scope.get("path", "")
        if path == _FAULTS_PATH:
            await self._update_faults(scope, receive, send)
        elif path.startswith(PREFIX):
            await self._respond({**scope, "path": "/", "raw_path": b"/"}, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _update_faults(self, scope: Message, receive: Receive, send: Send) -> None:
        """Replace the faults with those that the gateway sends."""
        if scope["method"] != "PUT":
            await _send(send, HTTPStatus.FORBIDDEN, {})
            return
        try:
            self._injector.faults = Faults().changed(json.loads(await _read(receive)))
        except (ValueError, RecursionError, InvalidFault) as error:
            await _send(send, HTTPStatus.BAD_REQUEST, {"message": str(error)})
        else:
            await _send(send, HTTPStatus.OK, {})

    async def _respond(self, scope: Message, receive: Receive, send: Send) -> None:
        faults, injector = self._injector.faults, self._injector
        if faults.affects_dynamodb:
            body = await _read(receive)
            if faults.dynamodb_only_table in (None, *_tables_of(body)):
                slow_seconds = faults.dynamodb_slow_ms / 1000
                await asyncio.sleep(injector.delay(faults.dynamodb_slow_share, slow_seconds))
                if injector.selects(faults.dynamodb_down_share):
                    await _send(send, HTTPStatus.INTERNAL_SERVER_ERROR, _DOWN)
                    return
                if injector.selects(faults.dynamodb_throttled_share):
                    await _send(send, HTTPStatus.BAD_REQUEST, _THROTTLED)
                    return
            receive = _replay(body, receive)
        await self._app(scope, receive, send)


_TYPE: Final = "com.amazonaws.dynamodb.v20120810#"
_DOWN: Final = {"__type": f"{_TYPE}InternalServerError", "message": "Internal server error"}
_THROTTLED: Final = {
    "__type": f"{_TYPE}ProvisionedThroughputExceededException",
    "message": (
        "The level of configured provisioned throughput for the table was exceeded. Consider "
        "increasing your provisioning level with the UpdateTable API."
    ),
}


def _tables_of(body: bytes) -> Iterator[str]:
    """Yield the names of the tables that a request refers to by name or ARN."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return
    if not isinstance(request, dict):
        return
    items, requests = request.get("TransactItems"), request.get("RequestItems")
    actions = [
        action
        for item in (items if isinstance(items, list) else [])
        for action in (item.values() if isinstance(item, dict) else [])
    ]
    named = [part.get("TableName") for part in (request, *actions) if isinstance(part, dict)]
    for name in (*named, *(requests if isinstance(requests, dict) else [])):
        if isinstance(name, str):
            yield name.rpartition("table/")[2]


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if not message.get("more_body"):
            return body


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


async def _send(send: Send, status: int, value: Mapping[str, str]) -> None:
    body = json.dumps(value).encode()
    headers = [
        (b"content-type", b"application/x-amz-json-1.0"),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-requestid", random.randbytes(26).hex().upper().encode()),  # noqa: S311
    ]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
