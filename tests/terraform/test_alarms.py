"""Alarms, dashboard, saved queries and runbook, joined: each names only what the others have.

All of it is read from what a stage's own file plans; the application is asked what it measures.
"""

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import botocore.session
import pytest
from botocore import xform_name

from chalicelib import errors, metrics
from chalicelib.models import EndReason
from tests.terraform.configuration import ROOT
from tests.terraform.conftest import Plan

RUNBOOK: Final = "docs/how-to/respond-to-alarms.md"
REFERENCE: Final = "docs/reference/metrics-and-alarms.md"

AWS_DIMENSIONS: Final = {
    "AWS/ApiGateway ClientError": {"ApiId", "Stage"},
    "AWS/ApiGateway ConnectCount": {"ApiId", "Stage"},
    "AWS/ApiGateway ExecutionError": {"ApiId", "Stage"},
    "AWS/ApiGateway IntegrationError": {"ApiId", "Stage"},
    "AWS/ApiGateway MessageCount": {"ApiId", "Stage"},
    "AWS/DynamoDB ConsumedReadCapacityUnits": {"TableName"},
    "AWS/DynamoDB ConsumedWriteCapacityUnits": {"TableName"},
    "AWS/DynamoDB ReadThrottleEvents": {"TableName"},
    "AWS/DynamoDB SuccessfulRequestLatency": {"TableName", "Operation"},
    "AWS/DynamoDB SystemErrors": {"TableName", "Operation"},
    "AWS/DynamoDB ThrottledRequests": {"TableName", "Operation"},
    "AWS/DynamoDB WriteThrottleEvents": {"TableName"},
    "AWS/Lambda Duration": {"FunctionName"},
    "AWS/Lambda Errors": {"FunctionName"},
    "AWS/Lambda Invocations": {"FunctionName"},
    "AWS/Lambda Throttles": {"FunctionName"},
    "AWS/Logs IncomingBytes": {"LogGroupName"},
}
"""What AWS measures, and by what. Source: the lists of metrics in the developer guides of API
Gateway (WebSocket APIs), DynamoDB and Lambda, and in the user guide of CloudWatch Logs.
"""

LOGGED: Final = {
    *("time", "level", "message"),
    *("event", "operation", "requestId", "connection", "correlation", "user", "sessionId"),
    *("code", "durationMs", "coldStart"),
    *("cause", "field", "dependency", "error", "reason"),
    *("reached", "gone", "failed"),
    *("caption", "language", "seq"),
}
"""The fields of the application's log lines."""

INSIGHTS: Final = {
    *("fields", "filter", "stats", "sort", "limit"),
    *("and", "or", "like", "by", "as", "asc", "desc", "count"),
    *("@message", "@log"),
}
"""Words of the language of saved queries, and fields that CloudWatch adds to a line.

Source: "CloudWatch Logs Insights language query syntax", Amazon CloudWatch Logs User Guide.
"""

ESSENTIAL: Final = "staging"
"""The stage whose own file asks for the essential alarms."""

UNWATCHED: Final = "dev"
"""The stage whose own file asks for no alarms and no dashboard."""

MAX_DESCRIPTION: Final = 1024
MAX_METRICS: Final = 500
"""Source: PutMetricAlarm; "CloudWatch service quotas" (metrics in a widget)."""


@dataclass(frozen=True)
class Measured:
    """A metric as an alarm or a widget names it; no value of a dimension that is searched."""

    namespace: str
    name: str
    dimensions: dict[str, str | None]

    def __str__(self) -> str:
        return f"{self.namespace} {self.name}"


@pytest.fixture(scope="module")
def runbook() -> str:
    return (ROOT / RUNBOOK).read_text()


@pytest.fixture(scope="module")
def reference() -> str:
    return (ROOT / REFERENCE).read_text()


@pytest.fixture(scope="module")
def essential(plan_of: Callable[[str], Plan]) -> set[str]:
    """Return the names of the alarms that a stage with the essential ones has."""
    plan = plan_of(ESSENTIAL)
    return {name_of(alarm, plan) for alarm in alarms(plan)}


