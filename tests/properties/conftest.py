"""Hypothesis profiles, with 90 examples in "short" and 10,000 in "long".

`pytest tests/properties --hypothesis-profile=long` takes about two hours. pytest finds the profile
only if you name this folder on the command line.
"""

import os
from functools import partial

import pytest
from hypothesis import HealthCheck, settings

from chalicelib import captions, dispatch, publish_requests, publishing
from chalicelib.aws.retries import event_budget
from local_gateway.aws import table_request
from tests.moto_dynamodb import MotoDynamoDB, create_tables
from tests.properties.captions import InlineBackground
from tests.properties.world import WORLD_TABLES
from tests.unit.fakes import SCHEMA, Clock

CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)

settings.register_profile(
    "short",
    max_examples=90,
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    # In CI, run the same examples each time, as Hypothesis' own CI profile does.
    **({"database": None, "derandomize": True} if os.environ.get("CI") else {}),
    suppress_health_check=CHECKS,
)
settings.register_profile("long", settings.get_profile("short"), max_examples=10_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> MotoDynamoDB:
    """Return an in-process DynamoDB. The world's clock measures the time budget of events."""
    for module in (dispatch, publish_requests):
        monkeypatch.setattr(module, "event_budget", partial(event_budget, clock=clock))
    for module in (captions, publishing):
        monkeypatch.setattr(module, "Background", InlineBackground)
    create_tables(*(table_request(name, SCHEMA[name]) for name in WORLD_TABLES))
    return MotoDynamoDB()
