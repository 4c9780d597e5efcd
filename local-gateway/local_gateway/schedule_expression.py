"""EventBridge's schedule expressions, rate(...) and cron(...).

Times are UTC, in seconds since 1970. The cron wildcards L, W and # aren't supported.
Source: EventBridge user guide, "eb-scheduled-rule-pattern".
"""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

_UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_RATE = re.compile(r"rate\(([1-9][0-9]*) (minute|hour|day)(s?)\)")
_CRON = re.compile(r"cron\((.+)\)")

Values = tuple[int, ...]


class InvalidExpression(Exception):
    """EventBridge or this server doesn't accept the expression. The message explains why."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A fixed interval, counted from the start of the server."""

    period_seconds: int

    def next_after(self, moment: float, started_at: int) -> float | None:
        """Return the first due time after a moment."""
        periods = int((moment - started_at) // self.period_seconds) + 1
        return started_at + periods * self.period_seconds


@dataclass(frozen=True, slots=True)
class Cron:
    """The minutes that match all fields. Weekdays are EventBridge's numbers, 1 is Sunday."""

    minutes: Values
    hours: Values
    days: Values
    months: Values
    weekdays: Values
    years: Values

    def next_after(self, moment: float, _started_at: int) -> float | None:
        """Return the first due time after a moment; None if there is none."""
        begin = datetime.fromtimestamp(moment, UTC).replace(second=0, microsecond=0)
        begin += timedelta(minutes=1)
        for day in self._days_from(begin.date()):
            for hour in self.hours:
                for minute in self.minutes:
                    due = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                    if due >= begin:
                        return due.timestamp()
        return None

    def _days_from(self, first: date) -> Iterator[date]:
        for year in self.years:
            for month in self.months:
                if (year, month) >= (first.year, first.month):
                    yield from self._days_of_month(year, month, first)

    def _days_of_month(self, year: int, month: int, first: date) -> Iterator[date]:
        last = monthrange(year, month)[1]
        for number in self.days:
            if number <= last:
                day = date(year, month, number)
                if day >= first and day.isoweekday() % 7 + 1 in self.weekdays:
                    yield day


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


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    first: int
    last: int
    words: tuple[str, ...] = ()

    def parse(self, text: str) -> Values:
        values = {value for part in text.split(",") for value in self._parse_part(part)}
        return tuple(sorted(values))

    def _parse_part(self, part: str) -> range:
        """Parse `*`, `3`, `MON` or `1-5`, each optionally with a step, such as `1-5/2`."""
        span, slash, step = part.partition("/")
        low, dash, high = span.partition("-")
        if slash and not (step.isascii() and step.isdigit() and int(step)):
            raise self._refuse(part)
        if span == "*":
            begin, end = self.first, self.last
        else:
            begin = self._parse_value(low, part)
            end = self._parse_value(high, part) if dash else self.last if slash else begin
        if begin > end:
            raise self._refuse(part)
        return range(begin, end + 1, int(step or 1))

    def _parse_value(self, text: str, part: str) -> int:
        if text.upper() in self.words:
            return self.first + self.words.index(text.upper())
        if text.isascii() and text.isdigit() and self.first <= int(text) <= self.last:
            return int(text)
        raise self._refuse(part)

    def _refuse(self, part: str) -> InvalidExpression:
        bounds = f"{self.first} to {self.last}"
        return InvalidExpression(
            f"{part!r} isn't a valid {self.name} ({bounds}; L, W and # aren't supported)"
        )


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 1, 7, _WEEKDAYS),
    _Field("year", 1970, 2199),
)
_DAY, _WEEKDAY = 2, 4


def _parse_cron(text: str, fields: list[str]) -> Cron:
    if len(fields) != len(_FIELDS):
        raise InvalidExpression(f"{text!r} has {len(fields)} fields, not six")
    if (fields[_DAY] == "?") == (fields[_WEEKDAY] == "?"):
        raise InvalidExpression(
            f"{text!r}: either the day of the month or the day of the week must be ?"
        )
    for index in (_DAY, _WEEKDAY):
        fields[index] = fields[index].replace("?", "*")
    try:
        return Cron(*(field.parse(part) for field, part in zip(_FIELDS, fields, strict=True)))
    except InvalidExpression as invalid:
        raise InvalidExpression(f"{text!r}: {invalid}") from None
