"""The cost of a session and of an idle stage: amounts multiplied by published prices.

test_session_cost.py checks the amounts against the application. Free tiers are not deducted.
Figures that AWS doesn't document and that were not measured on AWS are marked as assumed; the docs
list them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from chalicelib.dispatch import FOLLOW_UP_DELAY_MS
from chalicelib.models import SETTLING_SECONDS
from chalicelib.store.listeners import BATCH_ITEMS, TRANSACTION_ITEMS

READ_ON: Final = "2026-11-21"
MILLION: Final = 1_000_000
GB: Final = 1_000_000_000
HOURS_A_MONTH: Final = 720
DAYS_A_MONTH: Final = 30


@dataclass(frozen=True, slots=True)
class Price:
    """A price in US dollars for a number of units, with AWS's page as its source."""

    usd: float
    per: int
    source: str

    def __str__(self) -> str:
        dollars = (
            f"{self.usd:.2f}" if self.usd == round(self.usd, 2) else f"{self.usd:.10f}".rstrip("0")
        )
        return dollars if self.per == 1 else f"{dollars} a million"


_GATEWAY: Final = "aws.amazon.com/api-gateway/pricing"
_LAMBDA: Final = "aws.amazon.com/lambda/pricing"
_DYNAMODB: Final = "aws.amazon.com/dynamodb/pricing/on-demand"
_CLOUDWATCH: Final = "aws.amazon.com/cloudwatch/pricing"
_CLOUDFRONT: Final = "aws.amazon.com/cloudfront/pricing"

PRICES: Final[Mapping[str, Price]] = {
    # Up to a billion messages a month. A message over 32 KB counts as two or more.
    "message": Price(1.00, MILLION, _GATEWAY),
    "connection minute": Price(0.25, MILLION, _GATEWAY),
    "run": Price(0.20, MILLION, _LAMBDA),
    # x86, up to 6 billion a month.
    "GB-second": Price(0.0000166667, 1, _LAMBDA),
    # Standard table class, since the price cut of November 2024.
    "write unit": Price(0.625, MILLION, _DYNAMODB),
    "read unit": Price(0.125, MILLION, _DYNAMODB),
    # Up to 10 TB a month of a function's logs.
    "GB of logs": Price(0.50, 1, _CLOUDWATCH),
    # A month, charged by the hour in which the metric is written.
    "metric": Price(0.30, 1, _CLOUDWATCH),
    # A month, for each metric that an alarm reads.
    "alarm metric": Price(0.10, 1, _CLOUDWATCH),
    "dashboard": Price(3.00, 1, _CLOUDWATCH),
    "GB out": Price(0.09, 1, "aws.amazon.com/ec2/pricing/on-demand"),
    # A month, in the tier Essentials of Cognito, the default of a new pool.
    "active speaker": Price(0.015, 1, "aws.amazon.com/cognito/pricing"),
    "alarm email": Price(20.00, MILLION, "aws.amazon.com/sns/pricing"),
    "character translated": Price(15.00, MILLION, "aws.amazon.com/translate/pricing"),
    # A neural voice.
    "character spoken": Price(16.00, MILLION, "aws.amazon.com/polly/pricing"),
    "object stored": Price(5.00, MILLION, "aws.amazon.com/s3/pricing"),
    # By HTTPS, in North America and Europe, up to 10 TB a month.
    "CloudFront request": Price(1.00, MILLION, _CLOUDFRONT),
    "CloudFront GB out": Price(0.085, 1, _CLOUDFRONT),
}


@dataclass(frozen=True, slots=True)
class Requests:
    """A number of requests to DynamoDB, with the units that AWS charges for them.

    Source: "DynamoDB read and write operations" and "Using Global Secondary Indexes in DynamoDB",
    Amazon DynamoDB Developer Guide. A write of up to 1 KB is one unit, even if its
    condition fails. Each item of a transaction is two units. An entry of the index adds one unit
    when it appears and one when it disappears. A consistent read of up to 4 KB is one unit. A read
    of the index, or of an item in a batch, is half a unit.
    """

    count: int
    writes: float = 0
    reads: float = 0

    def __add__(self, other: "Requests") -> "Requests":
        return Requests(
            self.count + other.count, self.writes + other.writes, self.reads + other.reads
        )

    def __mul__(self, times: int) -> "Requests":
        return Requests(self.count * times, self.writes * times, self.reads * times)


