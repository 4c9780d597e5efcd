"""The domain on moto's DynamoDB, in process, with a clock that the tests turn."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import boto3
import pytest
from moto import mock_aws

from chalicelib.models import Caller
from chalicelib.sessions import Limits, Sessions
from chalicelib.store import Store
from devserver.aws import table_request
from tests.unit.fakes import SCHEMA, Clock, FakeGateway


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        for name in ("sessions", "connections", "rate_limits"):
            client.create_table(**table_request(name, SCHEMA[name]))
        yield client


@pytest.fixture
def store(dynamodb: Any, clock: Clock) -> Store:
    return Store(dynamodb, "sessions", "connections", clock)


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def sessions(store: Store, gateway: FakeGateway, clock: Clock) -> Sessions:
    numbers = count(100)
    return Sessions(
        store=store,
        gateway=gateway,  # type: ignore[arg-type]
        limits=Limits(
            max_listeners=3, heartbeat_interval_seconds=30, session_max_duration_seconds=7200
        ),
        clock=clock,
        new_session_id=lambda: f"golden-eagle-{next(numbers)}",
        new_invite_code=lambda: "code-of-the-hall",
    )


@pytest.fixture
def speaker(clock: Clock) -> Caller:
    return Caller("speaker=", "user-1", int(clock() * 1000))
