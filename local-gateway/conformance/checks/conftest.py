"""The variants of the probe, by the names of the checks' parameters."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

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


def variant(name: str) -> Any:
    """Define the fixture of a variant. It skips the check if the target lacks the variant."""

    @pytest.fixture(scope="session", name=name)
    def find_variant(deployment: Deployment) -> Variant:
        if name in deployment.missing:
            pytest.skip(deployment.missing[name])
        return Variant(deployment.apis[name], deployment)

    return find_variant


two_way = variant(base.TWO_WAY)
one_way = variant(base.ONE_WAY)
connect_only = variant(base.CONNECT_ONLY)
default_only = variant(base.DEFAULT_ONLY)
identity_source = variant(base.IDENTITY_SOURCE)
short_idle = variant(base.SHORT_IDLE)
short_lifetime = variant(base.SHORT_LIFETIME)
throttled = variant(base.THROTTLED)
without_permission = variant(base.WITHOUT_PERMISSION)


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
