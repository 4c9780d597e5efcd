"""Fixtures: the domain on moto's DynamoDB, in process, with a clock that tests advance."""

import gc
import logging
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from chalicelib.assembly import UseCases, build_dispatcher, build_use_cases
from chalicelib.audience import Audience
from chalicelib.dispatch import Dispatcher
from chalicelib.ending import Ending
from chalicelib.lifecycle import Lifecycle
from chalicelib.limits import Graces, Limits
from chalicelib.models import Caller
from chalicelib.notices import Notices
from chalicelib.pipeline import Pipeline
from chalicelib.rate_limits import RateLimits
from chalicelib.settings import RateLimitSettings
from chalicelib.slices import Slices
from chalicelib.store.stores import Stores, build_stores
from chalicelib.sweep import Sweep, build_sweep
from local_gateway.aws import table_request
from tests.moto_dynamodb import MotoDynamoDB, create_tables
from tests.unit.fakes import (
    ADDRESS,
    CREATE,
    JOINS_A_MINUTE,
    SCHEMA,
    TABLES,
    Clock,
    FakeConnections,
    FakeFunctions,
    FakeOutcomes,
    Wire,
    frame,
    reply,
)


def pytest_collection_finish() -> None:
    """Exclude all imported modules from garbage collection: they stay until the end."""
    gc.freeze()


@pytest.fixture(autouse=True)
def restore_loggers() -> Iterator[None]:
    """Restore the loggers after a test. Its handlers write to a stream that is then closed."""
    loggers = [
        logging.getLogger(name) for name in ("", "broadcast_sessions", "broadcast_sessions.metrics")
    ]
    before = [([*logger.handlers], logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate, logger.level = handlers, propagate, level


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dynamodb() -> MotoDynamoDB:
    """Return the application's client on empty tables."""
    create_tables(*(table_request(name, SCHEMA[name]) for name in SCHEMA))
    return MotoDynamoDB()


@pytest.fixture
def stores(dynamodb: Any, clock: Clock) -> Stores:
    return build_stores(dynamodb, TABLES, 600, clock)


@pytest.fixture
def phones() -> FakeConnections:
    return FakeConnections()


@pytest.fixture
def functions() -> FakeFunctions:
    """Return the functions that the pipeline invokes."""
    return FakeFunctions()


@pytest.fixture
def pipeline(functions: Any, clock: Clock) -> Pipeline:
    return Pipeline(functions, "interpreter", clock)


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


LIMITS = Limits(
    max_listeners=3,
    heartbeat_interval_seconds=30,
    heartbeat_settled_seconds=90,
    heartbeat_timeout_seconds=90,
    heartbeats_per_minute=2,
    session_max_duration_seconds=7200,
    refresh_after_seconds=6000,
    warn_after_seconds=6300,
    max_refused_commands=20,
    captions_per_minute=60,
)

GRACES = Graces(lost_seconds=60, closed_seconds=5)


@pytest.fixture
def build(
    stores: Stores,
    phones: FakeConnections,
    rate_limits: RateLimits,
    pipeline: Pipeline,
    outcomes: FakeOutcomes,
    clock: Clock,
) -> Callable[..., UseCases]:
    """Return a function that builds use cases. Named collaborators replace the defaults."""
    numbers = count(100)

    def build(**named: Any) -> UseCases:
        defaults = {
            "stores": stores,
            "connections": phones,
            "rate_limits": rate_limits,
            "limits": LIMITS,
            "graces": GRACES,
            "pipeline": pipeline,
            "outcomes": outcomes,
            "endpoint_url": "https://api/stage",
            "clock": clock,
            "new_session_id": lambda: f"golden-eagle-{next(numbers)}",
            "new_invite_code": lambda: "code-of-the-hall",
            "sleep": clock.sleep,
        }
        return build_use_cases(**{**defaults, **named})

    return build


@pytest.fixture
def use_cases(build: Callable[..., UseCases]) -> UseCases:
    """Return the use cases, whose waits advance the clock."""
    return build()


@pytest.fixture
def lifecycle(use_cases: UseCases) -> Lifecycle:
    return use_cases.lifecycle


@pytest.fixture
def sweep_of(
    stores: Stores,
    phones: FakeConnections,
    pipeline: Pipeline,
    outcomes: FakeOutcomes,
    clock: Clock,
) -> Callable[..., Sweep]:
    """Return a function that builds a sweep. Named collaborators replace the defaults.

    The sweep's waits advance the clock, and it visits one session at a time.
    """

    def sweep_of(**named: Any) -> Sweep:
        defaults = {
            "stores": stores,
            "connections": phones,
            "graces": GRACES,
            "max_listeners": LIMITS.max_listeners,
            "pipeline": pipeline,
            "outcomes": outcomes,
            "endpoint_url": "https://api/stage",
            "clock": clock,
            "stopwatch": clock,
            "sleep": clock.sleep,
            "session_threads": 1,
        }
        return build_sweep(**{**defaults, **named})

    return sweep_of


@pytest.fixture
def notices_of(
    stores: Stores, phones: FakeConnections, pipeline: Pipeline, outcomes: Any, clock: Clock
) -> Callable[..., Notices]:
    """Return a function that builds notices, on other stores or connections if given."""

    def notices_of(
        stores: Stores = stores, connections: Any = phones, slices: Slices | None = None
    ) -> Notices:
        audience = Audience(stores, pipeline, outcomes, "https://api/stage", clock)
        return Notices(stores, connections, audience, pipeline, clock, clock.sleep, slices)

    return notices_of


@pytest.fixture
def ending_of(
    stores: Stores,
    phones: FakeConnections,
    notices_of: Callable[..., Notices],
    pipeline: Pipeline,
    clock: Clock,
) -> Callable[..., Ending]:
    """Return a function that builds an ending, on other stores or connections if given."""

    def ending_of(stores: Stores = stores, connections: Any = phones) -> Ending:
        return Ending(stores, notices_of(stores, connections), pipeline, clock)

    return ending_of


@pytest.fixture
def sweep(sweep_of: Callable[..., Sweep]) -> Sweep:
    return sweep_of()


@pytest.fixture
def speaker(clock: Clock) -> Caller:
    return Caller("speaker=", "user-1", int(clock() * 1000), ADDRESS)


@pytest.fixture
def outcomes() -> FakeOutcomes:
    return FakeOutcomes()


@pytest.fixture
def dispatcher(
    use_cases: UseCases, rate_limits: RateLimits, outcomes: FakeOutcomes, clock: Clock
) -> Dispatcher:
    return build_dispatcher(use_cases, rate_limits, outcomes, "https://api/stage", clock)


@pytest.fixture(params=["by URL", "by frame"])
def wire(request: pytest.FixtureRequest, dispatcher: Dispatcher, outcomes: FakeOutcomes) -> Wire:
    return Wire(dispatcher, outcomes, by_url=request.param == "by URL")


@pytest.fixture
def session_id(dispatcher: Dispatcher) -> str:
    """Return the ID of a session of user-1, whose connection is speaker=."""
    return str(reply(dispatcher.message(frame("speaker=", "user-1", **CREATE)))["sessionId"])
