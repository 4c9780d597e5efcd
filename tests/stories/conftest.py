from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.stories.target import Client, Target, client, local_server, until


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
    """Hold a test to leaving no record behind, once the ends of its connections are handled."""
    tables = ("SESSIONS_TABLE", "CONNECTIONS_TABLE")
    until(lambda: not any(target.records(table) for table in tables))
    yield
    until(lambda: not any(target.records(table) for table in tables))
