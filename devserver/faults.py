"""What is made to go wrong, for whom, and how often. No I/O."""

import random
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any

from devserver.functions import Function

MAX_WAIT_SECONDS = 24 * 3600
"""No fault makes anything wait longer."""


class InvalidFault(Exception):
    """There is no such fault, or it cannot have this value; the message says what it can."""


class FaultInjected(Exception):
    """What a handler raises that was made to fail."""


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults by their names. A share is from 0 (nobody) to 1 (everybody).

    Something is slow or late when it is given a time, and everybody is, unless a share is given.
    """

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
    dynamodb_throttled_share: float = 0
    dynamodb_down_share: float = 0
    dynamodb_slow_share: float = 1
    dynamodb_slow_ms: float = 0
    dynamodb_only_table: str | None = None

    def changed(self, values: Mapping[str, Any]) -> "Faults":
        """Return these faults with some changed; raises InvalidFault."""
        for name, value in values.items():
            _check(name, value)
        return replace(self, **values)

    def to_dict(self) -> dict[str, Any]:
        """Return every fault by its name."""
        return asdict(self)

    @property
    def afflicts_posts(self) -> bool:
        """Whether any post to a connection may be struck."""
        return bool(self.post_gone_share or self.post_throttled_share or self.post_slow_ms)

    @property
    def afflicts_handlers(self) -> bool:
        """Whether any function may be struck."""
        return bool(self.handler_raises_share or self.handler_slow_ms)

    @property
    def afflicts_dynamodb(self) -> bool:
        """Whether any request to DynamoDB may be struck."""
        shares = self.dynamodb_throttled_share or self.dynamodb_down_share
        return bool(shares or self.dynamodb_slow_ms)


_NAMES = tuple(field.name for field in fields(Faults))


def parse_fault(text: str) -> tuple[str, Any]:
    """Parse `name=value`, as the command takes it; neither is checked. Raises InvalidFault."""
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidFault(f"{text!r} is not name=value")
    if "_only" not in name:
        with suppress(ValueError):
            return name, float(value)
    return name, value


def _check(name: str, value: Any) -> None:
    if name not in _NAMES:
        raise InvalidFault(f"there is no fault {name!r}; there are {', '.join(_NAMES)}")
    if "_only" in name:
        if value is not None and not isinstance(value, str):
            raise InvalidFault(f"{name} must be a text, or null for all")
    elif name.endswith("_share"):
        _check_number(name, value, 1)
    else:
        _check_number(name, value, MAX_WAIT_SECONDS * (1000 if name.endswith("_ms") else 1))


def _check_number(name: str, value: Any, maximum: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= maximum:
        raise InvalidFault(f"{name} must be a number from 0 to {maximum}")


def check_targets(faults: Faults, labels: Collection[str], tables: Collection[str]) -> None:
    """Check that whom the faults are limited to is there; raises InvalidFault.

    `tables` is empty when the application's DynamoDB is not this server's.
    """
    if faults.afflicts_dynamodb and not tables:
        raise InvalidFault("dynamodb faults need the embedded AWS, and --no-aws was given")
    _check_target("handler_only", faults.handler_only, labels)
    _check_target("dynamodb_only_table", faults.dynamodb_only_table, tables)


def _check_target(name: str, target: str | None, known: Collection[str]) -> None:
    if target is not None and target not in known:
        raise InvalidFault(f"{name}: there is no {target!r}; there are {', '.join(sorted(known))}")


class Dice:
    """The faults that are on, and the one source of chance for whom they strike."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self.faults = Faults()

    @property
    def faults(self) -> Faults:
        """The faults that are on."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self.afflicts_posts = faults.afflicts_posts
        self.afflicts_handlers = faults.afflicts_handlers

    def strikes(self, share: float) -> bool:
        """Say whether one more is among the share; a share of 0 costs no throw."""
        return share > 0 and self._random.random() < share

    def amount(self, share: float, amount: float) -> float:
        """Return how long one more has to wait: the amount if it is among the share, else 0."""
        return amount if amount and self.strikes(share) else 0.0

    def handler(self, function: Function) -> Callable[[Any], Any]:
        """Return what is run when the function is: itself, unless a fault strikes it."""
        faults = self._faults
        if faults.handler_only not in (None, function.label):
            return function
        wait_seconds = self.amount(faults.handler_slow_share, faults.handler_slow_ms / 1000)
        raises = self.strikes(faults.handler_raises_share)
        if not wait_seconds and not raises:
            return function
        return partial(_run_struck, function, wait_seconds, raises)


def _run_struck(function: Function, wait_seconds: float, raises: bool, event: Any) -> Any:
    time.sleep(wait_seconds)
    if raises:
        raise FaultInjected("handler_raises_share")
    return function(event)
