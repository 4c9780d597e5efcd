"""The variants of the probe, by the names of the checks' parameters."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from conformance.runner import DEPLOYMENT, OBSERVED, Observe
from conformance.targets import base
from conformance.targets.base import Deployment
from conformance.variant import Client, Variant

SECONDS_OF_SLOW_MESSAGE = 30
"""How long a handler takes that exceeds the integration timeout of 29 seconds."""

LATEST_SLOW_FRAME = 35
"""The seconds until the suite stops waiting for the frame for the slow message."""

SlowFrame = Future[tuple[str, float]]
"""The frame for the slow message, and the seconds until it arrived."""


@pytest.fixture
def observe(request: pytest.FixtureRequest) -> Observe:
    def observe(text: str) -> str:
        request.node.stash[OBSERVED] = text
        return text

    return observe


@pytest.fixture(scope="session")
def deployment(pytestconfig: pytest.Config) -> Deployment:
    return pytestconfig.stash[DEPLOYMENT]


@pytest.fixture(scope="session")
def two_way(deployment: Deployment) -> Variant:
    return variant(deployment, base.TWO_WAY)


@pytest.fixture(scope="session")
def one_way(deployment: Deployment) -> Variant:
    return variant(deployment, base.ONE_WAY)


@pytest.fixture(scope="session")
def connect_only(deployment: Deployment) -> Variant:
    return variant(deployment, base.CONNECT_ONLY)


@pytest.fixture(scope="session")
def default_only(deployment: Deployment) -> Variant:
    return variant(deployment, base.DEFAULT_ONLY)


@pytest.fixture(scope="session")
def identity_source(deployment: Deployment) -> Variant:
    return variant(deployment, base.IDENTITY_SOURCE)


@pytest.fixture(scope="session")
def short_idle(deployment: Deployment) -> Variant:
    return variant(deployment, base.SHORT_IDLE)


@pytest.fixture(scope="session")
def short_lifetime(deployment: Deployment) -> Variant:
    return variant(deployment, base.SHORT_LIFETIME)


@pytest.fixture(scope="session")
def throttled(deployment: Deployment) -> Variant:
    return variant(deployment, base.THROTTLED)


@pytest.fixture(scope="session")
def without_permission(deployment: Deployment) -> Variant:
    return variant(deployment, base.WITHOUT_PERMISSION)


@pytest.fixture(scope="session", autouse=True)
def slow(two_way: Variant) -> Iterator[SlowFrame]:
    """Start a message that exceeds the integration timeout, beside all other checks."""
    # At the end, the connection closes first, which ends the thread.
    with ThreadPoolExecutor(1) as pool, two_way.connect() as client:
        client.send("wait", seconds=SECONDS_OF_SLOW_MESSAGE)
        yield pool.submit(receive_slow_frame, client)


def receive_slow_frame(client: Client) -> tuple[str, float]:
    start = time.monotonic()
    frame = client.receive(LATEST_SLOW_FRAME)
    return frame, time.monotonic() - start


def variant(deployment: Deployment, name: str) -> Variant:
    """Return a variant, or mark the check as not tested if the target lacks it."""
    if name in deployment.missing:
        pytest.skip(deployment.missing[name])
    return Variant(deployment.apis[name], deployment)
