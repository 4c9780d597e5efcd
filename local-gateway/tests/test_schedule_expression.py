"""Parsing and due times of schedule expressions."""

from datetime import UTC, datetime

import pytest

from local_gateway.schedule_expression import InvalidExpression, parse_expression

STARTED_AT = 1_700_000_000


def next_of(text: str, after: str) -> str:
    """Return the next due time after another time, both in UTC and to the minute."""
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC).timestamp()
    due_at = parse_expression(text).next_after(moment, STARTED_AT)
    return datetime.fromtimestamp(due_at, UTC).isoformat()[:16]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 minute",
        "rate(0 minutes)",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(1.5 hours)",
        "rate(5 seconds)",
        "at(2030-01-01T00:00:00)",
        "cron()",
        "cron(0 12 * * ?)",
        "cron(0 12 * * ? * *)",
        "cron(60 12 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 12 0 * ? *)",
        "cron(0 12 ? * 0 *)",
        "cron(0 12 * 13 ? *)",
        "cron(0 12 * * ? 1969)",
        "cron(0 12 * * * *)",
        "cron(0 12 ? * ? *)",
        "cron(? 12 * * ? *)",
        "cron(0 12 ? * 8 *)",
        "cron(0 12 15W * ? *)",
        "cron(0 12 * * ? 2030)",
        "cron(0/0 12 * * ? *)",
        "cron(5-1 12 * * ? *)",
        "cron(1,,2 12 * * ? *)",
        "cron(-1 12 * * ? *)",
        "cron(0 0 30 2 ? *)",
    ],
)
def test_an_expression_that_is_not_supported_is_refused(text: str) -> None:
    with pytest.raises(InvalidExpression):
        parse_expression(text)


def test_a_refusal_names_the_field() -> None:
    with pytest.raises(InvalidExpression, match=r"'cron\(0 12 \* FOO \? \*\)': Bad month"):
        parse_expression("cron(0 12 * FOO ? *)")


@pytest.mark.parametrize(
    ("text", "period_seconds"),
    [("rate(1 minute)", 60), ("rate(2 hours)", 7200), ("rate(1 day)", 86400)],
)
def test_a_rate_is_counted_from_the_servers_start(text: str, period_seconds: int) -> None:
    rate = parse_expression(text)
    first = rate.next_after(STARTED_AT + 0.9, STARTED_AT)
    assert first == STARTED_AT + period_seconds
    assert rate.next_after(first, STARTED_AT) == STARTED_AT + 2 * period_seconds
    assert rate.next_after(first - 0.001, STARTED_AT) == first


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("cron(* * * * ? *)", "2026-01-31T23:59:59", "2026-02-01T00:00"),
        ("cron(0 12 * * ? *)", "2026-03-01T12:00", "2026-03-02T12:00"),
        ("cron(0 12 * * ? *)", "2026-03-01T11:59:59", "2026-03-01T12:00"),
        ("cron(0/15 8-9 * * ? *)", "2026-03-01T08:45", "2026-03-01T09:00"),
        ("cron(0/15 8-9 * * ? *)", "2026-03-01T09:45", "2026-03-02T08:00"),
        ("cron(*/20,5 * * * ? *)", "2026-03-01T00:00", "2026-03-01T00:05"),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-20T18:00", "2026-11-23T18:00"),
        ("cron(0 18 ? * 1 *)", "2026-11-20T18:00", "2026-11-22T18:00"),
        ("cron(0 0 31 * ? *)", "2026-01-31T00:00", "2026-03-31T00:00"),
        ("cron(0 0 29 feb ? *)", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("cron(0 18 ? * 2/2 *)", "2026-11-20T18:00", "2026-11-23T18:00"),
        ("cron(0 18 ? * 6#2 *)", "2026-11-20T18:00", "2026-12-11T18:00"),
        ("cron(0 18 ? * 6L *)", "2026-11-20T18:00", "2026-11-27T18:00"),
        ("cron(0 18 L * ? *)", "2026-11-20T18:00", "2026-11-30T18:00"),
    ],
)
def test_a_cron_is_due_at_the_first_matching_minute(text: str, after: str, expected: str) -> None:
    assert next_of(text, after) == expected
