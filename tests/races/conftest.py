"""Races on the real thing: the embedded AWS's DynamoDB in its own process, and 64 threads."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from devserver.aws import ministack
from tests.races.service import Clients, Service

NewService = Callable[[int], Service]


def rounds(number: int) -> pytest.MarkDecorator:
    """Run a race so often: each time another one wins."""
    return pytest.mark.parametrize("_round", range(number))


@pytest.fixture(autouse=True)
def _round(request: pytest.FixtureRequest) -> None:
    """Take the number of a race's round, which no test needs to know."""


@pytest.fixture(scope="session")
def clients() -> Iterator[Clients]:
    with ministack() as endpoint_url:
        clients = Clients.of(endpoint_url)
        yield clients
        clients.close()


@pytest.fixture(scope="session")
def new_service(clients: Clients) -> NewService:
    """Set up a service on fresh tables, with so many seats to a session."""
    numbers = count()
    return lambda max_listeners: Service(clients, f"race-{next(numbers)}", max_listeners)
