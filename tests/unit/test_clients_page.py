"""The exchanges and tests that docs/clients.md names, and its tables, which the READMEs repeat."""

import re
from pathlib import Path

import pytest

from tests import exchanges
from tests.unit.test_exchanges import OF_CLIENTS, REASONS, steps_of

PAGE = Path("docs/clients.md").read_text()
ROWS = re.findall(r"^\| (\d+[a-z]?) \| (.+?) \| (.*?) ?\| (.*?) ?\| (.*?) ?\|$", PAGE, re.MULTILINE)
"""The number, text, exchanges, JavaScript tests and Python tests of each behaviour."""

JAVASCRIPT = (Path("clients/javascript/tests"), Path("tests/browser/client"))
PYTHON = (Path("clients/python/tests"),)

PAGES = ["docs/clients.md", "clients/javascript/README.md", "clients/python/README.md"]
"""The pages that have the tables of states and errors."""

OF_BROWSERS = "hidden"
"""The reason that only the JavaScript library has."""


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_exchange_is_on_the_page_and_no_other() -> None:
    named = {name for _, _, cell, _, _ in ROWS for name in names(cell)}
    assert named == exchanges.read_all().keys()


def test_every_behaviour_has_a_row_with_exchanges_or_tests() -> None:
    numbers = [int(number.rstrip("abcd")) for number, *_ in ROWS]
    assert list(dict.fromkeys(numbers)) == list(range(1, 44))
    for number, _, played, javascript, python in ROWS:
        assert played or javascript or python, number


@pytest.mark.parametrize("row", ROWS, ids=[number for number, *_ in ROWS])
def test_both_libraries_have_tests_of_a_behaviour_or_neither(row: tuple[str, ...]) -> None:
    _, text, _, javascript, python = row
    if text.startswith("JavaScript:"):
        assert not python
    elif text.startswith("Python:"):
        assert not javascript
    else:
        assert bool(javascript) == bool(python)


@pytest.mark.parametrize(("column", "folders"), [(3, JAVASCRIPT), (4, PYTHON)])
def test_every_test_that_the_page_names_exists(column: int, folders: tuple[Path, ...]) -> None:
    named = [name for row in ROWS for name in names(row[column])]
    assert [name for name in named if not has_test(folders, name)] == []


def has_test(folders: tuple[Path, ...], name: str) -> bool:
    """Return whether a file in one of the folders has a test with this function or title."""
    file, _, test = name.partition("::")
    text = "".join(path.read_text() for it in folders if (path := it / file).exists())
    return any(start in text for start in (f"def {test}(", f'"{test}"', f"`{test}`"))


def test_the_page_names_every_state_reason_and_code() -> None:
    states = PAGE.partition("## States\n")[2].partition("## Figures")[0]
    reasons = {reason for of_state in REASONS.values() for reason in of_state if reason}
    failures = REASONS["failed"] - REASONS["ended"]
    assert set(names(states)) >= REASONS.keys() | OF_CLIENTS | reasons - failures


@pytest.mark.parametrize("page", PAGES)
def test_the_table_of_states_has_every_state_and_reason(page: str) -> None:
    section = Path(page).read_text().partition("\n## States\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \| .+? \| (.*?) ?\|$", section, re.MULTILINE)
    reasons = {state: set(names(cell)) for states, cell in rows for state in names(states)}
    assert reasons.keys() >= REASONS.keys()
    for state in REASONS.keys() - {"reconnecting", "failed"}:
        assert reasons[state] == REASONS[state] - {None}, state
    in_words = {reason for reason in REASONS["reconnecting"] if reason and not reason.isupper()}
    assert set(names(section)) >= in_words - ({OF_BROWSERS} if "python" in page else set())


@pytest.mark.parametrize("page", PAGES)
def test_the_table_of_errors_has_every_code_of_the_clients(page: str) -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (yes|no) \|", Path(page).read_text(), re.MULTILINE)
    settled = {error["code"]: error["temporary"] for _, error in steps_of("error")}
    assert {code: cell == "yes" for code, cell in rows} == {
        code: settled[code] for code in OF_CLIENTS
    }
