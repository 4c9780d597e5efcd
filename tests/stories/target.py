"""What the stories are told against: a served application, its users, and clients of it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from devserver import aws
from devserver.user_token import served_environment
from operations.emulate import emulate, whereabouts

WAIT_SECONDS = 20
"""Before a message that does not come is given up."""


@dataclass(frozen=True)
class Target:
    """A served application: its URL, the AWS on which it stands, and what it can do.

    `seats` is the most listeners that a session takes. `is_emulator` is whether this is the stack
    on ministack, which differs from AWS, and so from the local server, where this file says so.
    """

    url: str
    environment: dict[str, str]
    seats: int = 500
    is_emulator: bool = False

    def status(self, status: int) -> int:
        """Return the status that a client sees of a refused handshake.

        ministack 1.5.33 makes 403 of every one. Source: its code.
        """
        return 403 if self.is_emulator else status

    def is_connection_id(self, text: str) -> bool:
        """ministack's are 16 hexadecimal digits, AWS's end in "=". Source: its code."""
        return len(text) == 16 and (self.is_emulator or text.endswith("="))

    def tokens(self, username: str = "speaker@example.com") -> dict[str, str]:
        """Sign a speaker in: IdToken and AccessToken."""
        return aws.sign_in(
            self.environment["AWS_ENDPOINT_URL"],
            self.environment["COGNITO_USER_POOL_ID"],
            self.environment["COGNITO_CLIENT_ID"],
            username,
        )

    def address(self, **query: str) -> str:
        return f"{self.url}?{urlencode(query)}" if query else self.url

    def sweep(self) -> None:
        """Run the sweep now, and wait for it. It comes by itself once a minute."""
        functions = aws.client("lambda", self.lambda_url)
        answer = functions.invoke(FunctionName="broadcast-sessions-local-sweep", Payload=SCHEDULED)
        assert "FunctionError" not in answer, answer["Payload"].read()

    @property
    def lambda_url(self) -> str:
        """Where functions are invoked: the local server's own API, or the emulator's."""
        return self.environment["AWS_ENDPOINT_URL"] if self.is_emulator else self.http_url

    @property
    def http_url(self) -> str:
        """The local server's other endpoints."""
        return self.url.replace("ws:", "http:").removesuffix("/local")

    def set_faults(self, **faults: float | str) -> None:
        """Let these things go wrong, and no others, on the local server."""
        request = Request(
            f"{self.http_url}/_devserver/faults", json.dumps(faults).encode(), method="PUT"
        )
        with urlopen(request, timeout=WAIT_SECONDS) as answer:
            assert answer.status == 200

    def records(self, table: str) -> list[dict[str, Any]]:
        """Read all that a table holds: SESSIONS_TABLE, CONNECTIONS_TABLE."""
        dynamodb = aws.client("dynamodb", self.environment["AWS_ENDPOINT_URL"])
        pages = dynamodb.get_paginator("scan").paginate(TableName=self.environment[table])
        return [item for page in pages for item in page["Items"]]

    def participants(self) -> list[dict[str, Any]]:
        """Read the records of present participants.

        Records of participants that have left or are superseded, and claims of events, expire.
        """
        return [
            record
            for record in self.records("CONNECTIONS_TABLE")
            if "sessionId" in record and not {"leftAt", "supersededBy"} & record.keys()
        ]


SCHEDULED: Final = json.dumps(
    {
        "version": "0",
        "id": "1",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "0",
        "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {},
    }
)
"""Source: "Scheduled Events", Amazon CloudWatch Events User Guide."""

GENEROUS: Final = {
    "RATE_LIMIT_LISTENER_JOINS_PER_MIN": "100000",
    "RATE_LIMIT_CONNECTION_ATTEMPTS_PER_MIN": "100000",
    "RATE_LIMIT_CONNECTIONS_PER_MIN": "100000",
    "RATE_LIMIT_INVITED_JOINS_PER_MIN": "100000",
    "RATE_LIMIT_SESSIONS_PER_HOUR": "100000",
    "RATE_LIMIT_HEARTBEATS_PER_MIN": "100000",
}
"""For stories that are not about limits, all of which come from one address."""

