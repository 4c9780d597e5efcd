"""The service, wired as in production, on its own tables."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from chalicelib.assembly import build_use_cases
from chalicelib.aws import wire
from chalicelib.aws.dynamodb import DynamoDB
from chalicelib.aws.http import SignedClient
from chalicelib.aws.retries import Retries
from chalicelib.commands import (
    ChangeLanguage,
    CreateSession,
    EndSession,
    GetCaptions,
    JoinSession,
    PauseSession,
    RefreshListener,
    RefreshSpeaker,
    SendCaption,
)
from chalicelib.limits import Graces, Limits
from chalicelib.models import Caller, Caption, QualityTier
from chalicelib.outcomes import Outcomes
from chalicelib.pipeline import Pipeline
from chalicelib.publishing import Published
from chalicelib.rate_limits import RateLimits
from chalicelib.settings import RateLimitSettings
from chalicelib.store.items import LANGUAGE_COUNT
from chalicelib.store.stores import build_stores
from chalicelib.store.sweep_cursor import SWEEP_CURSOR
from chalicelib.sweep import build_sweep
from chalicelib.table_names import TableNames
from local_gateway import aws
from tests import emulator
from tests.races.fakes import Answer, Clock, Connections, Functions, latency

ADDRESS: Final = "203.0.113.7"
"""The address of all clients. Source: RFC 5737, addresses for documentation."""

INVITE_CODE: Final = "code-of-the-hall"
ENDPOINT_URL: Final = "https://api/stage"
GRACE_SECONDS: Final = 60
GRACES: Final = Graces(GRACE_SECONDS, closed_seconds=5)
LOST_AFTER_SECONDS: Final = 90
"""Time without a heartbeat after which a participant is lost, in its first 5 minutes."""

SESSION_SECONDS: Final = 7200
CONCURRENCY: Final = 64

SAMPLE_SECONDS: Final = 0.005
"""Interval at which counts are read. Continuous reads would slow the emulator down."""

SCHEMA: Final = json.loads(Path("chalicelib/tables.json").read_text())

RATE_LIMITS: Final = {
    "sessions_per_hour": 50,
    "refused_attempts_per_minute": 20,
    "listener_joins_per_minute": 40,
    "invited_joins_per_minute": 1000,
    "connections_per_minute": 3000,
}


_Key = TypeVar("_Key", bound=Hashable)
_Item = TypeVar("_Item")


class SlowTransport:
    """A client whose requests are slow."""

    def __init__(self, client: SignedClient) -> None:
        self._client = client

    def request(self, *arguments: Any, **named: Any) -> wire.Answer:
        latency()
        return self._client.request(*arguments, **named)


@dataclass(frozen=True)
class Clients:
    """The application's client, with slow requests, and a boto3 client that observes the tables."""

    signed: SignedClient
    observer: Any

    @classmethod
    def of(cls, endpoint_url: str) -> "Clients":
        observer = aws.client("dynamodb", endpoint_url)
        return cls(emulator.signed_client(endpoint_url), observer)

    def dynamodb(self, dependency: str) -> DynamoDB:
        return DynamoDB(SlowTransport(self.signed), Retries(dependency))

    def close(self) -> None:
        self.signed.close()
        self.observer.close()


class Attendance(NamedTuple):
    """A session's stored listener count, and its current listeners' connection IDs."""

    listener_count: int
    present: set[str]