def test_a_stage_without_alarms_has_nothing_that_cloudwatch_charges_by_the_month(
    plan: Plan,
) -> None:
    assert bool(alarms(plan) or "aws_cloudwatch_dashboard" in plan.resources) is (
        plan.stage != UNWATCHED
    )


def test_every_alarm_and_widget_of_the_application_names_what_it_writes(plan: Plan) -> None:
    ours = [it for it in (*of_alarms(plan), *of_widgets(plan)) if is_ours(it)]
    assert bool(ours) is (plan.stage != UNWATCHED)
    for measured in ours:
        assert measured.name in metrics.METRICS
        assert set(measured.dimensions) in written(measured.name), measured
        assert measured.dimensions["Stage"] == plan.stage


def test_every_metric_of_the_application_is_emitted_somewhere() -> None:
    assert emitted() == set(metrics.METRICS)


def test_every_metric_of_the_application_is_looked_at(whole: Plan) -> None:
    seen = {it.name for it in (*of_alarms(whole), *of_widgets(whole)) if is_ours(it)}
    assert seen == set(metrics.METRICS)


def test_every_other_metric_is_one_of_awss(plan: Plan) -> None:
    for measured in (*of_alarms(plan), *of_widgets(plan)):
        if not is_ours(measured):
            assert AWS_DIMENSIONS.get(str(measured)) == set(measured.dimensions), measured


def test_the_latency_of_every_operation_on_a_table_is_looked_at(whole: Plan) -> None:
    shown = {
        operation
        for it in of_widgets(whole)
        if it.name == "SuccessfulRequestLatency"
        for operation in [it.dimensions["Operation"]]
    }
    assert shown == operations()


def test_a_widget_has_a_line_for_each_word_by_which_a_metric_is_split(whole: Plan) -> None:
    words = {"Code": codes(), "Reason": set(EndReason)}
    for name, metric in metrics.METRICS.items():
        if metric.by is not None:
            lines = [it.dimensions for it in of_widgets(whole) if it.name == name]
            values = {line[metric.by] for line in lines if metric.by in line}
            assert values in ({None}, words.get(metric.by)), name


def test_what_the_application_measures_stands_at_the_top(plan: Plan) -> None:
    places = [(w["y"], w["x"], {is_ours(it) for it in measured_by(w)}) for w in widgets(plan)]
    assert places == sorted(places, key=lambda place: place[:2])
    ours = [it for _, _, it in places]
    assert ours == sorted(ours, key=lambda it: it != {True})
    assert len({(x, y) for y, x, _ in places}) == len(places)


def test_no_widget_has_more_lines_than_cloudwatch_draws(plan: Plan) -> None:
    assert all(len(it["properties"]["metrics"]) <= MAX_METRICS for it in widgets(plan))


def test_every_alarm_says_where_its_entry_is_and_every_entry_has_an_alarm(
    whole: Plan, runbook: str
) -> None:
    headings = entries(runbook)
    assert len(headings) == len(set(headings))
    for alarm in alarms(whole):
        assert entry_of(alarm) in headings, alarm["alarm_name"]
        assert len(alarm["alarm_description"]) <= MAX_DESCRIPTION
    assert {entry_of(alarm) for alarm in alarms(whole)} == set(headings)


def test_every_entry_has_a_meaning_a_diagnosis_and_a_fix(runbook: str) -> None:
    for entry in section(runbook, "Entries").split("\n### ")[1:]:
        parts = re.findall(r"^\*\*(.+?)\*\*", entry, re.MULTILINE)
        assert parts == ["Meaning.", "Diagnosis.", "Fix."], entry


def test_the_reference_has_the_table_of_alarms_metrics_and_entries(
    whole: Plan, essential: set[str], reference: str
) -> None:
    expected = as_table(whole, essential)
    assert expected in section(reference, "Alarms"), f"{REFERENCE} needs\n\n{expected}\n"


