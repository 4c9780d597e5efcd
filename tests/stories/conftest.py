from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.stories.target import (
    GRACE_SECONDS,
    HIGH_LIMITS,
    UNSUPPORTED_BY_EMULATOR,
    Client,
    Target,
    client,
    local_server,
    until,
)


@pytest.fixture(scope="session")
def served() -> Iterator[Target]:
    with local_server(**HIGH_LIMITS, SPEAKER_GRACE_SECONDS=str(GRACE_SECONDS)) as target:
        yield target


@pytest.fixture(scope="session", params=["served", "emulated"])
def target(request: pytest.FixtureRequest) -> Target:
    """Return each target in turn. Every story runs against both."""
    target: Target = request.getfixturevalue(request.param)
    return target


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    beyond = [item for item in items if is_unsupported_by_emulator(item)]
    if beyond:
        config.hook.pytest_deselected(items=beyond)
        items[:] = [item for item in items if item not in beyond]


def is_unsupported_by_emulator(item: pytest.Item) -> bool:
    name = item.name.replace("[emulated-", "[").replace("[emulated]", "")
    is_emulated = name != item.name
    return is_emulated and (
        name in UNSUPPORTED_BY_EMULATOR or item.get_closest_marker("local_only") is not None
    )


@pytest.fixture(scope="session")
def token(target: Target) -> str:
    return target.tokens()["IdToken"]


@pytest.fixture
def open_client(target: Target) -> Iterator[Callable[..., Client]]:
    """Return a function that opens clients. They are closed at the end of the test."""
    with ExitStack() as stack:
        yield lambda **query: stack.enter_context(client(target, **query))


@pytest.fixture
def no_records_left(target: Target) -> Iterator[None]:
    """Check that a test leaves no items after its $disconnect events have been handled.

    Ended sessions stay in the table for 35 s.
    """
    wait_for_the_end_of_all_sessions(target)
    yield
    wait_for_the_end_of_all_sessions(target)


def wait_for_the_end_of_all_sessions(target: Target) -> None:
    """Wait until all sessions are in their grace periods, which a sweep then ends in time."""
    until(lambda: all("graceEndsAt" in each for each in open_sessions(target)))
    target.start_sweep()
    until(lambda: not open_sessions(target) and not target.participants())


def open_sessions(target: Target) -> list[dict[str, Any]]:
    sessions = target.records("SESSIONS_TABLE")
    return [each for each in sessions if each["status"] != {"S": "ended"}]
