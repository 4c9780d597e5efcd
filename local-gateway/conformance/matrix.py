"""The matrix: a page that compares all targets with AWS."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from conformance import results
from conformance.facts import Fact, load_facts
from conformance.results import Results, Row
from conformance.targets.names import MODULES
from conformance.untested import REPEATED, UNRELATED, UNTESTED

PAGE: Final = Path(__file__).parents[1] / "docs" / "conformance.md"
NOT_RUN: Final = "not run yet"
STALE: Final = Row("not tested", "the check has changed since the run")

INTRODUCTION: Final = """\
# Conformance

This page compares the WebSocket APIs of several targets with API Gateway's. Each row is a fact
about API Gateway that a client or a function can see, and the result of a test against each target.
`python -m conformance TARGET` runs the tests and writes this page. To run them in your own AWS
account, see `conformance/README.md`.

A cell says what the target did if it differs. A target can differ on purpose. If a target can pass
a test only with a setting of its own, the cell names the setting. *No frame* means that no frame
arrives within 10 seconds, or 30 seconds on AWS.

The *Known* column says how the fact is known: AWS documents it, users report it, or it is inferred
from other facts. [Sources](#sources) explains the abbreviations. A letter distinguishes parts of a
fact. Facts T1 to T16 are about code that works on emulators and fails on AWS. Missing numbers are
[facts without a test](#facts-without-a-test).
"""

SOURCES: Final = """\
## Sources

| Abbreviation | Source |
| --- | --- |
| DG/x | API Gateway, `docs.aws.amazon.com/apigateway/latest/developerguide/x.html` |
| lambda/latest/dg, x | Lambda, `docs.aws.amazon.com/lambda/latest/dg/x.html` |
| API model | botocore's service models of apigatewayv2 and apigatewaymanagementapi |
| owner/name#n, name#n | An issue or a pull request on GitHub |
| chalice#n | An issue of aws/chalice |
| serverless-offline#n | An issue of dherault/serverless-offline |
| serverless-offline, ws.e2e.js | `tests/manual/websocket/main` in dherault/serverless-offline |
| re:Post x | `repost.aws/questions/x` |
| a user's events | Events of a real API, published by a user in March 2025, without an address |
| a user's transcript | wscat with a real API, published by a user, without an address |
| transcripts of several users | wscat with real APIs, published by users, without addresses |
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
    if row.outcome == "passes":
        return f"passes with {row.setting}" if row.setting else "passes"
    return f"{row.outcome}: {row.observed}"


def _differences(facts: list[Fact], by_target: Mapping[str, Results | None]) -> str:
    lines = ["## Where each target differs\n"]
    lines += [f"- {name}: {_differences_of(facts, found)}" for name, found in by_target.items()]
    return _block(lines)


def _differences_of(facts: list[Fact], found: Results | None) -> str:
    if found is None:
        return "The suite hasn't run against it yet."
    rows = {it.number: _row(found, it) for it in facts}
    differing = [number for number, row in rows.items() if row and row.outcome == "differs"]
    return f"It differs in {_facts(differing) if differing else 'no tested row'}."


def _untested() -> str:
    repeated = [f"{number} ({_facts(others)})" for number, others in REPEATED.items()]
    unrelated = [f"{subject} ({', '.join(numbers)})" for subject, numbers in UNRELATED.items()]
    lines = [
        "## Facts without a test\n",
        _line(["Fact", "What AWS does", "Why there is no test", "Source"]),
        _rule(4),
        *(_line(list(it)) for it in UNTESTED),
        "",
        f"These facts repeat others: {', '.join(repeated)}.\n",
        f"These facts concern neither clients nor handlers: {', '.join(unrelated)}.",
    ]
    return _block(lines)


def _facts(numbers: Sequence[str]) -> str:
    """Name some facts, such as "fact 1" or "facts 1, 2 and 3"."""
    *others, last = numbers
    return f"facts {', '.join(others)} and {last}" if others else f"fact {last}"


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
