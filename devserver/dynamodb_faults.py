"""DynamoDB's faults: a wrapper round the embedded AWS, within its process, and how to reach it.

The application reaches DynamoDB below a path of its own (PREFIX) and everybody else at the root,
so that tests and tools are not struck. No proxy stands between: every request would pay for it.
"""

import asyncio
import json
import random
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from devserver.faults import Dice, Faults, InvalidFault

PREFIX: Final = "/_devserver/dynamodb"
_FAULTS_PATH: Final = "/_devserver/dynamodb-faults"

PUT_SECONDS: Final = 5

PUTTING: Final = threading.Lock()
"""Held by who tells the embedded AWS of its faults."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]


def table_names(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the embedded AWS's tables: full names, by themselves and by those in tables.json."""
    held = {
        key.removesuffix("_TABLE").lower(): name
        for key, name in environment.items()
        if key.endswith("_TABLE")
    }
    return {**held, **{name: name for name in held.values()}}


def put(faults: Faults, environment: Mapping[str, str]) -> None:
    """Tell the embedded AWS of its faults, and wait until they are in force; raises OSError."""
    import urllib.request  # Not at the top: 3 MiB that a server without faults need not hold.

    table = faults.dynamodb_only_table
    names = table_names(environment)
    told = replace(faults, handler_only=None, dynamodb_only_table=table and names[table])
    request = urllib.request.Request(  # noqa: S310
        environment["AWS_ENDPOINT_URL"] + _FAULTS_PATH,
        data=json.dumps(told.to_dict()).encode(),
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=PUT_SECONDS).close()  # noqa: S310


class FaultyDynamoDb:
    """An ASGI application in front of another; without a fault it costs microseconds."""

    def __init__(self, app: AsgiApp, seed: int) -> None:
        self._app = app
        self._dice = Dice(seed)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or let the other application answer it."""
        path = scope.get("path", "")
        if path == _FAULTS_PATH:
            await self._take_faults(scope, receive, send)
        elif path.startswith(PREFIX):
            await self._answer({**scope, "path": "/", "raw_path": b"/"}, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _take_faults(self, scope: Message, receive: Receive, send: Send) -> None:
        """Take faults from this server. PageGuard refuses web pages."""
        if scope["method"] != "PUT":
            await _send(send, HTTPStatus.FORBIDDEN, {})
            return
        try:
            self._dice.faults = Faults().changed(json.loads(await _read(receive)))
        except (ValueError, RecursionError, InvalidFault) as error:
            await _send(send, HTTPStatus.BAD_REQUEST, {"message": str(error)})
        else:
            await _send(send, HTTPStatus.OK, {})

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        faults, dice = self._dice.faults, self._dice
        if faults.afflicts_dynamodb:
            body = await _read(receive)
            if faults.dynamodb_only_table in (None, *_tables_of(body)):
                slow_seconds = faults.dynamodb_slow_ms / 1000
                await asyncio.sleep(dice.amount(faults.dynamodb_slow_share, slow_seconds))
                if dice.strikes(faults.dynamodb_down_share):
                    await _send(send, HTTPStatus.INTERNAL_SERVER_ERROR, _DOWN)
                    return
                if dice.strikes(faults.dynamodb_throttled_share):
                    await _send(send, HTTPStatus.BAD_REQUEST, _THROTTLED)
                    return
            receive = _received_again(body, receive)
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
    """Find the tables that a request names, by their names or ARNs."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return
    if not isinstance(request, dict):
        return
    actions = [action for item in request.get("TransactItems") or [] for action in item.values()]
    named = [held.get("TableName") for held in (request, *actions)]
    for name in (*named, *(request.get("RequestItems") or {})):
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


def _received_again(body: bytes, receive: Receive) -> Receive:
    held: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return held.pop() if held else await receive()

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
