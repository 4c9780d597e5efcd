"""Heartbeats: their rate limit, their interval and their answer."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import heartbeats
from chalicelib.assembly import UseCases
from chalicelib.commands import JoinSession
from chalicelib.dispatch import Dispatcher
from chalicelib.errors import RateLimitExceeded
from chalicelib.messages import Reply
from chalicelib.models import Caller
from chalicelib.store.stores import Stores
from tests.unit.conftest import LIMITS
from tests.unit.fakes import Clock, frame, listener, reply, scan

MAX_EXPRESSION_BYTES = 4096
"""Source: "Quotas in Amazon DynamoDB"."""

Beat = Callable[[int], dict[str, Any]]


@pytest.fixture
def beat(use_cases: UseCases, session_id: str) -> Beat:
    """Return a function that sends a heartbeat as a listener of the session."""
    for number in (1, 2):
        use_cases.joining.join(listener(number), JoinSession(session_id, "es", None))
    return lambda number: use_cases.presence.heartbeat(listener(number)).message


def retry_after_seconds(beat: Callable[[], object]) -> int:
    with pytest.raises(RateLimitExceeded) as refusal:
        beat()
    assert refusal.value.retry_after_seconds is not None
    return refusal.value.retry_after_seconds


# The limit


def test_a_fifth_heartbeat_within_any_minute_is_refused(beat: Beat, clock: Clock) -> None:
    clock.now += 50  # The next minute of the clock starts between the heartbeats.
    for _ in range(4):
        beat(1)
        clock.now += 14.9
    with pytest.raises(RateLimitExceeded):
        beat(1)
    beat(2)


def test_five_heartbeats_in_more_than_a_minute_are_accepted(beat: Beat, clock: Clock) -> None:
    for _ in range(20):
        beat(1)
        clock.now += 15


def test_a_refused_heartbeat_counts(beat: Beat, clock: Clock) -> None:
    for _ in range(4):
        beat(1)
    for _ in range(10):
        clock.now += 10
        with pytest.raises(RateLimitExceeded):
            beat(1)


@pytest.mark.parametrize("pause_seconds", [0, 0.3, 10])
def test_a_client_that_waits_for_retry_after_is_accepted(
    beat: Beat, clock: Clock, pause_seconds: float
) -> None:
    for _ in range(4):
        beat(1)
        clock.now += pause_seconds
    clock.now += retry_after_seconds(lambda: beat(1))
    beat(1)


@pytest.mark.parametrize("seed", range(5))
def test_a_heartbeat_every_30_seconds_is_accepted_with_any_jitter(
    beat: Beat, clock: Clock, seed: int
) -> None:
    choose = random.Random(seed)
    arrivals = sorted(clock.now + 30 * n + choose.choice([0, 29.9, 59.9]) for n in range(40))
    for clock.now in arrivals:
        beat(1)


def test_a_refused_heartbeat_gets_an_error(dispatcher: Dispatcher, session_id: str) -> None:
    heartbeat = frame("speaker=", "user-1", action="heartbeat")
    for _ in range(4):
        assert reply(dispatcher.message(heartbeat))["type"] == "heartbeatAck"
    refusal = reply(dispatcher.message(heartbeat))
    assert (refusal["code"], refusal["retryAfter"]) == ("RATE_LIMIT_EXCEEDED", 60)


def test_a_heartbeat_without_a_session_is_acknowledged_and_not_counted(
    use_cases: UseCases, dynamodb: Any
) -> None:
    for _ in range(20):
        answer = use_cases.presence.heartbeat(listener(9))
        assert (answer.message["type"], answer.follow_ups) == ("heartbeatAck", ())
    assert scan(dynamodb, "connections") == []


def test_a_heartbeat_resets_the_count_of_refused_commands(
    beat: Beat, use_cases: UseCases, dynamodb: Any
) -> None:
    for connection_id in ("listener-1=", "bare="):
        dynamodb.update_item(
            TableName="connections",
            Key={"connectionId": {"S": connection_id}},
            UpdateExpression="ADD refusals :two",
            ExpressionAttributeValues={":two": {"N": "2"}},
        )
    beat(1)
    use_cases.presence.heartbeat(replace(listener(1), connection_id="bare="))
    items = {item["connectionId"]["S"]: item for item in scan(dynamodb, "connections")}
    assert "bare=" not in items
    assert "refusals" not in items["listener-1="]


def test_a_limit_with_more_times_than_an_item_can_store_is_disabled(
    build: Callable[..., UseCases], beat: Beat
) -> None:
    most = heartbeats.MAX_TIMES_KEPT // 2
    kept = [heartbeats.times_to_keep(per_minute) for per_minute in (1, 2, most, most + 1)]
    assert kept == [2, 4, 2 * most, 0]
    unlimited = build(limits=replace(LIMITS, heartbeats_per_minute=most + 1))
    for _ in range(2 * most + 3):
        unlimited.presence.heartbeat(listener(1))


def test_the_stored_times_fit_into_one_update(
    beat: Beat, build: Callable[..., UseCases], dynamodb: Any
) -> None:
    limits = replace(LIMITS, heartbeats_per_minute=heartbeats.MAX_TIMES_KEPT // 2)
    build(limits=limits).presence.heartbeat(listener(1))
    expression = dynamodb.transport.requests[-1][1]["UpdateExpression"]
    assert 3000 < len(expression) <= MAX_EXPRESSION_BYTES


# The answer


def test_a_heartbeat_returns_the_session_and_its_state_for_the_speaker(
    use_cases: UseCases, session_id: str, speaker: Caller, beat: Beat, clock: Clock
) -> None:
    clock.now += 90.5
    ack = {"type": "heartbeatAck", "connectedSeconds": 90, "heartbeatSeconds": 30}
    assert use_cases.presence.heartbeat(listener(9)) == Reply(ack)
    assert beat(1) == {**ack, "sessionId": session_id}
    in_session = {
        "sessionId": session_id,
        "status": "active",
        "listenerCount": 2,
        "languages": {"es": 2},
    }
    assert use_cases.presence.heartbeat(speaker) == Reply({**ack, **in_session})


@pytest.mark.parametrize(
    ("after_seconds", "interval_seconds"), [(0, 30), (299.9, 30), (300, 90), (9999, 90)]
)
def test_a_listener_is_asked_for_fewer_heartbeats_after_five_minutes(
    beat: Beat, clock: Clock, after_seconds: float, interval_seconds: int
) -> None:
    # The age of the participant counts. Its connection can be older.
    clock.now += 1
    joined_at = clock.now - 1
    clock.now = joined_at + min(after_seconds, 7000)
    assert beat(1)["heartbeatSeconds"] == interval_seconds


def test_a_speaker_is_always_asked_for_a_heartbeat_every_30_seconds(
    use_cases: UseCases, session_id: str, speaker: Caller, clock: Clock
) -> None:
    clock.now += 3600
    assert use_cases.presence.heartbeat(speaker).message["heartbeatSeconds"] == 30


# Lost participants


def test_a_participant_is_lost_after_three_missed_heartbeats(
    beat: Beat, use_cases: UseCases, session_id: str, speaker: Caller, clock: Clock, stores: Stores
) -> None:
    def silence_until_lost(connection_id: str) -> float:
        participant = stores.participants.find_present(connection_id)
        assert participant is not None
        return next(n for n in range(1000) if participant.is_lost(clock() + n))

    assert silence_until_lost("listener-1=") == silence_until_lost("speaker=") == 90
    clock.now += 299
    beat(1)
    beat(2)
    assert silence_until_lost("listener-1=") == 90
    clock.now += 30
    beat(1)
    use_cases.presence.heartbeat(speaker)
    assert silence_until_lost("listener-1=") == 270
    assert silence_until_lost("speaker=") == 90
    # The other participant was last asked for a heartbeat in 30 s, before it was settled.
    assert silence_until_lost("listener-2=") == 60


def test_no_participant_is_lost_before_the_timeout(
    build: Callable[..., UseCases], session_id: str, clock: Clock, stores: Stores
) -> None:
    limits = replace(LIMITS, heartbeat_interval_seconds=1, heartbeat_timeout_seconds=20)
    quick = build(limits=limits)
    quick.joining.join(listener(1), JoinSession(session_id, "es", None))
    for _ in range(2):
        participant = stores.participants.find_present("listener-1=")
        assert participant is not None
        assert [participant.is_lost(clock() + n) for n in (0, 19.9, 20)] == [False, False, True]
        clock.now += 10
        quick.presence.heartbeat(listener(1))


def test_other_commands_do_not_count_as_heartbeats(
    dispatcher: Dispatcher, beat: Beat, clock: Clock, stores: Stores
) -> None:
    clock.now += 60
    change = {"action": "changeLanguage", "targetLanguage": "de"}
    assert reply(dispatcher.message(frame("listener-1=", **change)))["type"] == "languageChanged"
    participant = stores.participants.find_present("listener-1=")
    assert participant is not None
    assert participant.is_lost(clock() + 30)
