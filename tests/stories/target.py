"""The target of the stories, which is a served application with users and clients."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from local_gateway import aws
from local_gateway.events import Api, scheduled_event
from local_gateway.user_token import served_environment
from tests.stories import frames

WAIT_SECONDS = 20
"""Timeout for a message."""


@dataclass(frozen=True)
class Target:
    """A served application.

    Attributes:
        url: The URL for clients.
        environment: The environment variables of its AWS.
        seats: The maximum number of listeners in a session.
        is_emulator: Whether the target is the stack on ministack. It differs from AWS, and from
            the local server, in the ways that this file documents.
    """

    url: str
    environment: dict[str, str]
    seats: int = 500
    is_emulator: bool = False

    def status(self, status: int) -> int:
        """Return the status of a refused handshake as clients see it.

        ministack 1.5.33 changes every status to 403. Source: its code.
        """
        return 403 if self.is_emulator else status

    def is_connection_id(self, text: str) -> bool:
        """Return whether a text has the format of a connection ID.

        AWS's connection IDs end in "=". ministack's are 16 hexadecimal digits. Source: its code.
        """
        return len(text) == 16 and (self.is_emulator or text.endswith("="))

    def tokens(self, username: str = "speaker@example.com") -> dict[str, str]:
        """Sign a speaker in, and return IdToken and AccessToken."""
        return aws.sign_in(
            self.environment["AWS_ENDPOINT_URL"],
            self.environment["COGNITO_USER_POOL_ID"],
            self.environment["COGNITO_CLIENT_ID"],
            username,
        )

    def address(self, **query: str) -> str:
        return f"{self.url}?{urlencode(query)}" if query else self.url

    def sweep(self) -> None:
        """Run the sweep now, in addition to its schedule of once a minute."""
        answer = self._invoke_sweep("RequestResponse")
        assert "FunctionError" not in answer, answer["Payload"].read()

    def start_sweep(self) -> None:
        """Begin a sweep, which can wait for a minute until a language is idle."""
        self._invoke_sweep("Event")

    def _invoke_sweep(self, invocation_type: Literal["Event", "RequestResponse"]) -> Any:
        name = "broadcast-sessions-local-sweep"
        event = scheduled_event(Api("local"), name, time.time())
        return aws.client("lambda", self.lambda_url).invoke(
            FunctionName=name, InvocationType=invocation_type, Payload=json.dumps(event)
        )

    @property
    def lambda_url(self) -> str:
        """The endpoint that invokes functions, on the local server or the emulator."""
        return self.environment["AWS_ENDPOINT_URL"] if self.is_emulator else self.http_url

    @property
    def http_url(self) -> str:
        """The base URL of the local server's HTTP endpoints."""
        return self.url.replace("ws:", "http:").removesuffix("/local")

    def set_faults(self, **faults: float | str) -> None:
        """Replace the local server's faults."""
        request = Request(
            f"{self.http_url}/_local_gateway/faults", json.dumps(faults).encode(), method="PUT"
        )
        with urlopen(request, timeout=WAIT_SECONDS) as answer:
            assert answer.status == 200

    def records(self, table: str) -> list[dict[str, Any]]:
        """Return all items of SESSIONS_TABLE or CONNECTIONS_TABLE."""
        dynamodb = aws.client("dynamodb", self.environment["AWS_ENDPOINT_URL"])
        pages = dynamodb.get_paginator("scan").paginate(TableName=self.environment[table])
        return [item for page in pages for item in page["Items"]]

    def participants(self) -> list[dict[str, Any]]:
        """Return the items of current participants.

        Excludes participants that have left or are superseded, and claims of events. Those items
        expire later.
        """
        return [
            record
            for record in self.records("CONNECTIONS_TABLE")
            if "sessionId" in record and not {"leftAt", "supersededBy"} & record.keys()
        ]


HIGH_LIMITS: Final = {
    "RATE_LIMIT_LISTENER_JOINS_PER_MIN": "100000",
    "RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN": "100000",
    "RATE_LIMIT_CONNECTIONS_PER_MIN": "100000",
    "RATE_LIMIT_INVITED_JOINS_PER_MIN": "100000",
    "RATE_LIMIT_SESSIONS_PER_HOUR": "100000",
    "RATE_LIMIT_HEARTBEATS_PER_MIN": "100000",
}
"""Limits for stories that don't test limits. All of their requests come from one address."""

