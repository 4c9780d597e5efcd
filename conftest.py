"""Which tests the workers of pytest-xdist run together, first and alone."""

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from local_gateway.command import bypass_proxies

# Tests reach their servers on this machine even where the environment names a proxy.
bypass_proxies(os.environ)

# Without byte code, each of hundreds of processes compiles the application and the tests again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# `make test` passes its own options and level on to each make that a test runs.
for name in ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"):
    os.environ.pop(name, None)

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
    "local-gateway/tests/test_conformance.py",
    "tests/races",
    "tests/stories",
    "tests/terraform",
    "local-gateway/tests",
)
"""Groups by how long they take, the longest first: otherwise a worker ends long after the others.

A folder is in place of its files.
"""

WITH_LONE_TESTS = ("tests/stories/test_a_crowd.py", "tests/stories/test_limits.py")
"""Groups with tests that run alone. They come after long tests, which they would wait for, and
before the rest, which is short and keeps the other workers busy to the end.
"""


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
    if group in WITH_LONE_TESTS:
        return len(FIRST)
    return next((n for n, it in enumerate(FIRST) if group.startswith(it)), len(FIRST) + 1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    is_crowd = item.get_closest_marker("alone") is not None
    with turn(is_alone=is_crowd and group_of(item.nodeid) != EMULATED):
        return (yield)


@contextmanager
def turn(*, is_alone: bool) -> Iterator[None]:
    """Wait until no worker runs a test alone and, for a test alone, until no other one runs.

    The first lock lets a test alone have its turn: others wait behind it.
    """
    with Path(__file__).open() as queue, Path(__file__).with_name("pyproject.toml").open() as hall:
        fcntl.flock(queue, fcntl.LOCK_EX)
        fcntl.flock(hall, fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH)
        fcntl.flock(queue, fcntl.LOCK_UN)
        yield