OPERATIONS: Final[Mapping[str, Requests]] = {
    # The user's sessions, and a transaction of session and participant.
    "createSession by URL": Requests(2, writes=5),
    # The arriving participant and its index entry, the seat, the completed participant and its
    # index entry, which replaces the first one, and the session.
    "joinSession with inviteCode by URL": Requests(4, writes=6, reads=1),
    "outcome of joinSession by URL": Requests(2, writes=1, reads=1),
    "outcome of createSession by URL": Requests(2, writes=1, reads=1),
    "outcome of refreshConnection by URL": Requests(2, writes=1, reads=1),
    # The user's refused attempts, the participant, the session and the old participant.
    "speaker's refresh by URL": Requests(4, writes=4),
    # The address's connections, the old participant, a transaction of two items with two index
    # entries, and the session.
    "listener's refresh by URL": Requests(4, writes=8, reads=1),
    "listener's heartbeat": Requests(1, writes=1),
    "speaker's heartbeat": Requests(2, writes=2),
    "close of a bare connection": Requests(1, writes=1),
    "close of a superseded connection": Requests(1, writes=1),
    "sweep without sessions": Requests(2, reads=2),
}
"""The requests of operations, by their names in test_costs.py."""

REMINDER: Final = Requests(2, writes=1, reads=1)
INDEX_ENTRY_BYTES: Final = 80
"""The size of a connection ID, a session ID and a language with the attributes' names."""

REMOVED: Final = 3
"""Units for removing a listener in a transaction: two for the item and one for the index."""


def query(entries: int) -> Requests:
    """Read entries of the index. An empty result costs as much as 4 KB."""
    return Requests(1, reads=0.5 * max(1, math.ceil(entries * INDEX_ENTRY_BYTES / 4096)))


def notice(listeners: int) -> Requests:
    """Pause or resume a session, and list its listeners."""
    return Requests(2, writes=1, reads=1) + query(listeners)


def end(listeners: int) -> Requests:
    """End a session. Superseded connections of its listeners add no cost."""
    transactions = math.ceil(listeners / TRANSACTION_ITEMS)
    deletions = Requests(transactions, writes=REMOVED * listeners)
    return Requests(3, writes=2, reads=1) + query(listeners) + query(0) + deletions


def visit(listeners: int) -> Requests:
    """Read the speaker and listeners of one open session in a sweep."""
    reads = Requests(math.ceil(listeners / BATCH_ITEMS), reads=listeners / 2)
    return Requests(1, reads=1) + query(listeners) + reads


EVENT_BYTES: Final = 300
METRIC_BYTES: Final = 255
FAN_OUT_BYTES: Final = 1015
"""The line and the metrics of a fan-out."""

SWEEP_BYTES: Final = 860
"""The lines and the metrics of a sweep."""

PLATFORM_BYTES: Final = 267
"""Lambda's lines START, END and REPORT.

Source: "Working with Lambda function logs", AWS Lambda Developer Guide.
"""

LINE_BYTES: Final = 26
"""The overhead of each line. Source: PutLogEvents, Amazon CloudWatch Logs API Reference.

Assumed: AWS charges for it.
"""

RUN_BYTES: Final = EVENT_BYTES + PLATFORM_BYTES + 4 * LINE_BYTES
MEASURED_BYTES: Final = METRIC_BYTES + LINE_BYTES

MESSAGE_BYTES: Final = 200
"""The size of a message to a client with its frame. Assumed: most have about 150 bytes."""

SESSION_METRICS: Final = (
    "SessionCreationLatency",
    "ListenerJoinLatency",
    "HeartbeatLatency",
    "DisconnectLatency",
    "FanoutRecipients",
    "FanoutGone",
    "FanoutFailed",
    "FanoutDuration",
    "RefreshesCompleted",
    "SessionsEnded",
    "SessionsEnded",  # The same metric by reason.
)
IDLE_METRICS: Final = ("ActiveSessions", "TotalListeners", "SweepRepairs")
"""The metrics that a sweep writes each minute."""

