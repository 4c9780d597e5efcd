"""The emulated stack, and which tests one worker of pytest-xdist runs together and first."""

from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.stories.target import Target
from tests.terraform.enforced import Enforced, enforced_stack
from tests.terraform.requirements import require_provider

EMULATED = "stories on the emulator"
PERMISSIONS = "tests/terraform/test_permissions.py"
PLANNED = tuple(
    f"tests/terraform/test_{it}.py" for it in ("plans", "alarms", "documented_terraform")
)
"""The files whose tests share one initialized configuration."""

FIRST = (
    "tests/properties/test_properties.py",
    EMULATED,
    "tests/terraform/test_apply.py",
    PLANNED[0],
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


class GroupScheduling(LoadScopeScheduling):
    """Gives a worker a whole group at a time.

    The scheduling "loadgroup" of pytest-xdist 3.8 adds the group to a test's `_nodeid`, which
    pytest 9.2 doesn't read.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    return GroupScheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: order_of(group_of(item.nodeid)))


def group_of(nodeid: str) -> str:
    """Group the tests that share a stack or a configuration, and other tests by their file."""
    file, _, test = nodeid.partition("::")
    if file == PERMISSIONS or "[emulated]" in test or "[emulated-" in test:
        return EMULATED
    return PLANNED[0] if file in PLANNED else file


def order_of(group: str) -> int:
    return next((n for n, it in enumerate(FIRST) if group.startswith(it)), len(FIRST))