def test_the_reference_describes_every_metric_of_the_application(reference: str) -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| (?:`(\w+)`)? ?\|", section(reference, "Metrics"), re.MULTILINE
    )
    described = {name: metrics.Metric(unit, by or None) for name, unit, by in rows}
    assert described == metrics.METRICS


def test_every_widget_and_query_that_the_runbook_names_is_there(whole: Plan, runbook: str) -> None:
    queried = {name.partition("/")[2] for name in queries(whole)}
    titles = {it["properties"]["title"] for it in widgets(whole)}
    assert emphasized(runbook) <= queried | titles


def test_the_reference_describes_every_saved_query(whole: Plan, reference: str) -> None:
    queried = {name.partition("/")[2] for name in queries(whole)}
    assert emphasized(section(reference, "Saved queries")) == queried


def test_a_query_asks_for_what_the_application_logs(plan: Plan) -> None:
    for name, query in queries(plan).items():
        text = re.sub(r'#.*|"[^"]*"|/[^/]*/|\b\d+\b', " ", query)
        words = set(re.findall(r"[@\w]+", text))
        counted_as = set(re.findall(r" as (\w+)", text))
        assert words - counted_as <= LOGGED | INSIGHTS, name
        assert words & LOGGED, name


def test_a_query_is_of_the_stage_and_reads_the_functions_logs(plan: Plan) -> None:
    definitions = plan.resources.get("aws_cloudwatch_query_definition", [])
    # The emulator has none, which is said in its stage's file.
    assert bool(definitions) is (plan.stage != "local")
    functions = plan.resources["aws_lambda_function"]
    groups = {it["logging_config"][0]["log_group"] for it in functions}
    for definition in definitions:
        assert definition["name"].startswith(f"broadcast-sessions-{plan.stage}/")
        assert set(definition["log_group_names"]) == groups


def as_table(plan: Plan, essential: set[str]) -> str:
    """Write what each alarm watches, and the runbook's entry for it, as Markdown."""
    rows = ["| alarm | essential | metric | entry |", "| --- | --- | --- | --- |"]
    for alarm in sorted(alarms(plan), key=lambda it: it["alarm_name"]):
        name = name_of(alarm, plan)
        mark = "yes" if name in essential else ""
        named = dict.fromkeys(f"`{measured}`" for measured in watched_by(alarm))
        entry = entry_of(alarm)
        link = f"[{entry}](../{RUNBOOK.removeprefix('docs/')}#{entry})"
        rows.append(f"| `{name}` | {mark} | {', '.join(sorted(named))} | {link} |")
    return "\n".join(rows)


def alarms(plan: Plan) -> list[dict[str, Any]]:
    return plan.resources.get("aws_cloudwatch_metric_alarm", [])


def name_of(alarm: dict[str, Any], plan: Plan) -> str:
    name: str = alarm["alarm_name"]
    return name.removeprefix(f"broadcast-sessions-{plan.stage}-")


def widgets(plan: Plan) -> list[dict[str, Any]]:
    bodies = [it["dashboard_body"] for it in plan.resources.get("aws_cloudwatch_dashboard", [])]
    return [widget for body in bodies for widget in json.loads(body)["widgets"]]


def queries(plan: Plan) -> dict[str, str]:
    definitions = plan.resources.get("aws_cloudwatch_query_definition", [])
    return {it["name"]: it["query_string"] for it in definitions}


def of_alarms(plan: Plan) -> Iterator[Measured]:
    for alarm in alarms(plan):
        yield from watched_by(alarm)


def watched_by(alarm: dict[str, Any]) -> Iterator[Measured]:
    if alarm["metric_name"]:
        yield Measured(alarm["namespace"], alarm["metric_name"], alarm["dimensions"])
    for query in alarm["metric_query"]:
        for metric in query["metric"]:
            yield Measured(metric["namespace"], metric["metric_name"], metric["dimensions"])
        if (query["expression"] or "").startswith("SELECT"):
            yield selected(query["expression"])


