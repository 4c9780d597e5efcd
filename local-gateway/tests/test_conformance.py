"""The conformance suite, run against the local gateway, and the committed matrix."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from conformance import facts, matrix
from conformance.facts import load_facts
from conformance.results import read_results
from conformance.targets.names import MODULES
from conformance.untested import REPEATED, UNRELATED, UNTESTED

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
    listed = [it.number for it in (*load_facts(), *UNTESTED)]
    listed += [*REPEATED, *(number for found in UNRELATED.values() for number in found)]
    covered = {number for it in listed for number in numbers(it)}
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
    assert page.count(f"not tested: {matrix.STALE.observed}") == len(load_facts())


@pytest.mark.parametrize(
    ("number", "name", "value"),
    [
        ("50b", "test_frames.KB", 1000),
        ("53", "test_frames.SECONDS_BETWEEN_POSTS", 0.25),
        ("4b", "test_connect.REFUSALS", ("301", "400")),
    ],
)
def test_the_version_of_a_check_depends_on_the_values_that_it_names(
    number: str, name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = version_of(number)
    monkeypatch.setattr(f"conformance.checks.{name}", value)
    assert version_of(number) != before


def test_the_version_of_a_check_ignores_the_values_that_it_does_not_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = version_of("4a")
    monkeypatch.setattr("conformance.checks.test_connect.REFUSALS", ())
    assert version_of("4a") == before


@pytest.mark.parametrize("name", ["app.py", "variant.py", "conftest.py"])
def test_the_version_of_a_check_depends_on_the_shared_files(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = version_of("4a")
    others = tuple(it for it in facts.SHARED if it.name != name)
    monkeypatch.setattr(facts, "SHARED", others)
    assert version_of("4a") != before


def test_helpers_that_call_each_other_have_a_version() -> None:
    assert facts.Fact("1", "", "", "inferred", is_even).version


def version_of(number: str) -> str:
    [found] = [it for it in load_facts() if it.number == number]
    return found.version


def is_even(number: int) -> bool:
    return number == 0 or is_odd(number - 1)


def is_odd(number: int) -> bool:
    return number != 0 and is_even(number - 1)


def numbers(text: str) -> list[str]:
    """Return the facts of a range, such as "83-84" or "T1-16", or of a part, such as "54a"."""
    prefix = "T" if text.startswith("T") else ""
    first, _, last = text.removeprefix(prefix).rstrip("abcdefgh").partition("-")
    return [f"{prefix}{number}" for number in range(int(first), int(last or first) + 1)]