GRACE_SECONDS: Final = 6
"""The grace period of a lost speaker. It is long enough to return, and short enough to wait for. It
differs from the grace after a clean close, which is 5 s by default.
"""

UNSUPPORTED_BY_EMULATOR: Final = {
    "test_a_binary_frame_closes_with_1003": "accepts binary frames",
    "test_a_frame_of_40_kb_closes_with_1009": "has no limit for frames",
    "test_a_message_of_129_kb_closes_with_1009": "has no limit for messages",
    "test_a_clean_close_by_the_speaker_ends_the_session_after_a_short_grace": (
        "reports every close as 1005"
    ),
    "test_a_session_ends_if_its_speaker_does_not_return_in_time": ("reports every close as 1005"),
}
"""The stories that ministack 1.5.33 can't run, with its differing behavior."""


@contextmanager
def local_server(*options: str, **settings: str) -> Iterator[Target]:
    """Serve the application as `make local` does, on a free port.

    Args:
        *options: Command-line options of the local server.
        **settings: Environment variables.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "local_gateway", "--port", "0", "--no-reload", "--quiet", *options],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "LOG_LEVEL": "ERROR", **settings},
    )
    assert process.stdout
    try:
        ready = process.stdout.readline()
        assert ready.startswith("ready: "), ready + process.stdout.read()
        url = ready.removeprefix("ready: ").strip()
        port = int(url.rpartition(":")[2].partition("/")[0])
        yield Target(url, served_environment(port))
    finally:
        process.terminate()
        said = process.communicate(timeout=30)[0]
        assert process.returncode == 0, said


STATUS_REQUEST = "status"
"""The request ID by which an answer to `getSessionStatus` differs from a notice."""


class Client:
    """A client of the wire protocol that sends only what a test asks for."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command in a frame, and return its outcome."""
        if command.get("action") == "getSessionStatus" and "requestId" not in command:
            answer = self.ask(**command, requestId=STATUS_REQUEST)
            assert answer.pop("requestId") == STATUS_REQUEST
            return answer
        self.tell(**command)
        return self.receive()

    def tell(self, **command: Any) -> None:
        """Send a command in a frame, and don't wait for its outcome."""
        self.connection.send(frames.encode(command))

    def send(self, text: str | bytes | list[str]) -> dict[str, Any]:
        """Send a message unchanged, in one frame or in several, and return the answer."""
        self.connection.send(text)
        return self.receive()

    def receive(self) -> dict[str, Any]:
        """Return the next message, except notices of the audience, whose time is uncertain."""
        while True:
            message = self.receive_any()
            if message.get("type") != "sessionStatus" or "requestId" in message:
                return message

    def receive_any(self) -> dict[str, Any]:
        """Return the next message."""
        return frames.decode(self.connection.recv(timeout=WAIT_SECONDS))

    def has_no_more_messages(self) -> bool:
        """Return whether no other message arrives before the answer to a heartbeat."""
        return self.ask(action="heartbeat")["type"] == "heartbeatAck"

    def close(self, code: int = 1000) -> None:
        self.connection.close(code)

    def drop(self) -> None:
        """Close the TCP connection without a close frame, as if the network was lost."""
        self.connection.socket.close()


@contextmanager
def client(target: Target, headers: dict[str, str] | None = None, **query: str) -> Iterator[Client]:
    """Connect with a query string, and close with code 1000 at the end."""
    if "action" in query:
        frames.check(query["action"], {name: it for name, it in query.items() if name != "token"})
    with connect(
        target.address(**query),
        additional_headers=headers,
        compression=None,
        open_timeout=WAIT_SECONDS,
    ) as opened:
        yield Client(opened)


def refused_with(target: Target, headers: dict[str, str] | None = None, **query: str) -> int:
    """Connect, and return the status of the refused handshake."""
    try:
        with connect(target.address(**query), additional_headers=headers):
            raise AssertionError("the handshake was not refused")
    except InvalidStatus as refusal:
        return refusal.response.status_code


def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds that other events bring about."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "the condition doesn't hold"
