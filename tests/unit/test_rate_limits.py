"""Rate limits, and commands while the table of counters is unavailable."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import telemetry
from chalicelib.assembly import UseCases, build_dispatcher
from chalicelib.dispatch import Dispatcher
from chalicelib.errors import RateLimitExceeded, ServiceUnavailable
from chalicelib.models import Caller
from chalicelib.rate_limits import HOUR, MINUTE, RateLimits
from chalicelib.settings import RateLimitSettings
from tests.unit.conftest import LIMITS
from tests.unit.fakes import (
    ADDRESS,
    CREATE,
    JOINS_A_MINUTE,
    Clock,
    FakeOutcomes,
    Wire,
    closing,
    connecting,
    event,
    frame,
    participants,
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
    listener_joins_per_minute=JOINS_A_MINUTE,
    invited_joins_per_minute=1000,
    connections_per_minute=3000,
)

CALLER = Caller("a=", None, 1_800_000_000_000, ADDRESS)
USER = replace(CALLER, user_id="user-1")

Count = Callable[[RateLimits], object]


def fail_to_update(**_: Any) -> dict[str, Any]:
    raise ServiceUnavailable("busy", retry_after_seconds=2)


@pytest.fixture
def failing(clock: Clock) -> RateLimits:
    """Return rate limits whose table is unavailable."""
    return RateLimits(fail_to_update, SETTINGS, clock)


@pytest.fixture
def uncounted(
    build: Callable[..., UseCases], failing: RateLimits, outcomes: Any, clock: Clock
) -> Dispatcher:
    """Return a dispatcher whose table of counters is unavailable."""
    return build_dispatcher(build(rate_limits=failing), failing, outcomes, "url", clock)


def retry_after_seconds(count: Callable[[], object]) -> int:
    with pytest.raises(RateLimitExceeded) as refusal:
        count()
    assert refusal.value.retry_after_seconds is not None
    return refusal.value.retry_after_seconds


def joining(session_id: str, **fields: str) -> dict[str, str]:
    return {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es", **fields}


# The rows of the protocol's table, with the window of each limit.

TABLE: dict[str, tuple[str, Count, int]] = {
    "sessions created by one user": (
        "sessions_per_hour",
        lambda limits: limits.count_session("user-1"),
        HOUR,
    ),
    "joins from one address": (
        "listener_joins_per_minute",
        lambda limits: limits.count_join(CALLER),
        MINUTE,
    ),
    "joins of one user": (
        "listener_joins_per_minute",
        lambda limits: limits.count_join(USER),
        MINUTE,
    ),
    "connections from one address, counted with its joins": (
        "connections_per_minute",
        lambda limits: limits.count_join(CALLER, with_connection=True),
        MINUTE,
    ),
    "connections from one address": (
        "connections_per_minute",
        lambda limits: limits.count_connection(CALLER),
        MINUTE,
    ),
}


@pytest.mark.parametrize(("setting", "count", "window_seconds"), TABLE.values(), ids=TABLE)
def test_a_request_over_the_limit_is_refused_until_the_window_ends(
    dynamodb: Any, clock: Clock, setting: str, count: Count, window_seconds: int
) -> None:
    few: Any = {setting: 5}
    limits = RateLimits(dynamodb.update_item, replace(SETTINGS, **few), clock)
    clock.now += 12.5  # 1,800,000,000 is the start of an hour.
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
        lambda limits: limits.count_join(CALLER),
        lambda limits: limits.count_join(replace(CALLER, address=ELSEWHERE)),
    ),
    "user of joins": (
        lambda limits: limits.count_join(USER),
        lambda limits: limits.count_join(replace(USER, user_id="user-2")),
    ),
    "user at an address": (
        lambda limits: limits.count_join(CALLER),
        lambda limits: limits.count_join(USER),
    ),
    "address of connections": (
        lambda limits: limits.count_connection(CALLER),
        lambda limits: limits.count_connection(replace(CALLER, address=ELSEWHERE)),
    ),
}


@pytest.mark.parametrize(("count", "count_other"), OTHERS.values(), ids=OTHERS)
def test_each_subject_has_its_own_limit(
    dynamodb: Any, clock: Clock, count: Count, count_other: Count
) -> None:
    one = replace(
        SETTINGS,
        sessions_per_hour=1,
        listener_joins_per_minute=1,
        connections_per_minute=1,
    )
    limits = RateLimits(dynamodb.update_item, one, clock)
    count(limits)
    with pytest.raises(RateLimitExceeded):
        count(limits)
    count_other(limits)


def test_the_default_limits_are_those_of_the_protocol(
    dispatcher: Dispatcher, rate_limits: RateLimits, session_id: str, clock: Clock
) -> None:
    # The fixture has created one of the 50 sessions.
    for _ in range(49):
        rate_limits.count_session("user-1")
    refusal = reply(dispatcher.message(frame("new=", "user-1", **CREATE)))
    assert refusal["code"] == "RATE_LIMIT_EXCEEDED"
    assert refusal["temporary"] is True
    assert refusal["retryAfter"] == 3600
    assert reply(dispatcher.message(frame("new=", "user-2", **CREATE)))["type"] == "sessionCreated"


@pytest.fixture
def crowded(
    build: Callable[..., UseCases], dynamodb: Any, clock: Clock, session_id: str
) -> Dispatcher:
    """Return a dispatcher that has accepted an address's connections for this minute."""
    few = replace(SETTINGS, connections_per_minute=2)
    limits = RateLimits(dynamodb.update_item, few, clock)
    for _ in range(2):
        limits.count_connection(CALLER)
    outcomes: Any = FakeOutcomes()
    return build_dispatcher(build(rate_limits=limits), limits, outcomes, "url", clock)


