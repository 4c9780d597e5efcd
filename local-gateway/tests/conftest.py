"""The server that most tests share. Each test uses its own principal."""

from collections.abc import Iterator

import pytest

from gateway_support.serving import Server, serving, unique


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with serving("recorder", "--no-reload") as running:
        yield running


@pytest.fixture
def principal() -> str:
    return unique()
