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
    """`usd` for so many (`per`), and the page of AWS's that says so."""

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

PRICES: Final[Mapping[str, Price]] = {
    # Up to a billion messages a month; a message of more than 32 KB is two or more.
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
    # A month, for each metric that an alarm looks at.
    "alarm metric": Price(0.10, 1, _CLOUDWATCH),
    "dashboard": Price(3.00, 1, _CLOUDWATCH),
    "GB out": Price(0.09, 1, "aws.amazon.com/ec2/pricing/on-demand"),
    # A month, in Cognito's Essentials, which a new pool has.
    "active speaker": Price(0.015, 1, "aws.amazon.com/cognito/pricing"),
    "alarm e-mail": Price(20.00, MILLION, "aws.amazon.com/sns/pricing"),
}


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests to DynamoDB, and the units that are charged for them.

    Source: "DynamoDB read and write operations" and "Using Global Secondary Indexes in DynamoDB",
    Amazon DynamoDB Developer Guide. A write of up to 1 KB is a unit, also where its condition
    fails; each item of a transaction is two; an entry of the index is a unit more when it comes,
    and when it goes. A consistent read of up to 4 KB is a unit; one of the index, or of an item of
    a batch, is a half.
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
    # Sessions of the user; session and participant in a transaction.
    "createSession by URL": Requests(2, writes=5),
    # The arriving participant and its entry in the index; the seat; the completed participant and
    # its entry, which replaces the other; session.
    "joinSession with inviteCode by URL": Requests(4, writes=6, reads=1),
    "outcome of joinSession by URL": Requests(2, writes=1, reads=1),
    "outcome of createSession by URL": Requests(2, writes=1, reads=1),
    "outcome of refreshConnection by URL": Requests(2, writes=1, reads=1),
    # Refused attempts of the user, participant, session, the old participant.
    "speaker's refresh by URL": Requests(4, writes=4),
    # Connections of the address; the old participant; two items in a transaction, two in the
    # index; session.
    "listener's refresh by URL": Requests(4, writes=8, reads=1),
    "listener's heartbeat": Requests(1, writes=1),
    "speaker's heartbeat": Requests(2, writes=2),
    "close of a bare connection": Requests(1, writes=1),
    "close of a superseded connection": Requests(1, writes=1),
    "sweep of nothing": Requests(2, reads=2),
}
"""By the names in test_costs.py."""

REMINDER: Final = Requests(2, writes=1, reads=1)
INDEX_ENTRY_BYTES: Final = 80
"""A connection id, a session id, a language, and the attributes' names."""

DELETED: Final = 3
"""Units for a listener's record that a transaction deletes: two, and one in the index."""


def query(entries: int) -> Requests:
    """Read entries of the index; one that finds nothing costs as much as one of 4 KB."""
    return Requests(1, reads=0.5 * max(1, math.ceil(entries * INDEX_ENTRY_BYTES / 4096)))


def notice(listeners: int) -> Requests:
    """Pause or resume a session, and list its listeners."""
    return Requests(2, writes=1, reads=1) + query(listeners)


def end(listeners: int) -> Requests:
    """End a session that so many listen to, however many connections they had before."""
    transactions = math.ceil(listeners / TRANSACTION_ITEMS)
    deletions = Requests(transactions, writes=DELETED * listeners)
    return Requests(3, writes=2, reads=1) + query(listeners) + query(0) + deletions


def look(listeners: int) -> Requests:
    """What a sweep asks about one session that goes on: speaker and listeners."""
    records = Requests(math.ceil(listeners / BATCH_ITEMS), reads=listeners / 2)
    return Requests(1, reads=1) + query(listeners) + records


EVENT_BYTES: Final = 300
METRIC_BYTES: Final = 255
FAN_OUT_BYTES: Final = 1015
"""Of a fan-out's own line and metrics."""

SWEEP_BYTES: Final = 860
"""Of a sweep's own lines and metrics."""

PLATFORM_BYTES: Final = 267
"""Of Lambda's START, END and REPORT.

Source: "Working with Lambda function logs", AWS Lambda Developer Guide.
"""

LINE_BYTES: Final = 26
"""With each line. Source: PutLogEvents, Amazon CloudWatch Logs API Reference. That it is charged,
too, is assumed.
"""

RUN_BYTES: Final = EVENT_BYTES + PLATFORM_BYTES + 4 * LINE_BYTES
MEASURED_BYTES: Final = METRIC_BYTES + LINE_BYTES

MESSAGE_BYTES: Final = 200
"""Of a message to a client, with its frame: assumed, most have some 150."""

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
    "SessionsEnded",  # by reason, too
)
IDLE_METRICS: Final = ("ActiveSessions", "TotalListeners", "SweepRepairs")
"""Those that a sweep writes, each minute."""