WITHOUT_PASS: dict[str, dict[str, str]] = {
    "nothing": {},
    "a join": joining("golden-eagle-100"),
    "a join of an unknown session": UNKNOWN,
    "a join with a wrong code": joining("golden-eagle-100", inviteCode="wrong"),
    "a refresh": {
        **joining("golden-eagle-100", connectionId="never-was="),
        "action": "refreshConnection",
        "role": "listener",
    },
    "a refresh with a wrong code": {
        **joining("golden-eagle-100", inviteCode="wrong"),
        "action": "refreshConnection",
        "role": "listener",
    },
    "a session without a token": CREATE,
    "an unknown action": {"action": "fly"},
    "a join with a bad request ID": {**joining("golden-eagle-100"), "requestId": ""},
}


@pytest.mark.parametrize("query", WITHOUT_PASS.values(), ids=WITHOUT_PASS)
def test_a_connection_over_the_limit_of_its_address_is_refused_with_429(
    crowded: Dispatcher, dynamodb: Any, query: dict[str, str]
) -> None:
    assert crowded.connect(connecting("a=", **query)) == {"statusCode": 429}
    (session,) = scan(dynamodb, "sessions")
    assert session["listenerCount"] == {"N": "0"}
    assert len(scan(dynamodb, "connections")) == 1


def test_a_valid_token_or_invite_code_passes_the_limit_of_connections(
    crowded: Dispatcher, session_id: str
) -> None:
    invited = connecting("a=", **joining(session_id, inviteCode="code-of-the-hall"))
    assert crowded.connect(invited) == {"statusCode": 200}
    for number, query in enumerate(({}, CREATE, joining(session_id))):
        assert crowded.connect(connecting(f"{number}=", "user-2", **query)) == {"statusCode": 200}
    refresh = {"action": "refreshConnection", "sessionId": session_id, "role": "speaker"}
    assert crowded.connect(connecting("new=", "user-1", **refresh)) == {"statusCode": 200}


