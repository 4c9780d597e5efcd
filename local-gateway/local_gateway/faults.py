"""Fault injection, which lets requests, handlers and events fail or slow down on purpose."""

import random
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any

from local_gateway.functions import Function

MAX_WAIT_SECONDS = 24 * 3600
"""Longest delay that a fault can have."""

MAX_CONCURRENCY = 1000
"""Largest concurrency limit of a fault. Source: Lambda's default quota."""


class InvalidFault(Exception):
    """The fault doesn't exist or the value isn't valid. The message explains which values are."""


class FaultInjected(Exception):
    """The error that a handler raises because of a fault."""


class Throttled(Exception):
    """The invocation exceeds the concurrency limit. No code of the function has run."""


@dataclass(frozen=True, slots=True)
class Faults:
    """The settings of all faults.

    Shares range from 0 (never) to 1 (always). A delay applies always, unless its share is lower.
    """

    connect_throttled_share: float = 0
    authorizer_timeout_share: float = 0
    authorizer_timeout_ms: float = 1000
    connection_silent_share: float = 0
    message_throttled_share: float = 0
    message_outlived_share: float = 0
    disconnect_lost_share: float = 0
    disconnect_twice_share: float = 0
    disconnect_late_share: float = 1
    disconnect_late_seconds: float = 0
    post_gone_share: float = 0
    post_throttled_share: float = 0
    post_slow_share: float = 1
    post_slow_ms: float = 0
    handler_raises_share: float = 0
    handler_slow_share: float = 1
    handler_slow_ms: float = 0
    handler_only: str | None = None
    lambda_concurrency: int | None = None
    invocation_twice_share: float = 0
    dynamodb_throttled_share: float = 0
    dynamodb_down_share: float = 0
    dynamodb_slow_share: float = 1
    dynamodb_slow_ms: float = 0
    dynamodb_only_table: str | None = None

    def changed(self, values: Mapping[str, Any]) -> "Faults":
        """Return a copy with some settings changed.

        Raises:
            InvalidFault: A name or value isn't valid.
        """
        for name, value in values.items():
            _check(name, value)
        return replace(self, **values)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings by name."""
        return asdict(self)

    @property
    def affects_messages(self) -> bool:
        """Whether a fault can apply to clients' messages."""
        return bool(self.message_throttled_share or self.message_outlived_share)

    @property
    def affects_posts(self) -> bool:
        """Whether a fault can apply to posts to connections."""
        return bool(self.post_gone_share or self.post_throttled_share or self.post_slow_ms)

    @property
    def affects_handlers(self) -> bool:
        """Whether a fault can apply to functions."""
        is_limited = self.lambda_concurrency is not None
        return bool(self.handler_raises_share or self.handler_slow_ms or is_limited)

    @property
    def affects_dynamodb(self) -> bool:
        """Whether a fault can apply to DynamoDB requests."""
        shares = self.dynamodb_throttled_share or self.dynamodb_down_share
        return bool(shares or self.dynamodb_slow_ms)


_NAMES = tuple(field.name for field in fields(Faults))


def parse_fault(text: str) -> tuple[str, Any]:
    """Split a command-line argument `name=value`. Doesn't check that the fault exists.

    Raises:
        InvalidFault: The argument contains no "=".
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidFault(f"{text!r} must be name=value")
    if value == "null":
        return name, None
    if "_only" not in name:
        with suppress(ValueError):
            return name, float(value)
    return name, value


def _check(name: str, value: Any) -> None:
    if name not in _NAMES:
        raise InvalidFault(f"unknown fault {name!r}; the faults are {', '.join(_NAMES)}")
    if "_only" in name:
        if value is not None and not isinstance(value, str):
            raise InvalidFault(f"{name} must be a string, or null for all")
    elif name == "lambda_concurrency":
        _check_concurrency(name, value)
    elif name.endswith("_share"):
        _check_number(name, value, 1)
    else:
        _check_number(name, value, MAX_WAIT_SECONDS * (1000 if name.endswith("_ms") else 1))


def _check_concurrency(name: str, value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and value in range(MAX_CONCURRENCY + 1)):
        raise InvalidFault(
            f"{name} must be a whole number from 0 to {MAX_CONCURRENCY}, or null for no limit"
        )


def _check_number(name: str, value: Any, maximum: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= maximum:
        raise InvalidFault(f"{name} must be a number from 0 to {maximum}")


def check_targets(faults: Faults, labels: Collection[str], tables: Collection[str]) -> None:
    """Check that the function and the table that faults are limited to exist.

    Args:
        faults: The faults.
        labels: The labels of the application's functions.
        tables: The tables' names. Empty if there is no embedded AWS.

    Raises:
        InvalidFault: One of them doesn't exist.
    """
    if faults.affects_dynamodb and not tables:
        raise InvalidFault("DynamoDB faults need the embedded AWS, and the gateway runs without it")
    _check_target("handler_only", faults.handler_only, labels)
    _check_target("dynamodb_only_table", faults.dynamodb_only_table, tables)


def _check_target(name: str, target: str | None, known: Collection[str]) -> None:
    if target is not None and target not in known:
        names = ", ".join(sorted(known))
        raise InvalidFault(f"{name}: {target!r} doesn't exist; choose one of: {names}")


class FaultInjector:
    """Decides at random, by the current settings, where faults apply."""

    def __init__(self, seed: int) -> None:
        """Start without faults.

        Args:
            seed: Random seed. The same seed selects the same requests.
        """
        self._random = random.Random(seed)  # noqa: S311
        self._connection_random = random.Random(seed)  # noqa: S311
        self.faults = Faults()

    @property
    def faults(self) -> Faults:
        """The current settings."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self.affects_messages = faults.affects_messages
        self.affects_posts = faults.affects_posts
        self.affects_handlers = faults.affects_handlers

    def selects(self, share: float) -> bool:
        """Return, at random, whether a fault with this share applies now.

        A share of 0 doesn't use up a random number.
        """
        return share > 0 and self._random.random() < share

    def draw_for_connection(self) -> float:
        """Return a connection's random number. A fault applies if its share is above the number."""
        return self._connection_random.random()

    def delay(self, share: float, delay: float) -> float:
        """Return the delay if a fault with this share applies now, otherwise 0."""
        return delay if delay and self.selects(share) else 0.0

    def wrap(self, function: Function) -> Callable[[Any], Any]:
        """Return the function, wrapped if faults apply to its next invocation."""
        faults = self._faults
        if faults.handler_only not in (None, function.label):
            return function
        delay_seconds = self.delay(faults.handler_slow_share, faults.handler_slow_ms / 1000)
        raises = self.selects(faults.handler_raises_share)
        if not delay_seconds and not raises:
            return function
        return partial(_run_with_faults, function, delay_seconds, raises)


def _run_with_faults(function: Function, wait_seconds: float, raises: bool, event: Any) -> Any:
    time.sleep(wait_seconds)
    if raises:
        raise FaultInjected("handler_raises_share")
    return function(event)
