"""A client of one variant of the probe, which describes in short texts what the target does."""

import ipaddress
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

import boto3
from boto3.dynamodb.conditions import Key
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from conformance.targets.base import Api, Deployment

HANDSHAKE_SECONDS: Final = 40
"""Longer than two cold starts on AWS."""

POLL_SECONDS: Final = 0.05
MAX_TEXT: Final = 100
"""The maximum length of a frame in a description."""

HIDDEN: Final = ("connectionId", "requestId", "messageId")
"""The keys of values that differ from run to run."""


class Client:
    """An open connection.

    Attributes:
        run: The subject of the records of the handshake's events.
    """

    def __init__(self, variant: "Variant", run: str, connection: ClientConnection) -> None:
        self.run = run
        self.connection = connection
        self._variant = variant

    @cached_property
    def connection_id(self) -> str:
        """The connection's ID, from the event of $connect."""
        event = self._variant.records(self.run, "$connect")[0]
        connection_id: str = event["requestContext"]["connectionId"]
        return connection_id

    def send(self, do: str, **instructions: Any) -> None:
        """Send a message to the probe."""
        self.connection.send(json.dumps({"do": do, **instructions}))

    def receive(self, seconds: float | None = None) -> str:
        """Return the next text frame, or a description of what happens instead.

        Args:
            seconds: How long to wait; the target's patience if not given.
        """
        try:
            frame = self.connection.recv(seconds or self._variant.patience_seconds)
        except TimeoutError:
            return "no frame"
        except ConnectionClosed:
            return self.ending()
        return frame if isinstance(frame, str) else f"a binary frame of {len(frame)} bytes"

    def ending(self) -> str:
        """Ignore frames until the connection closes, and describe the close."""
        try:
            while True:
                self.connection.recv(self._variant.patience_seconds)
        except TimeoutError:
            return "stays open"
        except ConnectionClosed as closed:
            return (
                "closes without a code"
                if closed.rcvd is None
                else f"closes with code {closed.rcvd.code}"
            )


class Variant:
    """A variant of the probe on a target."""

    def __init__(self, api: Api, deployment: Deployment) -> None:
        self.api = api
        self.patience_seconds = deployment.patience_seconds
        self._settings = deployment.client_settings
        self._table = boto3.resource(
            "dynamodb", endpoint_url=deployment.dynamodb_url, **deployment.client_settings
        ).Table(deployment.records_table)

    @contextmanager
    def connect(
        self,
        *,
        headers: Any = None,
        subprotocols: Any = None,
        is_reading: bool = True,
        has_query: bool = True,
        **query: Any,
    ) -> Iterator[Client]:
        """Connect, and close the connection at the end.

        Args:
            headers: Headers of the handshake.
            subprotocols: The subprotocols that the client offers.
            is_reading: Whether the client reads frames before a test asks for them.
            has_query: Whether the URL has a query string.
            **query: Instructions for the probe.
        """
        query = {"run": unique(), **query} if has_query else {}
        options: dict[str, Any] = {} if is_reading else {"max_queue": 1, "close_timeout": 0.1}
        with connect(
            self.url(**query),
            additional_headers=headers,
            subprotocols=subprotocols,
            max_size=None,
            proxy=None,
            open_timeout=HANDSHAKE_SECONDS,
            **options,
        ) as connection:
            yield Client(self, query.get("run", ""), connection)

    def url(self, **query: str) -> str:
        """Return the URL with a query string; without one if there are no parameters."""
        return f"{self.api.url}?{urlencode(query)}" if query else self.api.url

    def handshake(self, **query: Any) -> str:
        """Connect, and describe the result."""
        try:
            with self.connect(**query):
                return "connects"
        except InvalidStatus as refused:
            return str(refused.response.status_code)
        except (InvalidHandshake, OSError) as error:
            return f"no valid response ({type(error).__name__})"

    def refusal_body(self, **query: Any) -> str | None:
        """Connect, and return the body of the refusal; None if the target connects."""
        try:
            with self.connect(**query):
                return None
        except InvalidStatus as refused:
            return refused.response.body.decode(errors="replace")

    def records(self, subject: str, source: str, count: int = 1) -> list[Any]:
        """Wait for records of a source, and return all that there are.

        Returns:
            The records' contents in the order of their time. Fewer than `count` if they don't
            arrive in time.
        """
        deadline = time.monotonic() + self.patience_seconds
        while len(found := self.records_now(subject, source)) < count:
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        return found

    def records_now(self, subject: str, source: str) -> list[Any]:
        """Return the records of a source that exist now."""
        items = self._table.query(
            KeyConditionExpression=Key("subject").eq(subject), ConsistentRead=True
        )["Items"]
        return [json.loads(str(it["content"])) for it in items if it["source"] == source]

    def outcome(
        self, operation: str, connection_id: str, url: str | None = None, **parameters: Any
    ) -> str:
        """Call the @connections API, and describe the outcome, such as "410 GoneException"."""
        call = getattr(self.connections(url), operation)
        try:
            response = call(ConnectionId=connection_id, **parameters)
        except ClientError as error:
            return describe_error(error)
        except BotoCoreError as error:
            return f"no response ({type(error).__name__})"
        return str(response["ResponseMetadata"]["HTTPStatusCode"])

    def connections(self, url: str | None = None) -> Any:
        """Return a boto3 client of the @connections API."""
        return boto3.client(
            "apigatewaymanagementapi",
            endpoint_url=url or self.api.management_url,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=self.patience_seconds),
            **self._settings,
        )


def unique() -> str:
    """Return a name that no other test uses."""
    return uuid4().hex


def describe_error(error: ClientError) -> str:
    """Describe an error response by its status and type.

    boto3 uses the status as the type if the response has no type.
    """
    status = str(error.response["ResponseMetadata"]["HTTPStatusCode"])
    kind = error.response["Error"]["Code"]
    return f"{status} without an error type" if kind == status else f"{status} {kind}"


def describe(text: str) -> str:
    """Shorten a frame or a body for the matrix, without IDs."""
    try:
        value = json.loads(text)
    except ValueError:
        return shorten(text)
    if isinstance(value, dict):
        shown = {key: "..." if key in HIDDEN else value[key] for key in sorted(value)}
        return shorten(json.dumps(shown))
    return shorten(text)


def shorten(text: str) -> str:
    """Cut a text at MAX_TEXT characters, and replace its line breaks."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_TEXT else f"{line[:MAX_TEXT]}..."


def keys_of(value: Iterable[str]) -> str:
    """Describe the keys of an object."""
    return ", ".join(sorted(value)) or "none"


def is_ip_address(text: Any) -> bool:
    """Return whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
