"""The domain on moto's DynamoDB, in process, with a clock that the tests turn."""

import logging
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from chalicelib.dispatch import Dispatcher
from chalicelib.lifecycle import Lifecycle
from chalicelib.models import Caller
from chalicelib.rate_limits import RateLimits
from chalicelib.sessions import Limits, Sessions
from chalicelib.settings import RateLimitSettings
from chalicelib.store import Store
from chalicelib.sweep import Sweep
from devserver.aws import table_request
from tests.moto_dynamodb import MotoDynamoDB, create_tables
from tests.unit.fakes import (
    ADDRESS,
    CREATE,
    JOINS_A_MINUTE,
    SCHEMA,
    Clock,
    FakeConnections,
    FakeOutcomes,
    Wire,
    frame,
    reply,
)


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """Take back what a test set up, whose captured output is closed when it is over."""
    loggers = [
        logging.getLogger(name) for name in ("", "broadcast_sessions", "broadcast_sessions.metrics")
    ]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate, logger.level = handlers, propagate, level


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dynamodb() -> MotoDynamoDB:
    """Return the application's client, on empty tables."""
    create_tables(*(table_request(name, SCHEMA[name]) for name in SCHEMA))
    return MotoDynamoDB()


@pytest.fixture
def store(dynamodb: Any, clock: Clock) -> Store:
    return Store(dynamodb, "sessions", "connections", clock)


@pytest.fixture
def phones() -> FakeConnections:
    return FakeConnections()


@pytest.fixture
def lifecycle(store: Store, phones: FakeConnections, clock: Clock) -> Lifecycle:
    """A lifecycle whose naps turn the clock."""

    def sleep(seconds: float) -> None:
        clock.now += seconds

    return Lifecycle(
        store,
        phones,  # type: ignore[arg-type]
        speaker_grace_seconds=60,
        speaker_close_grace_seconds=5,
        clock=clock,
        sleep=sleep,
    )


@pytest.fixture
def rate_limits(dynamodb: Any, clock: Clock) -> RateLimits:
    settings = RateLimitSettings(
        table="rate_limits",
        hash_key=b"key",
        sessions_per_hour=50,
        refused_attempts_per_minute=20,
        listener_joins_per_minute=JOINS_A_MINUTE,
        invited_joins_per_minute=1000,
        connections_per_minute=3000,
    )
    return RateLimits(dynamodb.update_item, settings, clock)


@pytest.fixture
def sessions(store: Store, lifecycle: Lifecycle, rate_limits: RateLimits, clock: Clock) -> Sessions:
    numbers = count(100)
    return Sessions(
        store=store,
        lifecycle=lifecycle,
        rate_limits=rate_limits,
        limits=Limits(
            max_listeners=3,
            heartbeat_interval_seconds=30,
            heartbeat_settled_seconds=90,
            heartbeat_timeout_seconds=90,
            heartbeats_per_minute=2,
            session_max_duration_seconds=7200,
            refresh_after_seconds=6000,
            warn_after_seconds=6300,
            max_refused_commands=20,
        ),
        clock=clock,
        new_session_id=lambda: f"golden-eagle-{next(numbers)}",
        new_invite_code=lambda: "code-of-the-hall",
        sleep=lambda _: None,
    )


@pytest.fixture
def sweep(lifecycle: Lifecycle, clock: Clock) -> Sweep:
    """A sweep whose naps turn the clock, and which looks at one session after the other."""

    def sleep(seconds: float) -> None:
        clock.now += seconds

    return Sweep(
        lifecycle, max_listeners=3, clock=clock, stopwatch=clock, sleep=sleep, session_threads=1
    )


@pytest.fixture
def speaker(clock: Clock) -> Caller:
    return Caller("speaker=", "user-1", int(clock() * 1000), ADDRESS)


@pytest.fixture
def outcomes() -> FakeOutcomes:
    return FakeOutcomes()


@pytest.fixture
def dispatcher(
    sessions: Sessions, rate_limits: RateLimits, outcomes: FakeOutcomes, clock: Clock
) -> Dispatcher:
    url = "https://api/stage"
    return Dispatcher(sessions, rate_limits, outcomes, url, clock)  # type: ignore[arg-type]


@pytest.fixture(params=["by URL", "by frame"])
def wire(request: pytest.FixtureRequest, dispatcher: Dispatcher, outcomes: FakeOutcomes) -> Wire:
    return Wire(dispatcher, outcomes, by_url=request.param == "by URL")


@pytest.fixture
def session_id(dispatcher: Dispatcher) -> str:
    """A session of user-1 on the connection speaker=."""
    return str(reply(dispatcher.message(frame("speaker=", "user-1", **CREATE)))["sessionId"])
