from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.stories.target import (
    BEYOND_THE_EMULATOR,
    GENEROUS,
    GRACE_SECONDS,
    Client,
    Target,
    client,
    local_server,
    until,
)


@pytest.fixture(scope="session")
def served() -> Iterator[Target]:
    with local_server(**GENEROUS, SPEAKER_GRACE_SECONDS=str(GRACE_SECONDS)) as target:
        yield target


@pytest.fixture(scope="session", params=["served", "emulated"])
def target(request: pytest.FixtureRequest) -> Target:
    """Give both targets in turn: every story is told against each."""
    target: Target = request.getfixturevalue(request.param)
    return target


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    beyond = [item for item in items if is_beyond_the_emulator(item)]
    if beyond:
        config.hook.pytest_deselected(items=beyond)
        items[:] = [item for item in items if item not in beyond]


def is_beyond_the_emulator(item: pytest.Item) -> bool:
    name = item.name.replace("[emulated-", "[").replace("[emulated]", "")
    is_emulated = name != item.name
    return is_emulated and (
        name in BEYOND_THE_EMULATOR or item.get_closest_marker("local_only") is not None
    )


@pytest.fixture(scope="session")
def token(target: Target) -> str:
    return target.tokens()["IdToken"]


@pytest.fixture
def open_client(target: Target) -> Iterator[Callable[..., Client]]:
    """Open clients that are closed when the test is over."""
    with ExitStack() as stack:
        yield lambda **query: stack.enter_context(client(target, **query))


@pytest.fixture
def nothing_left(target: Target) -> Iterator[None]:
    """Hold a test to leaving nothing behind, once the ends of its connections are handled.

    Sweeps end what only waits for a grace to end. Sessions that have ended stay for 35 s more.
    """
    until(lambda: is_nothing_left(target))
    yield
    until(lambda: is_nothing_left(target))


def is_nothing_left(target: Target) -> bool:
    target.sweep()
    sessions = target.records("SESSIONS_TABLE")
    have_ended = all(session["status"] == {"S": "ended"} for session in sessions)
    return have_ended and not target.participants()
