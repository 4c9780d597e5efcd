from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.stories.target import Client, Target, client, local_server


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    with local_server() as served:
        yield served


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
    """Hold a test to leaving no record behind that was not there before."""
    before = target.records("SESSIONS_TABLE"), target.records("CONNECTIONS_TABLE")
    yield
    assert (target.records("SESSIONS_TABLE"), target.records("CONNECTIONS_TABLE")) == before
