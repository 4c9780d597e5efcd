"""The tests that docs/reference/requirements.md names."""

import re
from pathlib import Path

PAGE = Path("docs/reference/requirements.md").read_text()


def test_every_requirement_has_a_row_that_names_a_test() -> None:
    rows = re.findall(r"^\| (\d+) \|.*`\w+/test_\w+\.py::test_\w+`", PAGE, re.MULTILINE)
    assert [int(number) for number in rows] == list(range(1, 22))


def test_every_test_that_the_page_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", PAGE)
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not re.search(rf"^def {name}\(", Path("tests", file).read_text(), re.MULTILINE)
    ]
    assert missing == []


def test_every_example_client_has_its_counterpart() -> None:
    named = set(re.findall(r"`(examples/\S+)`", PAGE))
    assert named == {str(it) for it in Path("examples").glob("*-client/*.*")}
