"""The conformance suite, run against the local gateway, and the committed matrix."""

import subprocess
import sys
from pathlib import Path

from conformance import matrix
from conformance.facts import load_facts
from conformance.results import read_results
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


def numbers(text: str) -> list[str]:
    """Return the facts of a range, such as "83-84" or "T1-16", or of a part, such as "54a"."""
    prefix = "T" if text.startswith("T") else ""
    first, _, last = text.removeprefix(prefix).rstrip("abcdefgh").partition("-")
    return [f"{prefix}{number}" for number in range(int(first), int(last or first) + 1)]