def of_widgets(plan: Plan) -> Iterator[Measured]:
    for widget in widgets(plan):
        yield from measured_by(widget)


def measured_by(widget: dict[str, Any]) -> Iterator[Measured]:
    """Read a widget's lines: namespace, name, dimensions one by one, options; or a search."""
    for line in widget["properties"]["metrics"]:
        if isinstance(line[0], dict):
            yield searched(line[0]["expression"])
        else:
            namespace, name, *rest = line[:-1]
            yield Measured(namespace, name, dict(zip(rest[::2], rest[1::2], strict=True)))


def searched(expression: str) -> Measured:
    """Read a search, whose form is AWS's: the dimensions by name, then what some of them are."""
    form = r"SEARCH\('\{(\w+),([\w,]+)\} MetricName=\"(\w+)\" Stage=\"([\w-]+)\"', 'Sum', \d+\)"
    found = re.fullmatch(form, expression)
    assert found, expression
    namespace, dimensions, name, stage = found.groups()
    return Measured(
        namespace, name, {it: stage if it == "Stage" else None for it in dimensions.split(",")}
    )


def selected(query: str) -> Measured:
    """Read a query of Metrics Insights: all metrics of a table, whatever their operation."""
    form = (
        r"SELECT SUM\((\w+)\) FROM SCHEMA\(\"([\w/]+)\", ([\w, ]+)\) WHERE TableName = '([\w-]+)'"
    )
    found = re.fullmatch(form, query)
    assert found, query
    name, namespace, dimensions, table = found.groups()
    return Measured(
        namespace,
        name,
        {it: table if it == "TableName" else None for it in dimensions.split(", ")},
    )


def is_ours(measured: Measured) -> bool:
    return measured.namespace == metrics.NAMESPACE


def written(name: str) -> list[set[str]]:
    """List the sets of dimensions under which the application writes a metric."""
    document = metrics.document({name: 1}, "a-stage", 0, "a word")
    (directive,) = document["_aws"]["CloudWatchMetrics"]
    return [set(names) for names in directive["Dimensions"]]


def emitted() -> set[str]:
    """Find the metrics that the application's code names, or that its clients' events count for."""
    calls = [
        node
        for path in (ROOT / "chalicelib").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(("put_metrics", "_count_failure"))
    ]
    named = {keyword.arg for call in calls for keyword in call.keywords if keyword.arg}
    counted = {
        name
        for operation in (*metrics.LATENCIES, "refreshConnection")
        for code in ("OK", *codes())
        for name, _, _ in metrics.of_event(operation, code, 1)
    }
    return named | counted


def operations() -> set[str]:
    """Find the operations of DynamoDB that the application's code names."""
    model = botocore.session.get_session().get_service_model("dynamodb")
    names = {xform_name(operation): operation for operation in model.operation_names}
    nodes = [
        node
        for path in (ROOT / "chalicelib").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
    ]
    called = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    paged = {
        node.args[0].value
        for node in nodes
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(".get_paginator")
        and isinstance(node.args[0], ast.Constant)
    }
    return {operation for name, operation in names.items() if name in called | paged}


def codes() -> set[str]:
    """Return the protocol's error codes."""
    found = (it for it in vars(errors).values() if isinstance(it, type))
    return {it.code for it in found if issubclass(it, errors.ServiceError) and "code" in vars(it)}


def section(page: str, heading: str) -> str:
    """Return the text under a heading of the second level."""
    (found,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    return str(found)


def emphasized(page: str) -> set[str]:
    return set(re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", " ".join(page.split())))


def entries(runbook: str) -> list[str]:
    """List the anchors of the entries' headings."""
    headings = re.findall(r"^### (.+)$", section(runbook, "Entries"), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def entry_of(alarm: dict[str, Any]) -> str:
    """Return the anchor that an alarm's description ends with."""
    _, found, anchor = alarm["alarm_description"].partition(f"{RUNBOOK}#")
    assert found, alarm["alarm_name"]
    return str(anchor)
