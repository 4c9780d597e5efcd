"""The lists of requirements that `make lock` writes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in ROOT.glob("requirements*.in"))


def pins(file: str) -> set[tuple[str, str]]:
    """Return the requirements of a file, by their names as the index has them, and versions."""
    found = re.findall(r"^([\w.-]+)(?:\[.*\])?==(\S+)", (ROOT / file).read_text(), re.MULTILINE)
    return {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in found}


@pytest.mark.parametrize("name", NAMES)
def test_a_requirement_that_is_changed_is_locked_again(name: str) -> None:
    assert pins(f"{name}.in")
    assert pins(f"{name}.in") - pins(f"{name}.txt") == set()


def test_what_is_packaged_is_what_the_tests_run_with() -> None:
    assert pins("requirements.txt") - pins("requirements-dev.txt") == set()


@pytest.mark.parametrize("name", NAMES)
def test_no_registry_is_named(name: str) -> None:
    text = (ROOT / f"{name}.txt").read_text()
    assert "--hash=sha256:" in text
    assert "://" not in text
    assert "-url" not in text
