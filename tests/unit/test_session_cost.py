"""The computed cost of a session, compared with counted requests and written log lines."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from chalicelib import metrics, telemetry
from chalicelib.dispatch import FOLLOW_UP_DELAY_MS
from chalicelib.models import Participant, QualityTier, Role, Session
from chalicelib.outcomes import Delivery
from chalicelib.store.items import encode_participant, encode_session
from tests.moto_dynamodb import MotoDynamoDB
from tests.unit import session_cost, test_costs
from tests.unit.session_cost import OPERATIONS, Requests, Scenario

stage = test_costs.stage

DOCS = "\n".join(path.read_text() for path in sorted(Path("docs/reference").glob("*.md")))

SMALL = Scenario(
    listeners=2,
    hours=1,
    heartbeat_seconds=600,
    settled_seconds=600,
    notices=1,
    memory_mb=1024,
    handler_ms=100,
    listener_ms=10,
    cold_starts=2,
    cold_start_ms=1000,
)


class Units:
    """Counts the requests to DynamoDB and their units, including those of the index."""

    def __init__(self, dynamodb: Any) -> None:
        self.count, self.writes, self.reads = 0, 0.0, 0.0
        self._transport = dynamodb.transport
        self._before: dict[str, tuple[str, str]] = {}

    @property
    def counted(self) -> Requests:
        return Requests(self.count, self.writes, self.reads)

    def begin(self) -> None:
        self._before = self._entries()
        self._transport.on_request.append(self._begin)
        self._transport.on_answer.append(self._end)

    def _begin(self, operation: str, request: dict[str, Any]) -> None:
        self.count += 1
        match operation:
            case "GetItem":
                assert request["ConsistentRead"]
                self.reads += 1
            case "Scan":
                self.reads += 1
            case "BatchGetItem":
                assert not request["RequestItems"]["connections"].get("ConsistentRead")
                self.reads += len(request["RequestItems"]["connections"]["Keys"]) / 2
            case "PutItem" | "UpdateItem" | "DeleteItem":
                self.writes += 1
            case "TransactWriteItems":
                self.writes += 2 * len(request["TransactItems"])

    def _end(self, operation: str, answer: dict[str, Any]) -> None:
        if operation == "Query":
            read_bytes = session_cost.INDEX_ENTRY_BYTES * answer["Count"]
            self.reads += 0.5 * max(1, math.ceil(read_bytes / 4096))
        before, self._before = self._before.items(), self._entries()
        after = self._before.items()
        self.writes += len(before - after) + len(after - before)

    def _entries(self) -> dict[str, tuple[str, str]]:
        items = MotoDynamoDB().scan(TableName="connections")["Items"]
        return {
            item["connectionId"]["S"]: (item["sessionId"]["S"], item["targetLanguage"]["S"])
            for item in items
            if "targetLanguage" in item
        }


@pytest.fixture
def units(stage: test_costs.Stage, dynamodb: Any) -> Units:
    return Units(dynamodb)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_units_of_an_operation_equal_those_of_its_requests(
    stage: test_costs.Stage, units: Units, operation: str
) -> None:
    prepare, do = test_costs.OPERATIONS[operation]
    prepare(stage)
    units.begin()
    do(stage)
    assert units.counted == OPERATIONS[operation]


@pytest.mark.parametrize("listeners", [1, 150])
def test_the_cost_of_an_end_grows_with_the_present_listeners(
    stage: test_costs.Stage, units: Units, listeners: int
) -> None:
    stage.fill_and_wait(listeners - 1)
    units.begin()
    stage.end()
    assert units.counted == session_cost.end(listeners)


def test_the_cost_of_an_end_does_not_grow_with_superseded_connections(
    stage: test_costs.Stage, units: Units
) -> None:
    stage.frame("new=", **stage.as_listener, connectionId="b=")
    stage.frame("new-speaker=", "user-1", **stage.as_speaker)
    units.begin()
    stage.frame("new-speaker=", "user-1", action="endSession")
    assert units.counted == session_cost.end(1)


@pytest.mark.parametrize("operation", ["pauseSession", "resumeSession"])
def test_the_cost_of_a_notice_equals_that_of_a_pause_or_resumption(
    stage: test_costs.Stage, units: Units, operation: str
) -> None:
    prepare, do = test_costs.OPERATIONS[operation]
    stage.fill_and_wait(99)
    prepare(stage)
    units.begin()
    do(stage)
    assert units.counted == session_cost.notice(100)


def test_the_cost_of_a_visit_equals_that_of_a_sweep_of_an_open_session(
    stage: test_costs.Stage, units: Units
) -> None:
    stage.fill_and_wait(99)
    units.begin()
    stage.run_sweep()
    idle = OPERATIONS["sweep without sessions"]
    assert units.counted == idle + session_cost.visit(100)


def test_a_reminder_costs_a_claim_and_a_read_of_its_participant(
    stage: test_costs.Stage, units: Units
) -> None:
    units.begin()
    stage.use_cases.deliveries.deliver(
        Delivery("b=", test_costs.ENDPOINT_URL, [{}], FOLLOW_UP_DELAY_MS)
    )
    assert units.counted == session_cost.REMINDER


def test_stored_items_fit_into_the_units_that_are_charged() -> None:
    session = Session(
        session_id="comfortable-hippopotamus-999",
        speaker_user_id="a" * 36,
        speaker_connection_id="L0SM9cOFvHcCIhw=",
        source_language="en",
        quality_tier=QualityTier.STANDARD,
        invite_code="a" * 16,
        created_at_ms=1_800_000_000_000,
        expires_at_seconds=1_800_007_200,
    )
    connection = Participant(
        connection_id="L0SM9cOFvHcCIhw=",
        session_id="golden-eagle-427",
        role=Role.LISTENER,
        joined_at_ms=1_800_000_000_000,
        target_language="fr-CA",
        correlation="L0SM9cOFvHcCIhw=",
        listening_since_ms=1_800_000_000_000,
        lost_at_ms=1_800_000_000_000,
        settled_lost_at_ms=1_800_000_000_000,
    )
    item = encode_participant(connection)
    keys = {name: item[name] for name in ("connectionId", "sessionId", "targetLanguage")}
    assert _size(encode_session(session)) < 512
    heartbeats = {f"t{number}": {"N": "1800000000000"} for number in range(5)}
    more = {"supersededBy": {"S": "a" * 16}, "leftAt": {"N": "1800000000000"}}
    assert _size({**item, **heartbeats, **more}) < 1024
    assert 0.85 * session_cost.INDEX_ENTRY_BYTES < _size(keys) <= session_cost.INDEX_ENTRY_BYTES


def _size(item: dict[str, Any]) -> int:
    """Return the size of an item in bytes.

    Source: "DynamoDB item sizes and formats", Amazon DynamoDB Developer Guide.
    """
    values = (text for value in item.values() for text in value.values())
    return sum(map(len, item)) + sum(
        sum(map(len, text)) if isinstance(text, list) else len(text) for text in values
    )


def test_log_lines_have_the_documented_length(
    stage: test_costs.Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("INFO", "prod", b"key")
    with telemetry.handled("outcome", connection_id="none=", is_clients=False):
        pass  # The first event of a process also logs a cold start.
    capsys.readouterr()

    stage.frame("b=", action="heartbeat")
    event, metric = capsys.readouterr().out.splitlines()
    stage.send_as_speaker("pauseSession")
    fan_out_metrics, fan_out, _ = capsys.readouterr().out.splitlines()
    stage.run_sweep()
    *sweep, _ = capsys.readouterr().out.splitlines()

    # The tests' events lack API Gateway's request ID, a field of 33 characters.
    request_id = len(', "requestId": "I2TFKKOwRdhSZ0s="')
    assert len(event) + request_id == pytest.approx(session_cost.EVENT_BYTES, rel=0.1)
    assert len(metric) == pytest.approx(session_cost.METRIC_BYTES, rel=0.1)
    measured = len(fan_out) + request_id + len(fan_out_metrics)
    assert measured == pytest.approx(session_cost.FAN_OUT_BYTES, rel=0.1)
    # Lambda's request IDs are 20 characters longer.
    measured = sum(map(len, sweep)) + request_id + 20
    assert (measured, len(sweep)) == (pytest.approx(session_cost.SWEEP_BYTES, rel=0.1), 3)


def test_a_sweep_without_sessions_writes_the_metrics_of_an_idle_stage(
    stage: test_costs.Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("WARNING", "prod", b"key")
    stage.stores.sessions.delete(stage.session_id)
    capsys.readouterr()
    stage.run_sweep()
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = {name for line in written for name in line if name in metrics.METRICS}
    assert names == set(session_cost.IDLE_METRICS)


@pytest.mark.parametrize(
    ("alarms", "marks"), [("none", []), ("essential", ["yes"]), ("all", ["yes", ""])]
)
def test_an_alarm_is_charged_for_each_metric_that_it_reads(alarms: str, marks: list[str]) -> None:
    rows = re.findall(r"^\| `([a-z_-]+)` \| (yes)? ?\| `(?:AWS|Broadcast)", DOCS, re.MULTILINE)
    names = [name for name, mark in rows if mark in marks and not name.startswith("table-")]
    metrics_read = {"fan-out-failures": 2}
    assert sum(metrics_read.get(it, 1) for it in names) == session_cost.ALARM_METRICS[alarms]


def test_a_stage_without_alarms_pays_for_no_dashboard() -> None:
    lines = {line.item: line.amount for line in session_cost.of_month(alarms="none")}
    assert lines["CloudWatch: dashboard"] == lines["CloudWatch: metrics that alarms read"] == 0


def test_the_metrics_of_a_session_exist_and_are_counted_by_their_dimensions() -> None:
    once = [name for name in session_cost.SESSION_METRICS if metrics.METRICS[name].by is None]
    split = set(session_cost.SESSION_METRICS) - set(once)
    assert len(once) == len(set(once))
    assert len(session_cost.SESSION_METRICS) == len(once) + 2 * len(split)


def test_a_small_session_costs_the_amounts_computed_by_hand() -> None:
    # Two listeners and a speaker for an hour, six heartbeats each, one pause, no refresh.
    lines = {line.item: line for line in session_cost.of_session(SMALL)}

    def amount(item: str) -> float:
        return lines[item].amount

    # 3 outcomes, 18 heartbeats with answers, and for the pause and the end each a command, an
    # answer and two posts.
    assert amount("API Gateway: messages") == 3 + 36 + 4 + 4
    assert amount("API Gateway: connection minutes") == 3 * 60
    # Authorizer, connect, disconnect and outcome run 3 times each. 18 heartbeats, a pause, an end.
    assert amount("Lambda: runs") == 12 + 20
    # With 1 GB: 32 runs of 100 ms, 3 waits of 50 ms, 2 fan-outs of 20 ms and 2 starts of 1 s. With
    # half a GB: 60 visits of the sweep of 1 ms.
    seconds = 3.2 + 0.15 + 0.04 + 2 + 0.06 / 2
    assert amount("Lambda: GB-seconds") == pytest.approx(seconds)
    # 5 for the creation, 6 for each join, 3 for outcomes, 1 for each of 12 heartbeats of listeners,
    # 2 for each of 6 of the speaker, 1 for the pause, 2 for the end with 3 for each listener, and
    # 3 for closes.
    assert amount("DynamoDB: write units") == 5 + 12 + 3 + 12 + 12 + 1 + 2 + 6 + 3
    # 2 for joins, 3 for outcomes, 1.5 for the pause, 2 for the end, and 2.5 for each visit.
    assert amount("DynamoDB: read units") == 2 + 3 + 1.5 + 2 + 60 * 2.5
    log_bytes = 32 * (300 + 267 + 4 * 26) + 24 * (255 + 26) + 2 * (1015 + 2 * 26)
    assert amount("CloudWatch: GB of logs") == pytest.approx(log_bytes / 1e9)
    assert amount("CloudWatch: metrics, in months") == pytest.approx(11 * 2 / 720)
    # 3 outcomes, 18 answers to heartbeats, and 3 messages each for the pause and the end.
    assert amount("data out, in GB") == pytest.approx((3 + 18 + 3 + 3) * 200 / 1e9)

    assert lines["API Gateway: messages"].usd == pytest.approx(47e-6)
    assert lines["DynamoDB: write units"].usd == pytest.approx(56 * 0.625e-6)
    assert lines["CloudWatch: metrics, in months"].usd == pytest.approx(0.3 * 22 / 720)


def test_a_listener_sends_fewer_heartbeats_after_its_first_minutes() -> None:
    it = Scenario(listeners=3)
    assert (it.speaker_heartbeats, it.listener_heartbeats) == (240, 10 + 76)
    assert it.heartbeats == 240 + 3 * 86
    assert Scenario(hours=1 / 30).listener_heartbeats == 4


def test_500_listeners_for_two_hours_cost_no_more_than_20_cents() -> None:
    assert session_cost.total_usd(session_cost.of_session(Scenario())) <= 0.20


def test_clients_refresh_in_a_session_that_is_longer_than_a_connection() -> None:
    refreshes = [Scenario(hours=minutes / 60).refreshes for minutes in (30, 100, 101, 120, 201)]
    assert refreshes == [0, 0, 1, 1, 2]


def test_the_docs_show_the_cost_of_a_session_and_of_an_idle_stage() -> None:
    assert session_cost.as_table(session_cost.of_session(Scenario())) in DOCS
    assert session_cost.as_table(session_cost.of_month()) in DOCS


@pytest.mark.parametrize("alarms", ["essential", "none"])
def test_the_docs_show_the_cost_of_fewer_alarms(alarms: str) -> None:
    total = session_cost.total_usd(session_cost.of_month(alarms=alarms))
    assert f'`alarms = "{alarms}"` it costs ${total:.2f}' in " ".join(DOCS.split())


@pytest.mark.parametrize(
    ("difference", "scenario"),
    [
        ("100 listeners", Scenario(listeners=100)),
        ("heartbeats every 30 s, also of settled listeners", Scenario(settled_seconds=30)),
        (
            "heartbeats every 60 s, of settled listeners every 180 s",
            Scenario(heartbeat_seconds=60, settled_seconds=180),
        ),
        ("1 hour", Scenario(hours=1)),
        ("100 ms for each event in a function", Scenario(handler_ms=100)),
        ("512 MB of memory for each function", Scenario(memory_mb=512)),
        ("1,000 pauses and resumptions", Scenario(notices=1000)),
    ],
)
def test_the_docs_show_the_cost_of_another_session(difference: str, scenario: Scenario) -> None:
    total = session_cost.total_usd(session_cost.of_session(scenario))
    assert f"| {difference} | {total:.2f} |" in DOCS


def test_the_docs_name_the_page_of_each_price() -> None:
    missing = {price.source for price in session_cost.PRICES.values() if price.source not in DOCS}
    assert not missing
    assert session_cost.READ_ON in DOCS
