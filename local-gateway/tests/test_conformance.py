"""The conformance suite, run against the local gateway, and the committed matrix."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from conformance import matrix
from conformance.facts import load_facts
from conformance.results import read_results
from conformance.targets.names import MODULES
from conformance.untested import UNTESTED

FOLDER = Path(__file__).parents[1]
FACTS = ("1-165", "T1-16")
PATIENCE_SECONDS = 110


def test_the_local_gateway_passes_every_row(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "conformance", "local-gateway", "--results", str(tmp_path)]
    with subprocess.Popen(
        command, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as suite:
        try:
            output, _ = suite.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            suite.terminate()  # The suite then ends its gateways and ministack.
            output, _ = suite.communicate()
    assert suite.returncode == 0, output

    found, committed = read_results("local-gateway", tmp_path), read_results("local-gateway")
    assert found is not None
    assert committed is not None
    assert found.rows == committed.rows


def test_the_matrix_shows_the_committed_results() -> None:
    assert matrix.PAGE.read_text() == matrix.render(matrix.read_all_results())


def test_each_fact_has_a_check_or_a_reason() -> None:
    listed = [*load_facts(), *UNTESTED]
    covered = {number for it in listed for number in numbers(it.number)}
    assert covered == {number for part in FACTS for number in numbers(part)}


@pytest.mark.parametrize("target", [it for it in MODULES if it != "aws"])
def test_the_results_are_of_the_present_checks(target: str) -> None:
    found = read_results(target)
    assert found is not None
    versions = {number: row.check for number, row in found.rows.items()}
    changed = [it.number for it in load_facts() if versions.get(it.number) != it.version]
    assert not changed, (
        f"the checks of {', '.join(changed)} have changed since the run; "
        f"in local-gateway, run: python -m conformance {target}"
    )


def test_the_matrix_shows_a_row_of_an_older_check_as_not_tested() -> None:
    found = read_results("local-gateway")
    assert found is not None
    older = {number: replace(row, check="older") for number, row in found.rows.items()}
    page = matrix.render({"local-gateway": replace(found, rows=older)})
    assert "passes" not in page.partition("## Facts\n")[2].partition("##")[0]


def test_the_version_of_a_check_depends_on_the_helpers_that_it_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [known] = [it for it in load_facts() if it.number == "50b"]
    before = known.version
    monkeypatch.setattr("conformance.checks.test_frames.KB", 1000)
    assert known.version != before


def numbers(text: str) -> list[str]:
    """Return the facts of a range, such as "83-84" or "T1-16", or of a part, such as "54a"."""
    prefix = "T" if text.startswith("T") else ""
    first, _, last = text.removeprefix(prefix).rstrip("abcdefgh").partition("-")
    return [f"{prefix}{number}" for number in range(int(first), int(last or first) + 1)]
