"""A model of the clients, API Gateway and the running functions around the service.

The tables and the open links are the actual state. The state that clients know from their messages
is stored separately, because the service's guarantees refer to it. Every identifier contains MARK,
which reveals identifiers in the log.
"""

import io
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count
from math import inf
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from chalicelib import publish_requests, telemetry
from chalicelib.assembly import UseCases, build_dispatcher, build_use_cases
from chalicelib.aws.circuit import CircuitBreaker
from chalicelib.aws.connections import FanOut, Gone, PostFailed
from chalicelib.aws.dynamodb import DynamoDB
from chalicelib.aws.retries import Retries
from chalicelib.dispatch import Dispatcher
from chalicelib.errors import ServiceError, ServiceUnavailable
from chalicelib.limits import Graces, Limits
from chalicelib.outcomes import Delivery
from chalicelib.pipeline import Pipeline
from chalicelib.rate_limits import RateLimits
from chalicelib.settings import RateLimitSettings
from chalicelib.status_requests import StatusRequest
from chalicelib.store.stores import Stores, build_stores
from chalicelib.sweep import Sweep, build_sweep
from tests.properties.captions import CaptionRecord, InlineBackground, Place
from tests.properties.faults import NO_FAULT, Fault, FaultyTransport, IndexHistory, Operation, Plan
from tests.unit.fakes import TABLES, Clock

MAX_LISTENERS = 3
MAX_REFUSED_COMMANDS = 4
GRACE_SECONDS = 60
GRACES = Graces(GRACE_SECONDS, closed_seconds=5)
HEARTBEAT_SECONDS = 100
SETTLED_SECONDS = 200
HEARTBEAT_TIMEOUT_SECONDS = 300
"""Time without a heartbeat after which a participant is lost. Settled listeners have longer."""

LONGEST_SILENCE_SECONDS = 3 * SETTLED_SECONDS
DURATION_SECONDS = 7200
CAPTIONS_KEPT_SECONDS = 600
START = 1_800_000_000.0

TIMEOUT_SECONDS = 29
"""Timeout of every function except the sweep. Source: terraform/variables.tf (timeout_seconds)."""

SWEEP_TIMEOUT_SECONDS = 120
OPENING_SECONDS = 5
EVENT_AGE_SECONDS = 60
"""How long Lambda keeps an outcome. Source: terraform/modules/app/main.tf."""

IDLE_SECONDS = 600
CONNECTION_SECONDS = 7200
"""Age at which API Gateway closes a connection. Source: "WebSocket API quotas"."""

CLOCK_PRECISION_SECONDS = 1e-6
"""More than the rounding error of a Unix time in seconds."""

WORLD_TABLES = ("sessions", "connections", "captions")
MARK = "marked"
CURSOR = "#sweep"
AFTER_LANGUAGES = "~"

STATUSES = {
    "sessionPaused": "paused",
    "sessionResumed": "active",
    "sessionInterrupted": "interrupted",
    "sessionEnded": "ended",
}
"""The session status that each notice implies."""

seen: Counter[str] = Counter()
"""The number of events by kind in all examples of a run, to check that a run covers them."""


class State(Enum):
    OPENING = auto()
    OPEN = auto()
    CLOSED = auto()


@dataclass
class Membership:
    """A client's membership in a session, as the client knows it."""

    session_id: str
    role: str
    language: str | None
    step: int


@dataclass(eq=False)
class Link:
    """A connection with its client."""

    connection_id: str
    user_id: str | None
    address: str
    opened_at: float
    state: State = State.OPENING
    active_at: float = 0.0
    membership: Membership | None = None
    inbox: list[dict[str, Any]] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    superseded: dict[str, int] = field(default_factory=dict)
    has_asked_to_end: bool = False
    last_status: str | None = None
    replaces: str | None = None
    """The connection that its last refresh named."""

    @property
    def is_open(self) -> bool:
        return self.state is State.OPEN

    def is_participant(self, role: str, session_id: str | None = None) -> bool:
        return (
            self.is_open
            and self.membership is not None
            and self.membership.role == role
            and session_id in (None, self.membership.session_id)
        )