ALARM_METRICS: Final[Mapping[str, int]] = {"none": 0, "essential": 11, "all": 41}
"""The metrics that the alarms of terraform/modules/alarms read, by level.

Each alarm reads one metric, and fan-out-failures reads two.

The alarms of tables read metrics that DynamoDB writes only after a failure, so they are not
counted. A stage with failing or throttled tables pays for up to eight metrics of each table.
"""

SWEEP_MEMORY_MB: Final = 512

VISIT_MS: Final = 0.5
"""The time that each listener adds to a sweep. Assumed: a batch has 100 listeners."""

HANDLER_MS: Final = 20
"""The time of an event. Assumed: two to four requests, and a seventh of a CPU (256 MB)."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A session in which all clients connect at the start, refresh in time, and stay to the end.

    Clients create, join and refresh by URL, and join with the invite code.

    Attributes:
        handler_ms: The time that a function runs for one event.
        listener_ms: The time that each listener adds to a fan-out.
        cold_starts: The cold starts of all functions together.
    """

    listeners: int = 500
    hours: float = 2
    heartbeat_seconds: int = 30
    settled_seconds: int = 90
    notices: int = 10
    refresh_minutes: int = 100
    memory_mb: int = 256
    handler_ms: float = HANDLER_MS
    listener_ms: float = 2
    cold_starts: int = 300
    cold_start_ms: float = 500

    @property
    def clients(self) -> int:
        return self.listeners + 1

    @property
    def minutes(self) -> int:
        return math.ceil(self.hours * 60)

    @property
    def speaker_heartbeats(self) -> int:
        return int(self.hours * 3600 / self.heartbeat_seconds)

    @property
    def listener_heartbeats(self) -> int:
        """The heartbeats of each listener."""
        settling = min(self.hours * 3600, SETTLING_SECONDS)
        settled = self.hours * 3600 - settling
        return int(settling / self.heartbeat_seconds + settled / self.settled_seconds)

    @property
    def heartbeats(self) -> int:
        """The heartbeats of all clients together."""
        return self.speaker_heartbeats + self.listeners * self.listener_heartbeats

    @property
    def refreshes(self) -> int:
        """The refreshes of each client."""
        return math.ceil(self.minutes / self.refresh_minutes) - 1

    @property
    def connections(self) -> int:
        return self.clients * (1 + self.refreshes)


@dataclass(frozen=True, slots=True)
class Line:
    item: str
    amount: float
    price: str

    @property
    def usd(self) -> float:
        price = PRICES[self.price]
        return self.amount * price.usd / price.per


def count_messages(it: Scenario) -> dict[str, int]:
    """Count messages in both directions by kind. Assumed: connects and closes are no messages."""
    return {
        "outcomes": it.connections,
        "heartbeats and their answers": 2 * it.heartbeats,
        "reminders to refresh": it.clients * it.refreshes,
        "pauses and resumptions": it.notices * (it.listeners + 2),
        "the end": it.listeners + 2,
    }


def count_to_clients(it: Scenario) -> int:
    """Count the messages to clients: all except heartbeats and the speaker's commands."""
    from_clients = it.heartbeats + it.notices + 1
    return sum(count_messages(it).values()) - from_clients


def count_runs(it: Scenario) -> dict[str, int]:
    """Count the runs of each function. The sweep is left out: it runs without sessions, too."""
    return {
        "authorizer": it.connections,
        "connect": it.connections,
        "message": it.heartbeats + it.notices + 1,
        "disconnect": it.connections,
        "outcome": it.connections + it.clients * it.refreshes,
    }


def count_requests(it: Scenario) -> Requests:
    old_connections = it.clients * it.refreshes
    counted = [
        OPERATIONS["createSession by URL"],
        OPERATIONS["joinSession with inviteCode by URL"] * it.listeners,
        OPERATIONS["outcome of joinSession by URL"] * it.listeners,
        OPERATIONS["outcome of createSession by URL"],
        OPERATIONS["outcome of refreshConnection by URL"] * old_connections,
        REMINDER * old_connections,
        OPERATIONS["speaker's refresh by URL"] * it.refreshes,
        OPERATIONS["listener's refresh by URL"] * (it.listeners * it.refreshes),
        OPERATIONS["listener's heartbeat"] * (it.listeners * it.listener_heartbeats),
        OPERATIONS["speaker's heartbeat"] * it.speaker_heartbeats,
        notice(it.listeners) * it.notices,
        end(it.listeners),
        OPERATIONS["close of a superseded connection"] * old_connections,
        OPERATIONS["close of a bare connection"] * it.clients,
        visit(it.listeners) * it.minutes,
    ]
    return sum(counted, Requests(0))


