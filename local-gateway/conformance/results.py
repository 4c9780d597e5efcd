"""The result of a run: a target's answer to each fact."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

FOLDER: Final = Path(__file__).parent / "results"

Outcome = Literal["passes", "differs", "not tested"]


@dataclass(frozen=True, slots=True)
class Row:
    """A target's result for a fact.

    Attributes:
        outcome: Whether the target does the same as AWS.
        observed: What the target did, or why it wasn't tested.
        setting: The setting without which the target couldn't pass.
        check: The version of the check at the time of the run.
    """

    outcome: Outcome
    observed: str
    check: str = ""
    setting: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """The results of a target.

    Attributes:
        target: The target's name.
        version: The target's version.
        date: The date of the run, as YYYY-MM-DD.
        rows: The rows by the facts' numbers.
    """

    target: str
    version: str
    date: str
    rows: Mapping[str, Row]


def write_results(results: Results, folder: Path = FOLDER) -> None:
    """Write a target's results as JSON."""
    text = json.dumps(asdict(results), indent=2, ensure_ascii=False)
    (folder / f"{results.target}.json").write_text(f"{text}\n")


def read_results(target: str, folder: Path = FOLDER) -> Results | None:
    """Read a target's results; None if the suite hasn't run against it."""
    path = folder / f"{target}.json"
    if not path.exists():
        return None
    stored = json.loads(path.read_text())
    rows = {number: Row(**row) for number, row in stored.pop("rows").items()}
    return Results(**stored, rows=rows)
