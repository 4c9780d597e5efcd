"""The emulated stack, and which tests one worker of pytest-xdist runs together and first."""

from collections.abc import Iterator

import pytest

from tests.stories.target import Target
from tests.terraform.enforced import Enforced, enforced_stack
from tests.terraform.requirements import require_provider

FIRST = (
    "tests/properties/test_properties.py",
    "enforced",
    "tests/terraform/test_apply.py",
    "configuration",
    "tests/races",
    "tests/stories",
    "tests/terraform",
    "tests/devserver",
)
"""Groups by how long they take, the longest first: otherwise a worker ends long after the others.

A folder is in place of its files.
"""


@pytest.fixture(scope="session")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enforced]:
    """Apply the stack once for all stories that are told on an emulator, with IAM enforced."""
    with require_provider(), enforced_stack(tmp_path_factory.mktemp("enforced")) as enforced:
        yield enforced


@pytest.fixture(scope="session")
def emulated(enforced: Enforced) -> Target:
    return enforced.target


def pytest_itemcollected(item: pytest.Item) -> None:
    """Group the tests that share a stack or a configuration, and other tests by their file."""
    item.add_marker(pytest.mark.xdist_group(group_of(item)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: order_of(group_of(item)))


def group_of(item: pytest.Item) -> str:
    if hasattr(item, "callspec") and item.callspec.params.get("target") == "emulated":
        return "enforced"
    fixtures = getattr(item, "fixturenames", ())
    file = item.nodeid.partition("::")[0]
    return next((name for name in ("enforced", "configuration") if name in fixtures), file)


def order_of(group: str) -> int:
    return next((n for n, it in enumerate(FIRST) if group.startswith(it)), len(FIRST))
