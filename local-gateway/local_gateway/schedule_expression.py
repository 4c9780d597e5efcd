"""EventBridge's schedule expressions, rate(...) and cron(...).

Times are UTC, in seconds since 1970. The year of a cron expression must be `*`, and `W` is
supported only as `LW`.
Source: EventBridge user guide, "eb-scheduled-rule-pattern".
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

_UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_RATE = re.compile(r"rate\(([1-9][0-9]*) (minute|hour|day)(s?)\)")
_CRON = re.compile(r"cron\((.+)\)")


class InvalidExpression(Exception):
    """EventBridge or the gateway doesn't accept the expression. The message explains why."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A fixed interval, counted from the start of the gateway."""

    period_seconds: int

    def next_after(self, moment: float, started_at: int) -> float:
        """Return the first due time after a moment."""
        periods = int((moment - started_at) // self.period_seconds) + 1
        return started_at + periods * self.period_seconds


@dataclass(frozen=True, slots=True)
class Cron:
    """The minutes that match five fields in cronsim's format, in which weekday 0 is Sunday."""

    fields: str

    def next_after(self, moment: float, _started_at: int) -> float:
        """Return the first due time after a moment."""
        return next(CronSim(self.fields, datetime.fromtimestamp(moment, UTC))).timestamp()


def parse_expression(text: str) -> Rate | Cron:
    """Parse an expression such as `rate(5 minutes)` or `cron(0 12 * * ? *)`.

    Raises:
        InvalidExpression: The expression isn't valid or isn't supported.
    """
    rate, cron = _RATE.fullmatch(text), _CRON.fullmatch(text)
    if rate is not None:
        return _parse_rate(text, int(rate[1]), rate[2], is_plural=bool(rate[3]))
    if cron is not None:
        return _parse_cron(text, cron[1].split())
    raise InvalidExpression(f"{text!r} is neither rate(value unit) nor cron(six fields)")


def _parse_rate(text: str, value: int, unit: str, *, is_plural: bool) -> Rate:
    if is_plural == (value == 1):
        raise InvalidExpression(
            f"{text!r}: EventBridge requires the singular {unit} with 1, and {unit}s otherwise"
        )
    return Rate(value * _UNIT_SECONDS[unit])


def _parse_cron(text: str, fields: list[str]) -> Cron:
    if len(fields) != 6:
        raise InvalidExpression(f"{text!r} has {len(fields)} fields, not six")
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise InvalidExpression(
            f"{text!r}: either the day of the month or the day of the week must be ?"
        )
    if year != "*":
        raise InvalidExpression(f"{text!r}: the gateway supports only * as the year")
    day, weekday = ("*" if field == "?" else field for field in (day, weekday))
    converted = f"{minute} {hour} {day} {month} {_from_sunday(weekday)}"
    try:
        CronSim(converted, datetime.now(UTC))
    except CronSimError as error:
        raise InvalidExpression(f"{text!r}: {error}") from None
    return Cron(converted)


def _from_sunday(weekday: str) -> str:
    """Convert EventBridge's weekdays, 1 to 7, to cronsim's, 0 to 6."""
    numbers = {str(number + 1): str(number) for number in range(7)}
    converted = re.sub(r"(?<![#/\d])\d+", lambda it: numbers.get(it[0], "?"), weekday)
    # cronsim also has 7 for Sunday, so a step without an end would go beyond Saturday.
    return re.sub(r"(?<![\w*-])(\w+)/", r"\1-SAT/", converted)
