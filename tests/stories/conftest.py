from collections.abc import Callable, Iterator
from contextlib import ExitStack

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

    Sweeps end sessions whose grace period is over. Ended sessions stay in the table for 35 s.
    """
    until(lambda: has_no_records(target))
    yield
    until(lambda: has_no_records(target))


def has_no_records(target: Target) -> bool:
    target.sweep()
    sessions = target.records("SESSIONS_TABLE")
    have_ended = all(session["status"] == {"S": "ended"} for session in sessions)
    return have_ended and not target.participants()