def test_a_connection_with_only_an_invite_code_passes_the_limit(
    crowded: Dispatcher, session_id: str
) -> None:
    invited = {"sessionId": session_id.title(), "inviteCode": "code-of-the-hall"}
    assert crowded.connect(connecting("a=", **invited)) == {"statusCode": 200}


@pytest.mark.parametrize(
    "other",
    [
        {"inviteCode": "wrong"},
        {"inviteCode": ""},
        {"sessionId": "golden-eagle-999"},
        {"sessionId": "no session ID"},
    ],
)
def test_a_wrong_invite_code_does_not_pass_the_limit(
    crowded: Dispatcher, session_id: str, other: dict[str, str]
) -> None:
    query = {"sessionId": session_id, "inviteCode": "code-of-the-hall", **other}
    assert crowded.connect(connecting("a=", **query)) == {"statusCode": 429}


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("2001:db8:1:2::3", "2001:db8:1:2:ffff::4"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("unknown", "unknown"),
    ],
)
def test_addresses_of_one_subscriber_count_together(
    rate_limits: RateLimits, address: str, other: str
) -> None:
    for _ in range(20):
        rate_limits.count_refusal(replace(CALLER, address=address))
    with pytest.raises(RateLimitExceeded):
        rate_limits.count_join(replace(CALLER, address=other))


@pytest.mark.parametrize("other", ["2001:db8:1:3::3", "203.0.113.7", "unknown"])
def test_other_networks_and_addresses_count_separately(rate_limits: RateLimits, other: str) -> None:
    for _ in range(20):
        rate_limits.count_refused_token("2001:db8:1:2::3")
    rate_limits.count_join(replace(CALLER, address=other))


def test_a_refused_join_leaves_no_state(
    wire: Wire, session_id: str, rate_limits: RateLimits, dynamodb: Any
) -> None:
    for _ in range(JOINS_A_MINUTE):
        rate_limits.count_join(CALLER)
    assert wire.refuses("RATE_LIMIT_EXCEEDED", "b=", **joining(session_id))
    (session,) = scan(dynamodb, "sessions")
    assert session["listenerCount"] == {"N": "0"}
    assert [item["connectionId"]["S"] for item in participants(dynamodb)] == ["speaker="]


def test_a_refused_join_can_be_retried_on_the_same_connection(
    dispatcher: Dispatcher, session_id: str, rate_limits: RateLimits, clock: Clock
) -> None:
    for _ in range(JOINS_A_MINUTE):
        rate_limits.count_join(CALLER)
    refusal = reply(dispatcher.message(frame("b=", **joining(session_id))))
    assert refusal["code"] == "RATE_LIMIT_EXCEEDED"
    clock.now += refusal["retryAfter"]
    assert reply(dispatcher.message(frame("b=", **joining(session_id))))["type"] == "sessionJoined"


def test_a_refresh_after_a_refused_join_does_not_bypass_the_limit(
    wire: Wire, session_id: str, rate_limits: RateLimits, dispatcher: Dispatcher
) -> None:
    for _ in range(JOINS_A_MINUTE):
        rate_limits.count_join(CALLER)
    assert wire.refuses("RATE_LIMIT_EXCEEDED", "b=", **joining(session_id))
    refresh = {**joining(session_id), "action": "refreshConnection", "role": "listener"}
    assert wire.refuses("RATE_LIMIT_EXCEEDED", "c=", **refresh, connectionId="b=")