@dataclass
class Outcome:
    link: Link
    delivery: Delivery
    sent_at: float
    times_again: int = 0
    """The number of repeated deliveries by Lambda."""


@dataclass
class Closing:
    """A $disconnect that hasn't been delivered yet."""

    link: Link
    code: int | None
    sent_at: float
    is_by_service: bool = False


class World:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.clock.now = START
        self.step = 0
        self.links: dict[str, Link] = {}
        self.session_ids: list[str] = []
        self.known_ids: dict[str, None] = {}
        """The sessions whose IDs clients know, in order."""
        self.ended_sessions: set[str] = set()
        """The sessions that weren't open at the end of a step."""
        self.invite_codes: dict[str, str] = {}
        self.operations: list[Operation] = []
        self.outcomes: list[Outcome] = []
        self.closings: list[Closing] = []
        self.violations: list[str] = []
        """Violations found during an event, where the service would catch an exception."""
        self.had_fault = False
        """Whether an event failed, waited or was late. Otherwise counts are always correct."""
        self._history = IndexHistory(self._indexed, clock)
        self._counters: dict[str, Counter[str]] = {}
        self.posts_by_event: Counter[str] = Counter()
        """The number of posts to its own connection, for each outcome's event."""
        self.lost: set[str] = set()
        """Participants that had been removed for missing heartbeats at the end of a step."""
        self.captions = CaptionRecord(clock, self.violations, seen)
        self._superseded_by: dict[str, str] = {}
        """The successors of superseded connections, whose items can have expired since."""
        self._current: Operation | None = None
        self._connection_numbers = count(1)
        self.event_numbers = count(1)
        self._log = io.StringIO()
        for table in WORLD_TABLES:
            self._table(table).items.clear()
        with redirect_stdout(self._log):
            telemetry.configure("INFO")

    # The application, created for each event, as in a new Lambda environment.

    def _stores(self) -> Stores:
        retries = Retries(
            "store",
            self.clock,
            self._sleep,
            lambda _, longest: longest,
            CircuitBreaker("store", self.clock),
        )
        transport = FaultyTransport(self.current, self.clock, self._history)
        return build_stores(DynamoDB(transport, retries), TABLES, CAPTIONS_KEPT_SECONDS, self.clock)

    def _rate_limits(self) -> RateLimits:
        settings = RateLimitSettings(
            table="rate_limits",
            hash_key=b"key",
            sessions_per_hour=30,
            refused_attempts_per_minute=6,
            listener_joins_per_minute=5,
            invited_joins_per_minute=8,
            connections_per_minute=3000,
        )
        return RateLimits(self._count, settings, self.clock)

    def _use_cases(self, stores: Stores) -> UseCases:
        return build_use_cases(
            stores,
            WorldConnections(self),
            self._rate_limits(),
            Limits(
                max_listeners=MAX_LISTENERS,
                heartbeat_interval_seconds=HEARTBEAT_SECONDS,
                heartbeat_settled_seconds=SETTLED_SECONDS,
                heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT_SECONDS,
                heartbeats_per_minute=2,
                session_max_duration_seconds=DURATION_SECONDS,
                refresh_after_seconds=6000,
                warn_after_seconds=6300,
                max_refused_commands=MAX_REFUSED_COMMANDS,
                captions_per_minute=60,
            ),
            GRACES,
            **self._notifies(),
            clock=self.clock,
            new_session_id=self._new_session_id,
            new_invite_code=lambda: f"{MARK}-code-{len(self.session_ids)}",
            sleep=self._sleep_or_crash,
        )

    def _notifies(self) -> dict[str, Any]:
        """Return the collaborators that invoke functions. There is no pipeline."""
        functions: Any = None
        return {
            "pipeline": Pipeline(functions, None, self.clock),
            "outcomes": WorldOutcomes(self),
            "endpoint_url": "https://api/stage",
        }

    def _dispatcher(self) -> Dispatcher:
        use_cases = self._use_cases(self._stores())
        outcomes: Any = WorldOutcomes(self)
        return build_dispatcher(
            use_cases, self._rate_limits(), outcomes, "https://api/stage", self.clock
        )

    def _sweep(self) -> Sweep:
        return build_sweep(
            self._stores(),
            WorldConnections(self),
            GRACES,
            MAX_LISTENERS,
            **self._notifies(),
            clock=self.clock,
            stopwatch=self.clock,
            sleep=self._sleep_or_crash,
            session_threads=1,
        )

    def _new_session_id(self) -> str:
        self.session_ids.append(f"golden-eagle-{100 + len(self.session_ids)}")
        return self.session_ids[-1]

    def _count(self, **request: Any) -> dict[str, Any]:
        """UpdateItem of the rate limits, which are tested elsewhere."""
        fault = self.current().next_fault()
        if fault in (Fault.LOST, Fault.THROTTLED):
            raise ServiceUnavailable("busy", retry_after_seconds=2)
        key = request["Key"]["identifier"]["S"]
        counter = self._counters.setdefault(key, Counter())
        values = request["ExpressionAttributeValues"]
        for placeholder, name in request["ExpressionAttributeNames"].items():
            counter[name] += int(values[f":{placeholder[1:]}"]["N"])
        attributes = {name: {"N": str(value)} for name, value in counter.items()}
        if fault is Fault.CRASH_AFTER:
            self.current().crash()
        if fault is Fault.UNANSWERED:
            raise ServiceUnavailable("busy", retry_after_seconds=2)
        return attributes

    def _sleep(self, seconds: float) -> None:
        self.clock.now += seconds

    def _sleep_or_crash(self, seconds: float) -> None:
        """Let an event wait, during which other events can run."""
        if self.current().next_fault() is Fault.CRASH_AFTER:
            self.current().crash()
        self._sleep(seconds)

    # Events.

    def current(self) -> Operation:
        assert self._current is not None
        return self._current

    def begin(
        self,
        name: str,
        work: Callable[[], Any],
        plan: Plan,
        ticks: bool = True,
        outcome: Outcome | None = None,
    ) -> Operation:
        """Start to handle an event. If it doesn't finish, it stays among the running operations."""
        operation = Operation(name, work, self.clock(), self.step, outcome)
        if ticks:
            self.clock.now += 0.001
        seen[f"event: {name}"] += 1
        self.resume(operation, plan)
        if operation.is_running:
            self.operations.append(operation)
        return operation

    def resume(self, operation: Operation, plan: Plan) -> None:
        self._current = operation
        self.had_fault |= plan.is_stale
        InlineBackground.is_first = plan.stores_first
        had_fault = operation.had_fault
        try:
            operation.resume(plan)
        finally:
            if not operation.is_running and operation in self.operations:
                self.operations.remove(operation)
        self.had_fault |= operation.had_fault
        if operation.had_fault and not had_fault:
            seen[f"fault: {plan.fault}"] += 1

    def kill_late(self) -> None:
        """Kill operations that exceed their timeouts, as Lambda does."""
        for operation in list(self.operations):
            limit = SWEEP_TIMEOUT_SECONDS if operation.name == "sweep" else TIMEOUT_SECONDS
            if self.clock() - operation.started_at >= limit:
                self.kill(operation)

    def kill(self, operation: Operation) -> None:
        seen["fault: timed out"] += 1
        self._current = operation  # A sweep continues with its next session, and crashes there.
        operation.kill()
        self.operations.remove(operation)

    def connect(
        self,
        user_id: str | None,
        address: str,
        query: dict[str, str],
        plan: Plan = NO_FAULT,
        opens: str = "at once",
    ) -> tuple[Link, Operation]:
        """Open a connection.

        Args:
            user_id: The signed-in user; None for an anonymous client.
            address: The client's IP address.
            query: The query string without the token.
            plan: The fault of the event.
            opens: "at once", "late" or "never".
        """
        number = next(self._connection_numbers)
        link = Link(f"{MARK}-connection-{number}=", user_id, address, self.clock())
        link.replaces = query.get("connectionId")
        self.links[link.connection_id] = link
        event = self._event(link)
        if query:
            query = {**query, "token": f"{MARK}-token"}
            event["multiValueQueryStringParameters"] = {name: [it] for name, it in query.items()}

        def work() -> Any:
            is_over = query.get("sessionId") in self.ended_sessions
            answer = self._dispatcher().connect(event)
            assert not (is_over and answer["statusCode"] == 200), "statement 4: came in late"
            if answer["statusCode"] != 200 or opens == "never":
                link.state = State.CLOSED
            elif opens == "at once":
                self.open(link)
            return answer

        operation = self.begin("connect", work, plan)
        if operation.is_dead:
            link.state = State.CLOSED
        return link, operation

    def open(self, link: Link) -> None:
        link.state, link.active_at = State.OPEN, self.clock()

    def send(
        self, link: Link, fields: dict[str, Any], plan: Plan = NO_FAULT, ticks: bool = True
    ) -> Operation:
        """Send a frame. The client receives the answer if the connection is still open."""
        event = {**self._event(link), "body": json.dumps(fields)}
        link.active_at = self.clock()
        if fields["action"] == "endSession":
            link.has_asked_to_end = True
        link.replaces = fields.get("connectionId", link.replaces)
        feed = self.captions.feeds.get(link.connection_id)

        def work() -> Any:
            step, is_over = self.step, fields.get("sessionId") in self.ended_sessions
            answer = self._dispatcher().message(event)
            message = json.loads(answer["body"])
            came_in = message["type"] in ("sessionJoined", "connectionRefreshComplete")
            assert not (is_over and came_in), "statement 4: came in late"
            self.captions.note_answer(fields, message)
            if link.is_open:
                self.receive(link, message, step)
            if link.is_open and message["type"] == "captions":
                self.captions.receive_missing(link, message, feed)
            return message

        return self.begin(f"message {fields['action']}", work, plan, ticks)

    def publish(self, request: dict[str, Any], plan: Plan = NO_FAULT) -> Operation:
        """Publish captions, as a pipeline does."""

        def work() -> Any:
            publishing = self._use_cases(self._stores()).publishing
            answer = publish_requests.answer(publishing, request)
            self.captions.note_published(request, answer)
            return answer

        return self.begin("publish", work, plan)

    def close(self, link: Link, code: int | None, disconnects: int) -> None:
        """Close an open connection from either side, and queue `disconnects` events."""
        link.state, link.membership = State.CLOSED, None
        if code in (1000, 1005):
            link.has_asked_to_end = True
        self.closings += [Closing(link, code, self.clock())] * disconnects
        seen[f"disconnects: {disconnects}"] += 1

    def disconnect(self, closing: Closing, plan: Plan = NO_FAULT) -> Operation:
        event = self._event(closing.link)
        event["requestContext"]["disconnectStatusCode"] = closing.code
        return self.begin("disconnect", lambda: self._dispatcher().disconnect(event), plan)

    def deliver(self, outcome: Outcome, plan: Plan = NO_FAULT) -> Operation:
        def work() -> None:
            if self.clock() - outcome.sent_at > EVENT_AGE_SECONDS:
                return
            try:
                self._use_cases(self._stores()).deliveries.deliver(outcome.delivery)
            except ServiceError:
                seen["an outcome's function failed"] += 1

        return self.begin("outcome", work, plan, outcome=outcome)

    def sweep(self, plan: Plan = NO_FAULT) -> Operation:
        def work() -> None:
            try:
                report = self._sweep().run()
            except ServiceError:
                seen["a sweep failed"] += 1
                return
            assert self.had_fault or not report.repaired, "a count was off, and nothing had failed"
            for field_name in ("ended", "removed", "repaired", "failed"):
                seen[f"swept: {field_name}"] += getattr(report, field_name)

        return self.begin("sweep", work, plan)

    def _event(self, link: Link) -> dict[str, Any]:
        context: dict[str, Any] = {
            "connectionId": link.connection_id,
            "connectedAt": int(link.opened_at * 1000),
            "requestId": "request=",
            "identity": {"sourceIp": link.address},
        }
        if link.user_id:
            context["authorizer"] = {"principalId": link.user_id, "userId": link.user_id}
        return {"requestContext": context}

    def pass_time(self, seconds: float, disconnects: int = 0) -> None:
        """Advance the clock, and close connections as API Gateway does."""
        self.clock.now += seconds
        for link in self.links.values():
            if link.state is State.OPENING and self.clock() - link.opened_at > OPENING_SECONDS:
                link.state = State.CLOSED
            too_old = self.clock() - link.opened_at >= CONNECTION_SECONDS
            idle = self.clock() - link.active_at >= IDLE_SECONDS
            if link.is_open and (too_old or idle):
                seen["closed by API Gateway"] += 1
                self.close(link, 1001, disconnects)
        self.kill_late()

    def pass_time_open(self, seconds: float) -> None:
        """Advance the clock without any connection being closed."""
        self.clock.now += seconds
        for link in self.links.values():
            link.active_at = self.clock()
        self.kill_late()

    def expire_items(self) -> None:
        """Delete expired items, as DynamoDB does."""
        captions = self._table("captions").items.values()
        for items in (self._table("sessions").items, self._table("connections").items, *captions):
            for key, item in list(items.items()):
                if "ttl" in item.attrs and float(item.attrs["ttl"].value) <= self.clock():
                    del items[key]

    # Messages to clients.

    def receive(self, link: Link, message: dict[str, Any], asked_at: int) -> None:
        """Update a client's state from a message.

        Args:
            link: The client.
            message: The message.
            asked_at: The step of the command, or of the event that caused the message.
        """
        link.inbox.append(message)
        seen[f"received: {message['type']}"] += 1
        session_id = message.get("sessionId", "")
        if session_id:
            self.known_ids[session_id] = None
        status = message.get("status", STATUSES.get(message["type"]))
        link.last_status = status or link.last_status
        match message["type"]:
            case "sessionCreated":
                self._set_membership(link, session_id, "speaker", None, asked_at)
                self.invite_codes[session_id] = message["inviteCode"]
            case "sessionJoined":
                language = message["targetLanguage"]
                self._set_membership(link, session_id, "listener", language, asked_at)
            case "connectionRefreshComplete":
                language = message.get("targetLanguage")
                self._supersede(link, session_id, message["role"])
                self._set_membership(link, session_id, message["role"], language, asked_at)
            case "languageChanged" if link.membership:
                link.membership.language = message["targetLanguage"]
            case "sessionEnded":
                link.ended[session_id] += 1
                if link.ended[session_id] > 1:
                    self.violations.append("statement 4: two sessionEnded")
                self.ended_sessions.add(session_id)
                if link.membership and link.membership.session_id == session_id:
                    link.membership = None
            case "heartbeatAck":
                self._update_from_heartbeat(link, message, asked_at)
            case "error":
                seen[f"refused: {message['code']}"] += 1
        self.captions.receive(link, message)

    def _set_membership(
        self, link: Link, session_id: str, role: str, language: str | None, asked_at: int
    ) -> None:
        if session_id in link.superseded and role == "listener" and self._is_in(link, session_id):
            # The item of its superseded participant has expired, and it has joined again.
            del link.superseded[session_id]
        if session_id in link.ended or session_id in link.superseded:
            seen["notified of a membership after its end"] += 1
            return
        link.membership = Membership(session_id, role, language, asked_at)

    def _is_in(self, link: Link, session_id: str) -> bool:
        return link.connection_id in self.listeners_of(session_id)

    def _supersede(self, link: Link, session_id: str, role: str) -> None:
        """Mark the connections that a refresh supersedes, directly or through others."""
        connections = self.connections()
        if role == "speaker":
            session = self.sessions().get(session_id)
            if session is None or session["speakerConnectionId"] != link.connection_id:
                return
            if session_id in link.superseded:
                self.violations.append("a superseded speaker took the session back")
        for old in self.links.values():
            if old is link or not old.membership or old.membership.session_id != session_id:
                continue
            if old.membership.role != role:
                continue
            is_replaced = role == "speaker" or link.connection_id in self._successors(
                old.connection_id, connections
            )
            if is_replaced:
                seen[f"superseded: {role}"] += 1
                old.superseded[session_id] = self.step
                old.membership = None

    def _successors(self, connection_id: str, connections: dict[str, Any]) -> Iterator[str]:
        following = connections.get(connection_id, {}).get("supersededBy")
        for _ in range(20):
            if following is None:
                return
            yield following
            following = connections.get(following, {}).get("supersededBy")

    def _update_from_heartbeat(self, link: Link, ack: dict[str, Any], asked_at: int) -> None:
        """Correct a client's state from the answer to a heartbeat."""
        if link.membership is not None and asked_at < link.membership.step:
            return
        session_id = ack.get("sessionId")
        if session_id is None:
            if link.membership is not None:
                seen["a heartbeat revealed a lost membership"] += 1
            link.membership = None
        elif link.membership is None and asked_at == self.step:
            role = "speaker" if "listenerCount" in ack else "listener"
            seen["a heartbeat revealed a membership"] += 1
            self._set_membership(link, session_id, role, None, asked_at)

    def is_superseded(self, link: Link, connections: dict[str, Any]) -> bool:
        """Return whether the tables have a successor of a connection."""
        record = connections.get(link.connection_id)
        if record is None:
            return link.connection_id in self._superseded_by
        return "supersededBy" in record

    def record_absences(self) -> None:
        """Remember superseded and lost connections, because their items expire."""
        connections = self.connections()
        self.captions.note_places(self.step, _places(connections))
        self.captions.note_numbers(self.sessions())
        for key, item in connections.items():
            if "supersededBy" in item:
                self._superseded_by[key] = item["supersededBy"]
            if was_lost(item):
                self.lost.add(key)
            elif is_present(item):
                self.lost.discard(key)

    # The actual state.

    def sessions(self) -> dict[str, dict[str, Any]]:
        return {key: item for key, item in self._items("sessions").items() if key != CURSOR}

    def connections(self) -> dict[str, dict[str, Any]]:
        """Return the items of participants. Other connections can have items, too."""
        items = self._items("connections").items()
        return {key: item for key, item in items if "sessionId" in item}

    def is_session_open(self, session: dict[str, Any] | None) -> bool:
        now = self.clock()
        return (
            session is not None
            and session["status"] != "ended"
            and float(session["expiresAt"]) > now
            and float(session.get("graceEndsAt", "inf")) > now * 1000
        )

    def listeners_of(self, session_id: str) -> list[str]:
        return [
            key
            for key, item in self.connections().items()
            if item["sessionId"] == session_id and item["role"] == "listener" and is_present(item)
        ]

    def _indexed(self) -> list[dict[str, str]]:
        names = ("connectionId", "sessionId", "targetLanguage")
        items = self.connections().values()
        return [{name: it[name] for name in names} for it in items if "targetLanguage" in it]

    def stored_captions(self) -> dict[tuple[str, str], dict[int, float]]:
        """Return when each caption was stored, in ms, by session and language."""
        return {
            tuple(key.value.split("#")): {
                int(seq.value): float(item.attrs["storedAt"].value) for seq, item in items.items()
            }
            for key, items in self._table("captions").items.items()
        }

    def logged(self) -> str:
        return self._log.getvalue()

    def _table(self, name: str) -> Any:
        return dynamodb_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].tables[name]

    def _items(self, table: str) -> dict[str, dict[str, Any]]:
        """Read a table directly from moto, with plain values and numbers as strings."""
        return {
            key.value: {
                name: value.value if value.type in "SN" else value.to_json()
                for name, value in item.attrs.items()
            }
            for key, item in self._table(table).items.items()
        }

    def stop(self) -> None:
        for operation in list(self.operations):
            self.kill(operation)


