"""A stage with models of DynamoDB and Lambda, and with the application's own fan-out."""

import json
import multiprocessing
import signal
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.posts import ACCESS_KEY, SECRET_KEY, TIMEOUT_SECONDS, TOKEN
from benchmarks.servers import connections_server
from chalicelib.aws.connections import FAN_OUT_SECONDS, FanOut, ManagementApi
from chalicelib.aws.dynamodb import DynamoDB
from chalicelib.aws.functions import Functions
from chalicelib.aws.http import SignedClient
from chalicelib.aws.retries import Retries
from chalicelib.aws.signing import Credentials
from chalicelib.aws.wire import Answer
from chalicelib.deliveries import SliceDeliveries
from chalicelib.ending import Ending
from chalicelib.messages import encode, session_paused
from chalicelib.models import QualityTier, Session, SessionStatus
from chalicelib.notices import Notices
from chalicelib.slices import SLICE_RECEIVERS, Slice, Slices
from chalicelib.store.items import encode_session
from chalicelib.store.stores import Stores, build_stores
from chalicelib.table_names import TableNames

MAX_RECEIVERS = 10_000
DYNAMODB_SECONDS = 0.005
"""The time of a request to DynamoDB. A page of the index takes it once per 1,000 items."""

INVOKE_SECONDS = 0.02
"""The time until Lambda has accepted an event. AWS doesn't document it."""

START_SECONDS = 0.05
"""The time until an accepted event runs in a warm function. AWS doesn't document it."""

SESSION = Session(
    session_id="golden-eagle-427",
    speaker_user_id="user",
    speaker_connection_id="speaker=",
    source_language="en",
    quality_tier=QualityTier.STANDARD,
    invite_code="0123456789abcdef",
    created_at_ms=1_800_000_000_000,
    expires_at_seconds=9_000_000_000,
)


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one notice. The times are those of the monotonic clock of all processes."""

    first_write_at: float
    first_post_at: float
    last_post_at: float
    reached: int
    failed: int
    invocations: int


@dataclass
class TimedConnections:
    """The fan-outs of the application's client of @connections, with their times."""

    api: ManagementApi
    began_at: float = 0.0
    ended_at: float = 0.0
    reached: int = 0
    failed: int = 0

    def fan_out(self, connection_ids: Collection[str], text: str, limit_seconds: float) -> FanOut:
        """Post one message to many connections."""
        self.began_at = time.monotonic()
        result = self.api.fan_out(connection_ids, text, limit_seconds)
        self.ended_at = time.monotonic()
        self.reached, self.failed = result.reached, result.failed + len(result.gone)
        return result


