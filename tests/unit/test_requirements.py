"""The lock files that `make lock` writes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in ROOT.glob("requirements*.in"))


def pins(file: str) -> set[tuple[str, str]]:
    """Return the normalized names and the versions of a file's requirements."""
    found = re.findall(r"^([\w.-]+)(?:\[.*\])?==(\S+)", (ROOT / file).read_text(), re.MULTILINE)
    return {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in found}


@pytest.mark.parametrize("name", NAMES)
def test_the_lock_files_contain_each_requirement(name: str) -> None:
    assert pins(f"{name}.in")
    assert pins(f"{name}.in") - pins(f"{name}.txt") == set()


def test_the_package_has_the_versions_of_the_tests() -> None:
    assert pins("requirements.txt") - pins("requirements-dev.txt") == set()


@pytest.mark.parametrize("name", NAMES)
def test_the_lock_files_name_no_registry(name: str) -> None:
    text = (ROOT / f"{name}.txt").read_text()
    assert "--hash=sha256:" in text
    assert "://" not in text
    assert "-url" not in text
