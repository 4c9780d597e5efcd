"""Who asks too often is told when to come again; and what happens when nobody can count."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import telemetry
from chalicelib.dispatch import Dispatcher
from chalicelib.errors import RateLimitExceeded, ServiceUnavailable
from chalicelib.rate_limits import HOUR, MINUTE, RateLimits
from chalicelib.sessions import Sessions
from chalicelib.settings import RateLimitSettings
from tests.unit.fakes import (
    ADDRESS,
    CREATE,
    Clock,
    FakeOutcomes,
    Wire,
    closing,
    connecting,
    event,
    frame,
    reply,
    scan,
)

UNKNOWN = {"action": "joinSession", "sessionId": "golden-eagle-999", "targetLanguage": "es"}
ELSEWHERE = "198.51.100.1"
MAX_EXPRESSION_BYTES = 4096
"""Source: "Quotas in Amazon DynamoDB" (expression string)."""

SETTINGS = RateLimitSettings(
    table="rate_limits",
    hash_key=b"key",
    sessions_per_hour=50,
    refused_attempts_per_minute=20,
    listener_joins_per_minute=10,
    invited_joins_per_minute=1000,
    connections_per_minute=3000,
)

Count = Callable[[RateLimits], object]


def out_of_reach(**_: Any) -> dict[str, Any]:
    raise ServiceUnavailable("busy", retry_after_seconds=2)


@pytest.fixture
def failing(clock: Clock) -> RateLimits:
    """Limits whose table is out of reach."""
    return RateLimits(out_of_reach, SETTINGS, clock)


def retry_after_seconds(count: Callable[[], object]) -> int:
    with pytest.raises(RateLimitExceeded) as refusal:
        count()
    assert refusal.value.retry_after_seconds is not None
    return refusal.value.retry_after_seconds


def joining(session_id: str, **fields: str) -> dict[str, str]:
    return {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es", **fields}


# The protocol's table, line by line: a number small enough to be counted here, and the window.

TABLE: dict[str, tuple[str, Count, int]] = {
    "sessions created by one user": (
        "sessions_per_hour",
        lambda limits: limits.count_session("user-1"),
        HOUR,
    ),
    "joins from one address": (
        "listener_joins_per_minute",
        lambda limits: limits.count_join(ADDRESS, is_signed_in=False),
        MINUTE,
    ),
    "joins from one address by who is signed in": (
        "listener_joins_per_minute",
        lambda limits: limits.count_join(ADDRESS, is_signed_in=True),
        MINUTE,
    ),
    "joins with an invite code": (
        "invited_joins_per_minute",
        lambda limits: limits.count_invited_join("golden-eagle-427"),
        MINUTE,
    ),
    "connections from one address": (
        "connections_per_minute",
        lambda limits: limits.count_connection(ADDRESS),
        MINUTE,
    ),
}


@pytest.mark.parametrize(("setting", "count", "window_seconds"), TABLE.values(), ids=TABLE)
def test_one_more_than_the_limit_is_refused_until_the_window_is_over(
    dynamodb: Any, clock: Clock, setting: str, count: Count, window_seconds: int
) -> None:
    few: Any = {setting: 5}
    limits = RateLimits(dynamodb.update_item, replace(SETTINGS, **few), clock)
    clock.now += 12.5  # 1,800,000,000 is the beginning of an hour
    for _ in range(5):
        count(limits)
    assert retry_after_seconds(lambda: count(limits)) == window_seconds - 12
    clock.now += window_seconds - 12.6
    assert retry_after_seconds(lambda: count(limits)) == 1
    clock.now += 0.2
    count(limits)


OTHERS: dict[str, tuple[Count, Count]] = {
    "user": (
        lambda limits: limits.count_session("user-1"),
        lambda limits: limits.count_session("user-2"),
    ),
    "address of joins": (
        lambda limits: limits.count_join(ADDRESS, is_signed_in=False),
        lambda limits: limits.count_join(ELSEWHERE, is_signed_in=False),
    ),
    "session": (
        lambda limits: limits.count_invited_join("golden-eagle-427"),
        lambda limits: limits.count_invited_join("golden-eagle-428"),
    ),
    "address of connections": (
        lambda limits: limits.count_connection(ADDRESS),
        lambda limits: limits.count_connection(ELSEWHERE),
    ),
    "kind of join": (
        lambda limits: limits.count_join(ADDRESS, is_signed_in=False),
        lambda limits: limits.count_invited_join("golden-eagle-427"),
    ),
}


@pytest.mark.parametrize(("count", "count_other"), OTHERS.values(), ids=OTHERS)
def test_what_one_has_used_up_is_there_for_another(
    dynamodb: Any, clock: Clock, count: Count, count_other: Count
) -> None:
    one = replace(
        SETTINGS,
        sessions_per_hour=1,
        listener_joins_per_minute=1,
        invited_joins_per_minute=1,
        connections_per_minute=1,
    )
    limits = RateLimits(dynamodb.update_item, one, clock)
    count(limits)
    with pytest.raises(RateLimitExceeded):
        count(limits)
    count_other(limits)


def test_the_protocols_numbers_are_what_is_allowed(
    dispatcher: Dispatcher, rate_limits: RateLimits, session_id: str, clock: Clock
) -> None:
    # One of 50 sessions is the fixture's.
    for _ in range(49):
        rate_limits.count_session("user-1")
    refusal = reply(dispatcher.message(frame("new=", "user-1", **CREATE)))
    assert refusal["code"] == "RATE_LIMIT_EXCEEDED"
    assert refusal["temporary"] is True
    assert refusal["retryAfter"] == 3600
    assert reply(dispatcher.message(frame("new=", "user-2", **CREATE)))["type"] == "sessionCreated"


def test_a_connection_too_many_is_refused_with_429_whatever_it_is_for(
    rate_limits: RateLimits, dispatcher: Dispatcher, dynamodb: Any, clock: Clock, session_id: str
) -> None:
    few = replace(SETTINGS, connections_per_minute=2)
    limits = RateLimits(dynamodb.update_item, few, clock)
    for _ in range(2):
        limits.count_connection(ADDRESS)
    narrow = Dispatcher(dispatcher._sessions, limits, FakeOutcomes(), "url", clock)  # type: ignore[arg-type]
    assert narrow.connect(connecting("a=")) == {"statusCode": 429}
    assert narrow.connect(connecting("b=", "user-1", **CREATE)) == {"statusCode": 429}
    join = joining(session_id, inviteCode="code-of-the-hall")
    assert narrow.connect(connecting("c=", **join)) == {"statusCode": 429}
    assert len(scan(dynamodb, "connections")) == 1


def test_a_join_that_is_refused_leaves_nothing_behind(
    wire: Wire, session_id: str, rate_limits: RateLimits, dynamodb: Any
) -> None:
    for _ in range(10):
        rate_limits.count_join(ADDRESS, is_signed_in=False)
    assert wire.refuses("RATE_LIMIT_EXCEEDED", "b=", **joining(session_id))
    (session,) = scan(dynamodb, "sessions")
    assert session["listenerCount"] == {"N": "0"}
    assert [item["connectionId"]["S"] for item in scan(dynamodb, "connections")] == ["speaker="]


def test_a_join_that_was_refused_may_be_tried_again_on_the_same_connection(
    dispatcher: Dispatcher, session_id: str, rate_limits: RateLimits, clock: Clock
) -> None:
    for _ in range(10):
        rate_limits.count_join(ADDRESS, is_signed_in=False)
    refusal = reply(dispatcher.message(frame("b=", **joining(session_id))))
    assert refusal["code"] == "RATE_LIMIT_EXCEEDED"
    clock.now += refusal["retryAfter"]
    assert reply(dispatcher.message(frame("b=", **joining(session_id))))["type"] == "sessionJoined"


def test_a_join_that_was_refused_is_no_way_round_the_limit_by_a_refresh(
    wire: Wire, session_id: str, rate_limits: RateLimits, dispatcher: Dispatcher
) -> None:
    for _ in range(10):
        rate_limits.count_join(ADDRESS, is_signed_in=False)
    assert wire.refuses("RATE_LIMIT_EXCEEDED", "b=", **joining(session_id))
    refresh = {**joining(session_id), "action": "refreshConnection", "role": "listener"}
    assert wire.refuses("RATE_LIMIT_EXCEEDED", "c=", **refresh, connectionId="b=")


def test_a_hall_comes_in_with_its_code_through_one_address(
    sessions: Sessions, rate_limits: RateLimits, outcomes: FakeOutcomes, clock: Clock
) -> None:
    wide = replace(sessions, limits=replace(sessions.limits, max_listeners=500))
    dispatcher = Dispatcher(wide, rate_limits, outcomes, "url", clock)  # type: ignore[arg-type]
    created = reply(dispatcher.message(frame("speaker=", "user-1", **CREATE)))
    code = {"inviteCode": created["inviteCode"]}
    for number in range(60):
        url = connecting(f"{number}=", **joining(created["sessionId"], **code))
        assert dispatcher.connect(url) == {"statusCode": 200}


# Refused attempts

ATTEMPTS: dict[str, dict[str, str]] = {
    "an unknown session": UNKNOWN,
    "a refresh of an unknown session": {
        "action": "refreshConnection",
        "sessionId": "golden-eagle-999",
        "role": "listener",
        "targetLanguage": "es",
        "connectionId": "never-was=",
    },
    "a session without a token": CREATE,
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_the_twenty_first_refused_attempt_within_a_minute_is_told_so(
    wire: Wire, attempt: dict[str, str], clock: Clock
) -> None:
    for number in range(20):
        assert not wire.refuses("RATE_LIMIT_EXCEEDED", f"{number}=", **attempt)
    assert wire.refuses("RATE_LIMIT_EXCEEDED", "one-more=", **attempt)
    clock.now += 60
    assert not wire.refuses("RATE_LIMIT_EXCEEDED", "later=", **attempt)


def test_wrong_codes_and_missing_rights_count_as_refused_attempts(
    dispatcher: Dispatcher, session_id: str, rate_limits: RateLimits
) -> None:
    dispatcher.message(frame("b=", **joining(session_id)))
    wrong = frame("c=", **joining(session_id, inviteCode="wrong"))
    assert reply(dispatcher.message(wrong))["code"] == "FORBIDDEN"
    assert reply(dispatcher.message(frame("b=", action="endSession")))["code"] == "FORBIDDEN"
    for _ in range(18):
        assert rate_limits.count_refusal(ADDRESS) is None
    assert rate_limits.count_refusal(ADDRESS) == 60


@pytest.mark.parametrize(
    "mistake",
    [
        {"action": "fly"},
        {"action": "joinSession"},
        {"action": "joinSession", "sessionId": "x", "targetLanguage": "es"},
        {"action": "changeLanguage", "targetLanguage": "es"},
    ],
)
def test_an_honest_mistake_is_no_attempt(
    dispatcher: Dispatcher, dynamodb: Any, mistake: dict[str, str]
) -> None:
    assert reply(dispatcher.message(frame("a=", **mistake)))["type"] == "error"
    assert scan(dynamodb, "rate_limits") == []


def suspect(limits: RateLimits, attempts: int = 21) -> None:
    """Make an address one with too many refused attempts."""
    for _ in range(attempts):
        limits.count_refusal(ADDRESS)


def test_after_twenty_refused_attempts_nobody_comes_in_from_there_without_token_or_code(
    wire: Wire, session_id: str, rate_limits: RateLimits
) -> None:
    suspect(rate_limits, 20)
    assert wire.refuses("RATE_LIMIT_EXCEEDED", "b=", **joining(session_id))


@pytest.mark.parametrize("rest", [{"inviteCode": "code-of-the-hall"}, {"user_id": "user-2"}])
def test_who_has_a_code_or_a_token_comes_in_from_there_all_the_same(
    wire: Wire, session_id: str, rate_limits: RateLimits, rest: dict[str, str]
) -> None:
    suspect(rate_limits)
    assert wire.give("b=", **rest, **joining(session_id))["type"] == "sessionJoined"


def test_a_speaker_there_may_still_create_and_is_told_his_own_refusals(
    wire: Wire, rate_limits: RateLimits
) -> None:
    suspect(rate_limits)
    assert wire.give("a=", "user-1", **CREATE)["type"] == "sessionCreated"
    assert wire.refuses("SESSION_NOT_FOUND", "b=", "user-1", **UNKNOWN)


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_listener_there_may_still_refresh(
    wire: Wire, session_id: str, rate_limits: RateLimits, dispatcher: Dispatcher, is_lost: bool
) -> None:
    dispatcher.message(frame("old=", **joining(session_id)))
    if is_lost:
        dispatcher.disconnect(closing("old=", 1006))
    suspect(rate_limits)
    refresh = {**joining(session_id), "action": "refreshConnection", "role": "listener"}
    refreshed = wire.give("new=", **refresh, connectionId="old=")
    assert refreshed["type"] == "connectionRefreshComplete"


def test_a_wrong_code_from_there_says_nothing_of_the_code(
    wire: Wire, session_id: str, rate_limits: RateLimits
) -> None:
    suspect(rate_limits)
    wrong = joining(session_id, inviteCode="wrong")
    assert wire.refuses("RATE_LIMIT_EXCEEDED", "b=", **wrong)


def test_other_addresses_do_not_pay_for_it(
    dispatcher: Dispatcher, session_id: str, rate_limits: RateLimits
) -> None:
    suspect(rate_limits)
    elsewhere = event(
        "b=",
        body=json.dumps(joining(session_id)),
        context={"identity": {"sourceIp": ELSEWHERE}},
    )
    assert reply(dispatcher.message(elsewhere))["type"] == "sessionJoined"


# A table that fails

HELD_BY: dict[str, Count] = {
    "a connection": lambda limits: limits.count_connection(ADDRESS),
    "a join": lambda limits: limits.count_join(ADDRESS, is_signed_in=False),
    "an invited join": lambda limits: limits.count_invited_join("golden-eagle-427"),
    "a refusal": lambda limits: limits.count_refusal(ADDRESS),
}
COUNTED: list[Count] = [*HELD_BY.values(), lambda limits: limits.count_session("user-1")]


@pytest.mark.parametrize("count", HELD_BY.values(), ids=HELD_BY)
def test_what_cannot_be_counted_goes_on(failing: RateLimits, count: Count) -> None:
    count(failing)


def test_what_cannot_be_counted_is_in_the_log_without_a_name(
    failing: RateLimits, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("INFO")
    failing.count_join("marked-address", is_signed_in=False)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["message"] == "not counted"
    assert "marked" not in line


def test_no_session_is_created_uncounted(
    sessions: Sessions, failing: RateLimits, outcomes: FakeOutcomes, clock: Clock, dynamodb: Any
) -> None:
    blind = replace(sessions, rate_limits=failing)
    dispatcher = Dispatcher(blind, failing, outcomes, "url", clock)  # type: ignore[arg-type]
    refusal = reply(dispatcher.message(frame("a=", "user-1", **CREATE)))
    assert (refusal["code"], refusal["retryAfter"]) == ("SERVICE_UNAVAILABLE", 2)
    assert dispatcher.connect(connecting("a=", "user-1", **CREATE)) == {"statusCode": 503}
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_everything_else_goes_on_uncounted(
    sessions: Sessions,
    session_id: str,
    failing: RateLimits,
    outcomes: FakeOutcomes,
    clock: Clock,
) -> None:
    blind = replace(sessions, rate_limits=failing)
    dispatcher = Dispatcher(blind, failing, outcomes, "url", clock)  # type: ignore[arg-type]
    wire = Wire(dispatcher, outcomes, by_url=True)
    assert wire.give("b=", **joining(session_id))["type"] == "sessionJoined"
    invited = joining(session_id, inviteCode="code-of-the-hall")
    assert wire.give("c=", **invited)["type"] == "sessionJoined"
    for _ in range(9):
        beat = reply(dispatcher.message(frame("b=", action="heartbeat")))
        assert beat["sessionId"] == session_id
    assert wire.refuses("SESSION_NOT_FOUND", "d=", **UNKNOWN)


# What is kept


def test_the_table_names_nobody(
    dispatcher: Dispatcher, session_id: str, dynamodb: Any, rate_limits: RateLimits
) -> None:
    dispatcher.connect(connecting("marked-b=", **joining(session_id)))
    dispatcher.message(frame("marked-b=", action="heartbeat"))
    dispatcher.message(frame("marked-c=", **joining(session_id, inviteCode="code-of-the-hall")))
    dispatcher.message(frame("marked-d=", "marked-user", **CREATE))
    dispatcher.message(frame("marked-e=", **UNKNOWN))
    items = scan(dynamodb, "rate_limits")
    assert len(items) == 5
    kept = json.dumps(items)
    for name in ("marked", ADDRESS, "user-1", session_id, "code-of-the-hall"):
        assert name not in kept
    assert all(len(item["identifier"]["S"]) == 64 for item in items)


def test_the_same_subject_has_another_key_under_another_hash_key(
    dynamodb: Any, clock: Clock
) -> None:
    for hash_key in (b"key", b"other key"):
        limits = RateLimits(dynamodb.update_item, replace(SETTINGS, hash_key=hash_key), clock)
        limits.count_connection(ADDRESS)
    assert len(scan(dynamodb, "rate_limits")) == 2


def test_every_counter_goes_some_minutes_after_its_window(
    rate_limits: RateLimits, dynamodb: Any, clock: Clock
) -> None:
    clock.now += 10
    rate_limits.count_connection(ADDRESS)
    rate_limits.count_session("user-1")
    ends = sorted(
        int(item["expiresAt"]["N"]) - 1_800_000_000 for item in scan(dynamodb, "rate_limits")
    )
    assert ends == [60 + 120, 3600 + 120]


def test_each_count_is_one_unconditional_write(clock: Clock, dynamodb: Any) -> None:
    requests: list[dict[str, Any]] = []

    def update_item(**request: Any) -> Any:
        requests.append(request)
        return dynamodb.update_item(**request)

    limits = RateLimits(update_item, SETTINGS, clock)
    for count in COUNTED:
        count(limits)
    assert len(requests) == 6
    assert not any("ConditionExpression" in request for request in requests)
