"""How many examples a run has: 90, or 10,000 in the profile "long".

`pytest tests/properties --hypothesis-profile=long` takes about two hours. Name this folder with the
profile: only then does pytest find it in time.
"""

import os
from functools import partial

import pytest
from hypothesis import HealthCheck, settings

from chalicelib import dispatch
from chalicelib.aws.retries import event_budget
from devserver.aws import table_request
from tests.moto_dynamodb import MotoDynamoDB, create_tables
from tests.unit.fakes import SCHEMA, Clock

CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)

settings.register_profile(
    "short",
    max_examples=90,
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    # The same examples each time, as Hypothesis' own profile for CI has it; elsewhere new ones.
    **({"database": None, "derandomize": True} if os.environ.get("CI") else {}),
    suppress_health_check=CHECKS,
)
settings.register_profile("long", settings.get_profile("short"), max_examples=10_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> MotoDynamoDB:
    """DynamoDB in process; what an event may take is measured by the world's clock."""
    monkeypatch.setattr(dispatch, "event_budget", partial(event_budget, clock=clock))
    create_tables(*(table_request(name, SCHEMA[name]) for name in ("sessions", "connections")))
    return MotoDynamoDB()