class Service:
    """The service with simulated clients, which open a connection before they send a command."""

    def __init__(self, clients: Clients, prefix: str, max_listeners: int) -> None:
        self._observer = clients.observer
        self._tables = {name: f"{prefix}-{name}" for name in SCHEMA}
        for name, table_name in self._tables.items():
            self._observer.create_table(**aws.table_request(table_name, SCHEMA[name]))
        self.max_listeners = max_listeners
        self.clock = Clock()
        self.connections = Connections()
        self.functions = Functions()
        functions: Any = self.functions
        self.pipeline = Pipeline(functions, "interpreter", self.clock)
        self.outcomes = Outcomes(functions, "outcome")
        self.stores = build_stores(
            clients.dynamodb("store"),
            TableNames(*(self._tables[each] for each in ("sessions", "connections", "captions"))),
            600,
            self.clock,
        )
        self.rate_limits = RateLimits(
            clients.dynamodb("rateLimits").update_item,
            RateLimitSettings(table=self._tables["rate_limits"], hash_key=b"key", **RATE_LIMITS),
            self.clock,
        )
        numbers = count(100)
        self.use_cases = build_use_cases(
            self.stores,
            self.connections,
            self.rate_limits,
            Limits(
                max_listeners=max_listeners,
                heartbeat_interval_seconds=30,
                heartbeat_settled_seconds=90,
                heartbeat_timeout_seconds=LOST_AFTER_SECONDS,
                heartbeats_per_minute=2,
                session_max_duration_seconds=SESSION_SECONDS,
                refresh_after_seconds=6000,
                warn_after_seconds=6300,
                max_refused_commands=20,
                captions_per_minute=60,
            ),
            GRACES,
            pipeline=self.pipeline,
            outcomes=self.outcomes,
            endpoint_url=ENDPOINT_URL,
            clock=self.clock,
            new_session_id=lambda: f"golden-eagle-{next(numbers)}",
            new_invite_code=lambda: INVITE_CODE,
            sleep=self.clock.sleep,
        )

    def caller(self, connection_id: str, user_id: str | None = None) -> Caller:
        return Caller(connection_id, user_id, int(self.clock() * 1000), ADDRESS)

    def create(self, speaker: str = "speaker") -> str:
        """Create a session. The speaker's user ID equals the first connection ID."""
        self.connections.open(speaker)
        command = CreateSession("en", QualityTier.STANDARD)
        return str(
            self.use_cases.sessions.create(self.caller(speaker, speaker), command).message[
                "sessionId"
            ]
        )

    def create_with_listeners(self, listeners: Collection[str], speaker: str = "speaker") -> str:
        return self.create_all({speaker: listeners})[speaker]

    def create_all(self, audiences: Mapping[str, Collection[str]]) -> dict[str, str]:
        """Create a session for each speaker, and let its listeners join."""
        session_ids = self.run_all({each: partial(self.create, each) for each in audiences})
        self._join_all(
            (session_ids[speaker], each) for speaker, some in audiences.items() for each in some
        )
        return session_ids

    def join_all(self, session_id: str, listeners: Collection[str]) -> None:
        self._join_all((session_id, each) for each in listeners)

    def _join_all(self, joins: Iterable[tuple[str, str]]) -> None:
        for some in batches(joins):
            answers = self.run_all({each: partial(self.join, *each) for each in some})
            assert answered(answers, "sessionJoined") == set(some)

    def join(self, session_id: str, connection_id: str, language: str = "es") -> Answer:
        self.connections.open(connection_id)
        command = JoinSession(session_id, language, INVITE_CODE)
        return self.use_cases.joining.join(self.caller(connection_id), command).message

    def join_by_url(self, session_id: str, connection_id: str) -> Answer:
        """Join by the connect URL. The connection opens after $connect has returned."""
        command = JoinSession(session_id, "es", INVITE_CODE)
        answer = self.use_cases.joining.join(self.caller(connection_id), command).message
        latency()
        self.connections.open(connection_id)
        return answer

    def change_language(self, connection_id: str, language: str) -> Answer:
        command = ChangeLanguage(language, None)
        return self.use_cases.joining.change_language(self.caller(connection_id), command).message

    def refresh(self, session_id: str, old: str, new: str, language: str = "es") -> Answer:
        self.connections.open(new)
        command = RefreshListener(session_id, language, old, None)
        return self.use_cases.refresh.refresh_listener(self.caller(new), command).message

    def refresh_speaker(self, session_id: str, new: str, user_id: str = "speaker") -> Answer:
        self.connections.open(new)
        return self.use_cases.refresh.refresh_speaker(
            self.caller(new, user_id), RefreshSpeaker(session_id)
        ).message

    def close(self, connection_id: str, code: int = 1001) -> None:
        """Close a connection, and deliver its $disconnect."""
        self.connections.close([connection_id])
        self.use_cases.lifecycle.leave(connection_id, code)

    def publish(self, session_id: str, language: str, *caption_ids: str) -> Published:
        """Publish captions, as the pipeline's function does."""
        captions = [Caption(each, f"words of {each}", 0) for each in caption_ids]
        return self.use_cases.publishing.publish(session_id, language, captions)

    def send_caption(self, caption_id: str, speaker: str = "speaker") -> Answer:
        command = SendCaption(f"words of {caption_id}", caption_id, None)
        return self.use_cases.captions.send(self.caller(speaker, speaker), command).message

    def get_captions(self, connection_id: str, after_seq: int) -> dict[str, Any]:
        command = GetCaptions(after_seq, None)
        return {**self.use_cases.captions.get(self.caller(connection_id), command).message}

    def pause(self, speaker: str = "speaker") -> Answer:
        command = PauseSession(None)
        return self.use_cases.sessions.pause(self.caller(speaker, speaker), command).message

    def end(self, speaker: str = "speaker") -> Answer:
        return self.use_cases.sessions.end(self.caller(speaker, speaker), EndSession(None)).message

    def heartbeat(self, connection_id: str, user_id: str | None = None) -> Answer:
        return self.use_cases.presence.heartbeat(self.caller(connection_id, user_id)).message

    def send_heartbeats(self, except_for: Collection[str] = ()) -> None:
        """Send a heartbeat from each participant whose connection is open."""
        alive = self.connections.open_ids() - set(except_for)
        ids = [it["connectionId"]["S"] for it in self.present() if it["connectionId"]["S"] in alive]
        for some in batches(ids):
            self.run_all({each: partial(self.heartbeat, each) for each in some})

    def sweep(self) -> None:
        """Run a sweep, as the function does."""
        sweep = build_sweep(
            self.stores,
            self.connections,
            GRACES,
            self.max_listeners,
            pipeline=self.pipeline,
            outcomes=self.outcomes,
            endpoint_url=ENDPOINT_URL,
            clock=self.clock,
            stopwatch=self.clock,
            sleep=self.clock.sleep,
        )
        report = sweep.run()
        assert report.failed == 0

    def sweep_twice(self) -> None:
        """Let two sweeps, a minute apart, repair state that no event has cleaned up."""
        for _ in range(2):
            self.clock.advance(60)
            self.send_heartbeats()
            self.sweep()

    def run_all(self, tasks: Mapping[_Key, Callable[[], Any]]) -> dict[_Key, Any]:
        """Start all tasks at the same time, wait for the last one, and return their answers."""
        return dict(zip(tasks, self.clock.run_all(list(tasks.values())), strict=True))

    def attendance(self, session_id: str) -> Attendance:
        present = {
            item["connectionId"]["S"]
            for item in self.present()
            if item["sessionId"]["S"] == session_id and item["role"]["S"] == "listener"
        }
        return Attendance(int(self.session(session_id)["listenerCount"]["N"]), present)

    def languages(self, session_id: str) -> tuple[dict[str, int], dict[str, int]]:
        """Return the stored counts per language, and the actual numbers of listeners."""
        counts = {
            name.removeprefix(LANGUAGE_COUNT): int(value["N"])
            for name, value in self.session(session_id).items()
            if name.startswith(LANGUAGE_COUNT)
        }
        present = self.attendance(session_id).present
        participants = Counter(
            item["targetLanguage"]["S"]
            for item in self.present()
            if item["connectionId"]["S"] in present
        )
        return {name: number for name, number in counts.items() if number}, participants

    def present(self) -> list[dict[str, Any]]:
        """Return the items of participants, without those that have left or are superseded."""
        return [
            item
            for item in self.items("connections")
            if "sessionId" in item and "leftAt" not in item and "supersededBy" not in item
        ]

    def session(self, session_id: str) -> dict[str, Any]:
        """Return a session's item, whether the session is open or not."""
        item: dict[str, Any] = self._observer.get_item(
            TableName=self._tables["sessions"],
            Key={"sessionId": {"S": session_id}},
            ConsistentRead=True,
        ).get("Item", {})
        return item

    def connection(self, connection_id: str) -> dict[str, Any]:
        item: dict[str, Any] = self._observer.get_item(
            TableName=self._tables["connections"],
            Key={"connectionId": {"S": connection_id}},
            ConsistentRead=True,
        ).get("Item", {})
        return item

    def items(self, table: str) -> list[dict[str, Any]]:
        pages = self._observer.get_paginator("scan").paginate(
            TableName=self._tables[table], ConsistentRead=True
        )
        return [
            item
            for page in pages
            for item in page["Items"]
            if item.get("sessionId", {}).get("S") != SWEEP_CURSOR
        ]

    def add_to_count(self, session_id: str, seats: int) -> None:
        """Make a count wrong, as after a crash or a lost answer."""
        self._observer.update_item(
            TableName=self._tables["sessions"],
            Key={"sessionId": {"S": session_id}},
            UpdateExpression="ADD listenerCount :seats, changes :one",
            ExpressionAttributeValues={":seats": {"N": str(seats)}, ":one": {"N": "1"}},
        )

    @contextmanager
    def watching_counts(
        self, *session_ids: str, at_least: int = 0, at_most: int | None = None
    ) -> Iterator[None]:
        """Read the counts continuously, and check that all values were within the bounds."""
        seen: set[int] = set()
        is_over = threading.Event()

        def look() -> None:
            while True:
                for session_id in session_ids:
                    if item := self.session(session_id):
                        seen.add(int(item["listenerCount"]["N"]))
                if is_over.wait(SAMPLE_SECONDS):
                    return

        observer = threading.Thread(target=look)
        observer.start()
        try:
            yield
        finally:
            is_over.set()
            observer.join()
        bounds = range(at_least, (self.max_listeners if at_most is None else at_most) + 1)
        assert seen
        assert not {each for each in seen if each not in bounds}, f"seen: {sorted(seen)}"


def batches(items: Iterable[_Item], size: int = CONCURRENCY) -> Iterator[list[_Item]]:
    """Split items into batches that can run concurrently."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def type_of(answer: Answer) -> str:
    """Return an answer's type, or the code of an error."""
    return str(answer["type"]) if isinstance(answer, dict) else answer.code


def answered(answers: Mapping[_Key, Answer | None], type_: str) -> set[_Key]:
    """Return the keys whose answer has this type. Events other than commands have no answer."""
    return {key for key, answer in answers.items() if answer and type_of(answer) == type_}