def is_present(record: dict[str, Any]) -> bool:
    is_arriving = record.get("targetLanguage", "").startswith(AFTER_LANGUAGES)
    return not (is_arriving or "leftAt" in record or "supersededBy" in record)


def _places(connections: dict[str, dict[str, Any]]) -> dict[str, Place]:
    return {
        key: (item["sessionId"], item["targetLanguage"])
        for key, item in connections.items()
        if item["role"] == "listener" and is_present(item)
    }


def was_lost(record: dict[str, Any]) -> bool:
    """Return whether a participant was removed because of missing heartbeats."""
    active_at, taken_at = float(record.get("t0", record["takenAt"])), float(record["takenAt"])
    since = float(record.get("listeningSince", taken_at))
    is_settled = record["role"] == "listener" and active_at - since >= 300_000
    lost_at = float(record.get("settledLostAt" if is_settled else "lostAt", "inf"))
    return float(record.get("leftAt", "-inf")) >= lost_at


class WorldOutcomes:
    """A fake of the outcomes, which keeps deliveries until the test makes them.

    It drops requests for notices of the status, which are tested elsewhere.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def send(self, delivery: Delivery | StatusRequest) -> None:
        if isinstance(delivery, StatusRequest):
            return
        world = self._world
        fault = world.current().next_fault()
        if fault in (Fault.LOST, Fault.THROTTLED):
            return
        kept = Delivery.from_event(json.loads(json.dumps(delivery.to_event())))
        link = world.links[delivery.connection_id]
        world.outcomes.append(Outcome(link, kept, world.clock()))
        if fault is Fault.CRASH_AFTER:
            world.current().crash()


class WorldConnections:
    """A fake of the connections API. With a fault, an answer can differ from a post's success."""

    def __init__(self, world: World) -> None:
        self._world = world

    def post(self, connection_id: str, text: str) -> None:
        self._post(connection_id, text)

    def _post(self, connection_id: str, text: str, ends_at: float = inf) -> None:
        """Post a text, unless the time of the posts ends while the operation waits."""
        world = self._world
        operation = world.current()
        fault = operation.next_fault()
        if world.clock() > ends_at - CLOCK_PRECISION_SECONDS:
            seen["a post came too late"] += 1
            raise PostFailed(0)
        if fault in (Fault.LOST, Fault.THROTTLED):
            raise PostFailed(429)
        link = world.links[connection_id]
        if not link.is_open:
            if fault is Fault.CRASH_AFTER:
                operation.crash()
            raise Gone
        message = json.loads(text)
        if message["type"] in STATUSES:
            self._check_notice(link, message["sessionId"], operation)
        if message["type"] == "caption":
            self._check_notice(link, message["sessionId"], operation)
            world.captions.check_receiver(link, message, operation)
        link.active_at = world.clock()
        world.receive(link, message, operation.step)
        outcome = operation.outcome
        if outcome is not None and outcome.link is link:
            world.posts_by_event[outcome.delivery.event_id] += 1
            if world.posts_by_event[outcome.delivery.event_id] > len(outcome.delivery.messages):
                world.violations.append("an event was posted twice")
        if fault is Fault.CRASH_AFTER:
            operation.crash()
        if fault is Fault.UNANSWERED:
            raise PostFailed(-1)

    def _check_notice(self, link: Link, session_id: str, operation: Operation) -> None:
        """Check that a superseded connection gets only notices that were already being sent."""
        superseded_at = link.superseded.get(session_id)
        is_late = superseded_at is not None and superseded_at < operation.step
        if is_late and not operation.was_stale:
            self._world.violations.append("a superseded connection got a notice")

    def fan_out(
        self, connection_ids: Collection[str], text: str, limit_seconds: float = 10
    ) -> FanOut:
        ends_at = self._world.clock() + limit_seconds
        reached, gone, failed, unreached = 0, set(), 0, set()
        for connection_id in sorted(connection_ids):
            try:
                self._post(connection_id, text, ends_at)
                reached += 1
            except Gone:
                gone.add(connection_id)
            except PostFailed as failure:
                failed += 1
                if not failure.may_have_arrived:
                    unreached.add(connection_id)
        return FanOut(reached, frozenset(gone), failed, frozenset(unreached))

    def close(self, connection_ids: Collection[str]) -> None:
        """Close all connections, or none if there is a fault. $disconnect gets the code 1000."""
        world = self._world
        if world.current().next_fault() in (Fault.LOST, Fault.THROTTLED):
            return
        for link in (world.links[each] for each in connection_ids):
            if link.is_open:
                seen["closed by the service"] += 1
                link.state, link.membership = State.CLOSED, None
                world.closings.append(Closing(link, 1000, world.clock(), is_by_service=True))