GRACE_SECONDS: Final = 10
"""Of a lost speaker in the stories: enough to come back, and not too much to wait for."""

BEYOND_THE_EMULATOR: Final = {
    "test_a_binary_frame_closes_with_1003": "takes binary frames",
    "test_a_frame_of_40_kb_closes_with_1009": "has no limit for frames",
    "test_a_message_of_129_kb_closes_with_1009": "has no limit for messages",
    "test_a_clean_close_of_the_speakers_connection_ends_the_session_after_a_short_grace": (
        "tells every close as 1005"
    ),
    "test_a_speaker_who_does_not_come_back_ends_the_session_when_his_grace_is_over": (
        "tells every close as 1005"
    ),
}
"""The stories that are not told against ministack 1.5.33, and what it does instead."""


@contextmanager
def emulated_stack() -> Iterator[Target]:
    """Apply the stack with Terraform to an emulator, with as many seats as that can serve.

    A worker process runs each function that runs at once, so 500 at once are out of its reach.
    """
    seats = 20
    # With 1005 for every close, a lost connection has the grace of one that was closed.
    names = ("SPEAKER_GRACE_SECONDS", "SPEAKER_CLOSE_GRACE_SECONDS")
    grace = dict.fromkeys(names, str(GRACE_SECONDS))
    with emulate(MAX_LISTENERS_PER_SESSION=str(seats), **grace, **GENEROUS) as emulation:
        yield Target(emulation.url, whereabouts(emulation), seats=seats, is_emulator=True)


@contextmanager
def local_server(*options: str, **settings: str) -> Iterator[Target]:
    """Serve the application as `make local` does, on a free port, with settings of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "devserver", "--port", "0", "--no-reload", "--quiet", *options],
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


class Client:
    """A client of the wire protocol that does just what it is told."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def ask(self, **command: Any) -> dict[str, Any]:
        """Give a command in a frame, and wait for its outcome."""
        self.connection.send(json.dumps(command))
        return self.hear()

    def say(self, text: str | bytes | list[str]) -> dict[str, Any]:
        """Send a frame, or a message in several frames, as it stands, and wait for the answer."""
        self.connection.send(text)
        return self.hear()

    def hear(self) -> dict[str, Any]:
        """Wait for the next message."""
        message: dict[str, Any] = json.loads(self.connection.recv(timeout=WAIT_SECONDS))
        assert isinstance(message["timestamp"], int)
        return message

    def hears_nothing_more(self) -> bool:
        """Say whether nothing is under way to this client: its next message answers a heartbeat."""
        return self.ask(action="heartbeat")["type"] == "heartbeatAck"

    def close(self, code: int = 1000) -> None:
        self.connection.close(code)

    def vanish(self) -> None:
        """End without a close frame, as a phone that loses its network."""
        self.connection.socket.close()


@contextmanager
def client(target: Target, headers: dict[str, str] | None = None, **query: str) -> Iterator[Client]:
    """Connect with a query string; close with 1000 at the end."""
    with connect(
        target.address(**query),
        additional_headers=headers,
        compression=None,
        open_timeout=WAIT_SECONDS,
    ) as opened:
        yield Client(opened)


def refused_with(target: Target, headers: dict[str, str] | None = None, **query: str) -> int:
    """Connect, and return the status with which the handshake is refused."""
    try:
        with connect(target.address(**query), additional_headers=headers):
            raise AssertionError("the handshake was not refused")
    except InvalidStatus as refusal:
        return refusal.response.status_code


def until(holds: Callable[[], bool]) -> None:
    """Ask again until something that other events have to bring about holds."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
