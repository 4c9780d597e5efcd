"""The matrix: a page that compares all targets with AWS."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from conformance import results
from conformance.facts import Fact, load_facts
from conformance.results import Results, Row
from conformance.targets.names import MODULES
from conformance.untested import UNTESTED

PAGE: Final = Path(__file__).parents[1] / "docs" / "conformance.md"
NOT_RUN: Final = "not run yet"
STALE: Final = Row("not tested", "the check has changed since the run")

INTRODUCTION: Final = """\
# Conformance

This page compares the WebSocket APIs of several targets with API Gateway's. Each row is a fact
about API Gateway that a client or a function can see, and a test that checks it against each
target. `python -m conformance TARGET` runs the tests and writes this page. To run them in your own
AWS account, see `conformance/README.md`.

Some checks need a setting of the target. For facts 52 and 53, the target closes connections after a
second instead of 10 minutes or 2 hours. For fact 57, its stage allows no requests. The local
gateway has no such limit and runs with the fault `connect_throttled_share`.

*No frame* means that no frame arrives within 10 seconds, or 30 seconds on AWS.

A target can differ on purpose. The *Known* column says how the fact is known: AWS documents it,
users report it, or it is inferred from other facts. [Sources](#sources) lists the documents.

Facts 1 to 74 are about WebSocket APIs, 75 to 87 about the `@connections` API, and 88 to 165 about
DynamoDB, Cognito, Lambda, Terraform and Chalice. T1 to T16 are about code that works on emulators
and fails on AWS. A letter distinguishes parts of a fact. [Facts without a
test](#facts-without-a-test) lists the facts that the suite can't check, with the reasons.
"""

SOURCES: Final = """\
## Sources

| Abbreviation | Source |
| --- | --- |
| DG/x | API Gateway, `docs.aws.amazon.com/apigateway/latest/developerguide/x.html` |
| API model | botocore's service models of apigatewayv2 and apigatewaymanagementapi |
| owner/name#n, name#n | An issue or a pull request on GitHub |
| chalice#n | An issue of aws/chalice |
| serverless-offline#n | An issue of dherault/serverless-offline |
| re:Post x | `repost.aws/questions/x` |
| EVENTS-2025 | A published dump of real events, 16 March 2025 |
| TRANSCRIPT-K | A published transcript of wscat against a real API in ap-northeast-1 |
"""


def read_all_results() -> dict[str, Results | None]:
    """Read the results of all targets; None for those that the suite hasn't run against."""
    return {name: results.read_results(name) for name in MODULES}


def render(by_target: Mapping[str, Results | None]) -> str:
    """Return the page."""
    facts = load_facts()
    parts = [
        INTRODUCTION,
        _heads(facts, by_target),
        _table(facts, by_target),
        _differences(facts, by_target),
        _untested(),
        SOURCES,
    ]
    return "\n".join(parts)


def _heads(facts: list[Fact], by_target: Mapping[str, Results | None]) -> str:
    lines = ["| Target | Version | Date | Passes | Differs | Not tested |", _rule(6)]
    for name, found in by_target.items():
        cells = [name, NOT_RUN, "", "", "", ""] if found is None else _head(facts, found)
        lines.append(_line(cells))
    return _block(lines)


def _head(facts: list[Fact], found: Results) -> list[str]:
    outcomes = [row.outcome for it in facts if (row := _row(found, it))]
    counts = [str(outcomes.count(it)) for it in ("passes", "differs", "not tested")]
    return [found.target, found.version, found.date, *counts]


def _table(facts: list[Fact], by_target: Mapping[str, Results | None]) -> str:
    lines = [
        "## Facts\n",
        _line(["Fact", "What AWS does", *by_target, "Known", "Source"]),
        _rule(len(by_target) + 4),
    ]
    for it in facts:
        cells = [_cell(_row(found, it)) for found in by_target.values()]
        lines.append(_line([it.number, it.statement, *cells, it.confidence, it.source]))
    return _block(lines)


def _row(found: Results | None, fact: Fact) -> Row | None:
    if found is None:
        return None
    row = found.rows.get(fact.number)
    return STALE if row is None or row.check != fact.version else row


def _cell(row: Row | None) -> str:
    if row is None:
        return NOT_RUN
    return row.outcome if row.outcome == "passes" else f"{row.outcome}: {row.observed}"


def _differences(facts: list[Fact], by_target: Mapping[str, Results | None]) -> str:
    lines = ["## What each target does differently\n"]
    for name, found in by_target.items():
        lines += [f"### {name}\n", *_differences_of(facts, found), ""]
    return "\n".join(lines)


def _differences_of(facts: list[Fact], found: Results | None) -> list[str]:
    if found is None:
        return ["The suite hasn't run against this target yet."]
    rows = [(it, row) for it in facts if (row := _row(found, it)) and row.outcome == "differs"]
    if not rows:
        return ["It passes all rows."]
    return [
        f"- Fact {it.number}: {_escape(it.statement)} Observed: {_escape(row.observed)}."
        for it, row in rows
    ]


def _untested() -> str:
    lines = [
        "## Facts without a test\n",
        _line(["Fact", "What AWS does", "Why there is no test", "Source"]),
        _rule(4),
        *(_line(list(it)) for it in UNTESTED),
    ]
    return _block(lines)


def _rule(columns: int) -> str:
    return _line(["---"] * columns)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(map(_escape, cells))} |"


def _escape(text: str) -> str:
    """Escape the characters that Markdown would interpret in a table or a list."""
    for character in ("\\", "|", "*", "_", "<", "`"):
        text = text.replace(character, f"\\{character}")
    return text


def _block(lines: list[str]) -> str:
    return "\n".join([*lines, ""])