def count_gb_seconds(it: Scenario) -> float:
    runs = count_runs(it)
    fan_outs = it.notices + 1
    milliseconds = (
        sum(runs.values()) * it.handler_ms
        + runs["outcome"] * FOLLOW_UP_DELAY_MS
        + fan_outs * it.listeners * it.listener_ms
        + it.cold_starts * it.cold_start_ms
    )
    sweep_milliseconds = it.minutes * it.listeners * VISIT_MS
    return (milliseconds * it.memory_mb + sweep_milliseconds * SWEEP_MEMORY_MB) / 1024 / 1000


def count_log_bytes(it: Scenario) -> int:
    """Count the bytes of log lines at LOG_LEVEL INFO, without refused commands."""
    runs = count_runs(it)
    measured = runs["disconnect"] + it.heartbeats + it.connections
    fan_outs = (it.notices + 1) * (FAN_OUT_BYTES + 2 * LINE_BYTES)
    return sum(runs.values()) * RUN_BYTES + measured * MEASURED_BYTES + fan_outs


def of_session(it: Scenario) -> list[Line]:
    requests = count_requests(it)
    metric_months = len(SESSION_METRICS) * (math.ceil(it.hours) + 1) / HOURS_A_MONTH
    return [
        Line("API Gateway: messages", sum(count_messages(it).values()), "message"),
        Line("API Gateway: connection minutes", it.clients * it.minutes, "connection minute"),
        Line("Lambda: runs", sum(count_runs(it).values()), "run"),
        Line("Lambda: GB-seconds", count_gb_seconds(it), "GB-second"),
        Line("DynamoDB: write units", requests.writes, "write unit"),
        Line("DynamoDB: read units", requests.reads, "read unit"),
        Line("CloudWatch: GB of logs", count_log_bytes(it) / GB, "GB of logs"),
        Line("CloudWatch: metrics, in months", metric_months, "metric"),
        Line("data out, in GB", count_to_clients(it) * MESSAGE_BYTES / GB, "GB out"),
    ]


def of_month(handler_ms: float = HANDLER_MS, alarms: str = "all") -> list[Line]:
    """Return the cost of an idle stage with these alarms for a month."""
    sweeps = DAYS_A_MONTH * 24 * 60
    gb_seconds = sweeps * handler_ms * SWEEP_MEMORY_MB / 1024 / 1000
    log_bytes = sweeps * (RUN_BYTES + SWEEP_BYTES + 3 * LINE_BYTES)
    return [
        Line("CloudWatch: metrics that each sweep writes", len(IDLE_METRICS), "metric"),
        Line("CloudWatch: metrics that alarms read", ALARM_METRICS[alarms], "alarm metric"),
        Line("CloudWatch: dashboard", int(alarms != "none"), "dashboard"),
        Line("sweep: runs", sweeps, "run"),
        Line("sweep: GB-seconds", gb_seconds, "GB-second"),
        Line("sweep: read units", sweeps * OPERATIONS["sweep without sessions"].reads, "read unit"),
        Line("sweep: GB of logs", log_bytes / GB, "GB of logs"),
        Line("Cognito: a speaker who signs in", 1, "active speaker"),
        Line("SNS: alarm emails, assumed", 100, "alarm email"),
    ]


def total_usd(lines: Iterable[Line]) -> float:
    return sum(line.usd for line in lines)


def as_table(lines: Sequence[Line]) -> str:
    """Return the lines as the table in the docs."""
    rows = ["| item | amount | price in $ | $ |", "| --- | ---: | ---: | ---: |"]
    for line in lines:
        amount = f"{line.amount:,.0f}" if line.amount >= 1000 else f"{line.amount:,.4g}"
        rows.append(f"| {line.item} | {amount} | {PRICES[line.price]} | {line.usd:.4f} |")
    return "\n".join([*rows, f"| total | | | {total_usd(lines):.2f} |"])