def test_an_audience_joins_with_an_invite_code_from_one_address(
    build: Callable[..., UseCases], rate_limits: RateLimits, outcomes: Any, clock: Clock
) -> None:
    wide = build(limits=replace(LIMITS, max_listeners=500))
    dispatcher = build_dispatcher(wide, rate_limits, outcomes, "url", clock)
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
def test_the_twenty_first_refused_attempt_within_a_minute_exceeds_the_limit(
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
        assert rate_limits.count_refusal(CALLER) is None
    refusal = rate_limits.count_refusal(CALLER)
    assert refusal is not None
    assert refusal.retry_after_seconds == 60


@pytest.mark.parametrize(
    "command",
    [
        {"action": "fly"},
        {"action": "joinSession"},
        {"action": "joinSession", "sessionId": "x", "targetLanguage": "es"},
        {"action": "changeLanguage", "targetLanguage": "es"},
    ],
)
def test_an_invalid_command_is_not_a_refused_attempt(
    dispatcher: Dispatcher, dynamodb: Any, command: dict[str, str]
) -> None:
    assert reply(dispatcher.message(frame("a=", **command)))["type"] == "error"
    assert scan(dynamodb, "rate_limits") == []


def use_up_attempts(limits: RateLimits, caller: Caller = CALLER, attempts: int = 21) -> None:
    """Use up the refused attempts of an address or a user."""
    for _ in range(attempts):
        limits.count_refusal(caller)


def test_twenty_refused_attempts_block_joins_without_token_or_code(
    wire: Wire, session_id: str, rate_limits: RateLimits
) -> None:
    use_up_attempts(rate_limits, attempts=20)
    assert wire.refuses("RATE_LIMIT_EXCEEDED", "b=", **joining(session_id))


@pytest.mark.parametrize("rest", [{"inviteCode": "code-of-the-hall"}, {"user_id": "user-2"}])
def test_a_blocked_address_can_join_with_an_invite_code_or_token(
    wire: Wire, session_id: str, rate_limits: RateLimits, rest: dict[str, str]
) -> None:
    use_up_attempts(rate_limits)
    assert wire.send("b=", **rest, **joining(session_id))["type"] == "sessionJoined"


def test_a_speaker_at_a_blocked_address_can_create_and_has_its_own_attempts(
    wire: Wire, rate_limits: RateLimits
) -> None:
    use_up_attempts(rate_limits)
    assert wire.send("a=", "user-1", **CREATE)["type"] == "sessionCreated"
    assert wire.refuses("SESSION_NOT_FOUND", "b=", "user-1", **UNKNOWN)


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_listener_at_a_blocked_address_can_refresh(
    wire: Wire, session_id: str, rate_limits: RateLimits, dispatcher: Dispatcher, is_lost: bool
) -> None:
    dispatcher.message(frame("old=", **joining(session_id)))
    if is_lost:
        dispatcher.disconnect(closing("old=", 1006))
    use_up_attempts(rate_limits)
    refresh = {**joining(session_id), "action": "refreshConnection", "role": "listener"}
    refreshed = wire.send("new=", **refresh, connectionId="old=")
    assert refreshed["type"] == "connectionRefreshComplete"


def test_a_wrong_code_from_a_blocked_address_gets_the_same_error(
    wire: Wire, session_id: str, rate_limits: RateLimits
) -> None:
    use_up_attempts(rate_limits)
    wrong = joining(session_id, inviteCode="wrong")
    assert wire.refuses("RATE_LIMIT_EXCEEDED", "b=", **wrong)


def test_other_addresses_are_not_blocked(
    dispatcher: Dispatcher, session_id: str, rate_limits: RateLimits
) -> None:
    use_up_attempts(rate_limits)
    elsewhere = event(
        "b=",
        body=json.dumps(joining(session_id)),
        context={"identity": {"sourceIp": ELSEWHERE}},
    )
    assert reply(dispatcher.message(elsewhere))["type"] == "sessionJoined"


# A failing table

OTHER_COUNTS: dict[str, Count] = {
    "a connection": lambda limits: limits.count_connection(CALLER),
    "a join": lambda limits: limits.count_join(CALLER),
    "a refusal": lambda limits: limits.count_refusal(CALLER),
    "a check": lambda limits: limits.check_refused(CALLER),
    "a refused token": lambda limits: limits.count_refused_token(ADDRESS),
}
COUNTED: list[Count] = [*OTHER_COUNTS.values(), lambda limits: limits.count_session("user-1")]


@pytest.mark.parametrize("count", OTHER_COUNTS.values(), ids=OTHER_COUNTS)
def test_a_failing_table_does_not_stop_other_commands(failing: RateLimits, count: Count) -> None:
    count(failing)


def test_a_failing_table_is_logged_without_the_subject(
    failing: RateLimits, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("INFO")
    failing.count_join(replace(CALLER, address="marked-address"))
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["message"] == "not counted"
    assert "marked" not in line


def test_no_session_is_created_while_the_table_fails(uncounted: Dispatcher, dynamodb: Any) -> None:
    refusal = reply(uncounted.message(frame("a=", "user-1", **CREATE)))
    assert (refusal["code"], refusal["retryAfter"]) == ("SERVICE_UNAVAILABLE", 2)
    assert uncounted.connect(connecting("a=", "user-1", **CREATE)) == {"statusCode": 503}
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_other_commands_work_while_the_table_fails(
    uncounted: Dispatcher, session_id: str, outcomes: FakeOutcomes
) -> None:
    wire = Wire(uncounted, outcomes, by_url=True)
    assert wire.send("b=", **joining(session_id))["type"] == "sessionJoined"
    invited = joining(session_id, inviteCode="code-of-the-hall")
    assert wire.send("c=", **invited)["type"] == "sessionJoined"
    for _ in range(4):
        beat = reply(uncounted.message(frame("b=", action="heartbeat")))
        assert beat["sessionId"] == session_id
    assert wire.refuses("SESSION_NOT_FOUND", "d=", **UNKNOWN)


# Stored items


def test_the_table_contains_no_identifier_in_plain_text(
    dispatcher: Dispatcher, session_id: str, dynamodb: Any, rate_limits: RateLimits
) -> None:
    dispatcher.connect(connecting("marked-b=", **joining(session_id)))
    dispatcher.message(frame("marked-b=", action="heartbeat"))
    dispatcher.message(frame("marked-c=", **joining(session_id, inviteCode="code-of-the-hall")))
    dispatcher.message(frame("marked-d=", "marked-user", **CREATE))
    dispatcher.message(frame("marked-e=", **UNKNOWN))
    items = scan(dynamodb, "rate_limits")
    assert len(items) == 3
    kept = json.dumps(items)
    for name in ("marked", ADDRESS, "user-1", session_id, "code-of-the-hall"):
        assert name not in kept
    assert all(len(item["identifier"]["S"]) == 64 for item in items)


def test_another_hash_key_gives_another_item_key(dynamodb: Any, clock: Clock) -> None:
    for hash_key in (b"key", b"other key"):
        limits = RateLimits(dynamodb.update_item, replace(SETTINGS, hash_key=hash_key), clock)
        limits.count_connection(CALLER)
    assert len(scan(dynamodb, "rate_limits")) == 2


def test_every_counter_expires_minutes_after_its_window(
    rate_limits: RateLimits, dynamodb: Any, clock: Clock
) -> None:
    clock.now += 10
    rate_limits.count_connection(CALLER)
    rate_limits.count_session("user-1")
    delays = sorted(
        int(item["expiresAt"]["N"]) - 1_800_000_000 for item in scan(dynamodb, "rate_limits")
    )
    assert delays == [60 + 120, 3600 + 120]


def test_each_count_is_one_unconditional_write(clock: Clock, dynamodb: Any) -> None:
    requests: list[dict[str, Any]] = []

    def update_item(**request: Any) -> Any:
        requests.append(request)
        return dynamodb.update_item(**request)

    limits = RateLimits(update_item, SETTINGS, clock)
    for count in COUNTED:
        count(limits)
    assert len(requests) == len(COUNTED)
    assert not any("ConditionExpression" in request for request in requests)
