"""Which tests one worker of pytest-xdist runs together, and which it runs first."""

import pytest

FIRST = (
    "tests/properties/test_properties.py",
    "emulated",
    "tests/terraform/test_apply.py",
    "enforced",
    "configuration",
    "tests/races",
    "tests/stories",
    "tests/terraform",
    "tests/devserver",
)
"""Groups by how long they take, the longest first: otherwise a worker ends long after the others.

A folder is in place of its files.
"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group the tests that share a stack or a configuration, and other tests by their file."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
    items.sort(key=lambda item: order_of(group_of(item)))


def group_of(item: pytest.Item) -> str:
    target = item.callspec.params.get("target") if hasattr(item, "callspec") else None
    fixtures = {*getattr(item, "fixturenames", ()), target}
    shared = ("emulated", "enforced", "configuration")
    file = item.nodeid.partition("::")[0]
    return next((name for name in shared if name in fixtures), file)


def order_of(group: str) -> int:
    return next((n for n, it in enumerate(FIRST) if group.startswith(it)), len(FIRST))
