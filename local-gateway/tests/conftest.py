"""The gateways that tests share. Each test uses its own principal."""

from collections.abc import Iterator

import pytest

from gateway_support.serving import Server, serving, unique


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with serving("recorder", "--no-reload") as running:
        yield running


@pytest.fixture(scope="session")
def shared_faulty_server() -> Iterator[Server]:
    with serving("recorder", "--no-reload") as running:
        yield running


@pytest.fixture
def faulty_server(shared_faulty_server: Server) -> Iterator[Server]:
    """Return a gateway that has no faults before and after each test."""
    yield shared_faulty_server
    shared_faulty_server.set_faults()


@pytest.fixture
def principal() -> str:
    return unique()
