"""Fixtures for races of 64 threads on the embedded AWS's DynamoDB."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from local_gateway.aws import ministack
from tests.races.service import Clients, Service

NewService = Callable[[int], Service]


twice = pytest.mark.parametrize("_round", range(2))
"""Repeats a race, which can have a different winner each time."""


@pytest.fixture(autouse=True)
def _round(request: pytest.FixtureRequest) -> None:
    """Consume the parameter of `twice`, which tests don't need."""


@pytest.fixture(scope="session")
def clients() -> Iterator[Clients]:
    with ministack() as endpoint_url:
        clients = Clients.of(endpoint_url)
        yield clients
        clients.close()


@pytest.fixture(scope="session")
def new_service(clients: Clients) -> NewService:
    """Return a function that creates a service with new tables and a number of seats."""
    numbers = count()
    return lambda max_listeners: Service(clients, f"race-{next(numbers)}", max_listeners)