@dataclass
class DynamoDBModel:
    """DynamoDB as a transport: it answers after a fixed time."""

    receivers: int = 0
    first_write_at: float = 0.0

    def request(
        self,
        _method: str,
        _path: str,
        _body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,  # noqa: ARG002
    ) -> Answer:
        """Answer a request for the session, a claim or the list of listeners."""
        operation = (headers or {})["x-amz-target"].partition(".")[2]
        if operation == "UpdateItem" and not self.first_write_at:
            self.first_write_at = time.monotonic()
        pages = max(1, self.receivers // 1000) if operation == "Query" else 1
        time.sleep(DYNAMODB_SECONDS * pages)
        item = encode_session(SESSION)
        answers: dict[str, dict[str, Any]] = {
            "GetItem": {"Item": item},
            "UpdateItem": {"Attributes": item},
            "Query": {"Items": _LISTENERS[: self.receivers]},
        }
        return Answer(200, json.dumps(answers[operation]).encode(), {})


_UNUSED: Any = None
"""Stands for collaborators that a fan-out doesn't use."""

_LISTENERS = [
    {
        "connectionId": {"S": f"L0SM9cOFvH{number:05}="},
        "sessionId": {"S": SESSION.session_id},
        "targetLanguage": {"S": "es"},
    }
    for number in range(MAX_RECEIVERS)
]


@dataclass
class LambdaModel:
    """Lambda as a transport: it passes each event to a warm process of its own."""

    workers: list[Connection]
    busy: list[Connection] = field(default_factory=list)

    def request(
        self,
        _method: str,
        _path: str,
        body: bytes = b"",
        _headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,  # noqa: ARG002
    ) -> Answer:
        """Accept an event."""
        time.sleep(INVOKE_SECONDS)
        worker = self.workers.pop()
        self.busy.append(worker)
        worker.send(json.loads(body))
        return Answer(202, b"", {})

    def wait(self) -> list[tuple[float, int, int]]:
        """Return the time of the last post, and the reached and failed, of each invocation."""
        results = [worker.recv() for worker in self.busy]
        self.workers += self.busy
        self.busy.clear()
        return results


class Stage:
    """The function that pauses a session, and the processes that post slices."""

    def __init__(self, url: str, workers: list[Connection]) -> None:
        """Use the server at this URL."""
        self._dynamodb = DynamoDBModel()
        self._lambda = LambdaModel(workers)
        self._connections = TimedConnections(_management_api(url))
        self._stores = _stores(self._dynamodb)
        slices = Slices(Functions(self._lambda), "outcome", url)
        connections: Any = self._connections
        self._notices = Notices(
            self._stores, connections, _UNUSED, _UNUSED, time.time, time.sleep, slices
        )

    def pause(self, receivers: int) -> Run:
        """Pause the session, and wait until the last slice has been posted.

        The time limit is longer than that of a notice. A busy machine then takes longer, instead of
        leaving receivers out.
        """
        self._dynamodb.receivers, self._dynamodb.first_write_at = receivers, 0.0
        session_id, speaker_id = SESSION.session_id, SESSION.speaker_connection_id
        self._stores.sessions.set_status(session_id, speaker_id, SessionStatus.PAUSED)
        text = encode(session_paused(session_id), int(time.time() * 1000))
        receiver_ids = self._stores.listeners.list_ids(session_id)
        self._notices.fan_out(session_id, receiver_ids, text, FAN_OUT_SECONDS)
        own = self._connections
        results = [(own.ended_at, own.reached, own.failed), *self._lambda.wait()]
        ended_at, reached, failed = zip(*results, strict=True)
        return Run(
            self._dynamodb.first_write_at,
            own.began_at,
            max(ended_at),
            sum(reached),
            sum(failed),
            len(results),
        )


@contextmanager
def running_stage(latency_ms: int, *quota: int) -> Iterator[Stage]:
    """Start the server, and the processes of the functions."""
    with ExitStack() as stack:
        server = stack.enter_context(connections_server(latency_ms, *quota))
        count = MAX_RECEIVERS // SLICE_RECEIVERS
        yield Stage(server.url, [stack.enter_context(_worker(server.url)) for _ in range(count)])


@contextmanager
def _worker(url: str) -> Iterator[Connection]:
    """Start the process of a warm function, and stop it afterwards."""
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(its, url), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        ours.send(None)
        process.join()


def _serve(events: Connection, url: str) -> None:
    """Post the slice of each event, until None comes. Ctrl-C reaches this process, too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    connections: Any = TimedConnections(_management_api(url))
    stores = _stores(DynamoDBModel())
    notices = Notices(stores, connections, _UNUSED, _UNUSED, time.time, time.sleep)
    deliveries = SliceDeliveries(notices, Ending(stores, notices, _UNUSED, time.time))
    while event := events.recv():
        time.sleep(START_SECONDS)
        deliveries.deliver(Slice.from_event(event))
        events.send((connections.ended_at, connections.reached, connections.failed))


def _stores(model: DynamoDBModel) -> Stores:
    dynamodb = DynamoDB(model, Retries("store"))
    return build_stores(dynamodb, TableNames("sessions", "connections", "captions"), 600, time.time)


def _management_api(url: str) -> ManagementApi:
    credentials = Credentials(ACCESS_KEY, SECRET_KEY, TOKEN)
    client = SignedClient(
        url,
        "execute-api",
        "us-east-1",
        lambda: credentials,
        connect_timeout_seconds=TIMEOUT_SECONDS,
        read_timeout_seconds=TIMEOUT_SECONDS,
    )
    return ManagementApi(client)