ALARM_METRICS: Final[Mapping[str, int]] = {"none": 0, "essential": 9, "all": 30}
"""Of terraform/modules/alarms, by its levels: one for each alarm, two for fan-out-failures.

The alarms of the tables look at metrics that DynamoDB writes only after a failure, so they are not
counted: a stage whose tables fail or are throttled pays for up to eight metrics of each.
"""

SWEEP_MEMORY_MB: Final = 512

LOOK_MS: Final = 0.5
"""What each listener adds to a sweep's look at its session: assumed, a batch has 100 of them."""

HANDLER_MS: Final = 20
"""Assumed: two to four requests to DynamoDB, and a seventh of a processor (256 MB)."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A session in which all clients come at the start, refresh in time, and stay to the end.

    Clients create, join and refresh by URL, and join with the invite code. `handler_ms` is how
    long a function runs for one event; `listener_ms` what each listener adds to a fan-out;
    `cold_starts` are of all functions together.
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
        """Of each listener."""
        settling = min(self.hours * 3600, SETTLING_SECONDS)
        settled = self.hours * 3600 - settling
        return int(settling / self.heartbeat_seconds + settled / self.settled_seconds)

    @property
    def heartbeats(self) -> int:
        """Of all clients together."""
        return self.speaker_heartbeats + self.listeners * self.listener_heartbeats

    @property
    def refreshes(self) -> int:
        """Of each client."""
        return math.ceil(self.minutes / self.refresh_minutes) - 1

    @property
    def connections(self) -> int:
        return self.clients * (1 + self.refreshes)


@dataclass(frozen=True, slots=True)
class Line:
    what: str
    amount: float
    price: str

    @property
    def usd(self) -> float:
        price = PRICES[self.price]
        return self.amount * price.usd / price.per


def count_messages(it: Scenario) -> dict[str, int]:
    """Count messages both ways, by what they are. Handshakes and closes are none: assumed."""
    return {
        "outcomes": it.connections,
        "heartbeats and their answers": 2 * it.heartbeats,
        "reminders to refresh": it.clients * it.refreshes,
        "pauses and resumptions": it.notices * (it.listeners + 2),
        "the end": it.listeners + 2,
    }


def count_to_clients(it: Scenario) -> int:
    """Count the messages to clients: all but heartbeats and the speaker's other commands."""
    from_clients = it.heartbeats + it.notices + 1
    return sum(count_messages(it).values()) - from_clients


def count_runs(it: Scenario) -> dict[str, int]:
    """Count what functions run for, by function; the sweep runs anyway."""
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
        look(it.listeners) * it.minutes,
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
    sweep_milliseconds = it.minutes * it.listeners * LOOK_MS
    return (milliseconds * it.memory_mb + sweep_milliseconds * SWEEP_MEMORY_MB) / 1024 / 1000


def count_log_bytes(it: Scenario) -> int:
    """Count what the functions write at LOG_LEVEL INFO, of clients who do nothing wrong."""
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
    """Say what a stage with these alarms costs in a month in which it is not used."""
    sweeps = DAYS_A_MONTH * 24 * 60
    gb_seconds = sweeps * handler_ms * SWEEP_MEMORY_MB / 1024 / 1000
    log_bytes = sweeps * (RUN_BYTES + SWEEP_BYTES + 3 * LINE_BYTES)
    return [
        Line("CloudWatch: metrics that each sweep writes", len(IDLE_METRICS), "metric"),
        Line("CloudWatch: metrics that alarms look at", ALARM_METRICS[alarms], "alarm metric"),
        Line("CloudWatch: dashboard", int(alarms != "none"), "dashboard"),
        Line("sweep: runs", sweeps, "run"),
        Line("sweep: GB-seconds", gb_seconds, "GB-second"),
        Line("sweep: read units", sweeps * OPERATIONS["sweep of nothing"].reads, "read unit"),
        Line("sweep: GB of logs", log_bytes / GB, "GB of logs"),
        Line("Cognito: a speaker who signs in", 1, "active speaker"),
        Line("SNS: alarm e-mails, assumed", 100, "alarm e-mail"),
    ]


def total_usd(lines: Iterable[Line]) -> float:
    return sum(line.usd for line in lines)


def as_table(lines: Sequence[Line]) -> str:
    """Write the lines as the docs show them."""
    rows = ["| what | how many | price in $ | $ |", "| --- | ---: | ---: | ---: |"]
    for line in lines:
        amount = f"{line.amount:,.0f}" if line.amount >= 1000 else f"{line.amount:,.4g}"
        rows.append(f"| {line.what} | {amount} | {PRICES[line.price]} | {line.usd:.4f} |")
    return "\n".join([*rows, f"| total | | | {total_usd(lines):.2f} |"])
