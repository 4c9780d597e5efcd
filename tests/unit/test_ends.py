"""The notices of the end of a session, which each participant receives once."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chalicelib.assembly import UseCases, build_dispatcher
from chalicelib.aws.connections import FanOut, PostFailed
from chalicelib.aws.retries import event_budget
from chalicelib.dispatch import Dispatcher
from chalicelib.ending import (
    ANSWER_SECONDS,
    END_SECONDS,
    PUT_BACK_SECONDS,
    REMOVE_SECONDS,
    Ending,
)
from chalicelib.models import IN_FLIGHT_SECONDS, Participant, Role
from chalicelib.notices import NOTICE_SECONDS
from chalicelib.rate_limits import RateLimits
from chalicelib.store.listeners import ListenerStore
from chalicelib.store.stores import Stores
from chalicelib.store.table import Table
from chalicelib.sweep import Sweep
from tests.unit.fakes import (
    CREATE,
    Clock,
    FakeConnections,
    FakeOutcomes,
    closing,
    frame,
    reply,
    scan,
    types,
)

LISTENERS = {f"{number}=" for number in range(3)}


@pytest.fixture
def attended_id(dispatcher: Dispatcher, session_id: str) -> str:
    """Return the ID of a session with three listeners."""
    for each in sorted(LISTENERS):
        join(dispatcher, each, session_id)
    return session_id


def join(dispatcher: Dispatcher, connection_id: str, session_id: str) -> None:
    into = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
    assert reply(dispatcher.message(frame(connection_id, **into)))["type"] == "sessionJoined"


def end(dispatcher: Dispatcher) -> None:
    ended = reply(dispatcher.message(frame("speaker=", "user-1", action="endSession")))
    assert ended["type"] == "sessionEnded"


def received(phones: FakeConnections) -> dict[str, list[str]]:
    return {to: types(notices) for to, notices in phones.inbox.items()}


# Listeners and speakers that the notice does not reach at first


def test_listeners_whose_posts_failed_are_notified_by_the_next_sweep(
    dispatcher: Dispatcher,
    attended_id: str,
    phones: FakeConnections,
    sweep: Sweep,
    clock: Clock,
    dynamodb: Any,
) -> None:
    phones.throttled |= LISTENERS
    end(dispatcher)
    assert phones.inbox == {}
    clock.now += 60
    phones.throttled = {"2="}
    sweep.run()
    clock.now += 60
    phones.throttled.clear()
    assert scan(dynamodb, "sessions") != []
    for _ in range(3):
        sweep.run()
        clock.now += 60
    assert received(phones) == {each: ["sessionEnded"] for each in LISTENERS}
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_a_speaker_whose_post_failed_is_notified_by_the_next_sweep(
    attended_id: str, phones: FakeConnections, sweep: Sweep, clock: Clock, dynamodb: Any
) -> None:
    clock.now += 7200
    phones.throttled.add("speaker=")
    sweep.run()
    clock.now += 60
    sweep.run()
    assert "speaker=" not in phones.inbox
    phones.throttled.clear()
    for _ in range(2):
        clock.now += 60
        sweep.run()
    assert received(phones) == {each: ["sessionEnded"] for each in {"speaker=", *LISTENERS}}
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_concurrent_sweeps_lose_no_notice_of_an_end(
    sweep_of: Callable[..., Sweep],
    dispatcher: Dispatcher,
    attended_id: str,
    phones: FakeConnections,
    sweep: Sweep,
    clock: Clock,
) -> None:
    phones.throttled |= LISTENERS
    end(dispatcher)
    clock.now += 60

    class Slow(FakeConnections):
        def fan_out(self, connection_ids: Any, text: str, limit_seconds: float = 10) -> FanOut:
            if connection_ids:
                sweep.run()
            return phones.fan_out(connection_ids, text, limit_seconds)

    slow: Any = Slow()
    sweep_of(connections=slow).run()
    phones.throttled.clear()
    sweep.run()
    assert received(phones) == {each: ["sessionEnded"] for each in LISTENERS}


def test_a_notice_that_may_have_arrived_is_not_sent_again(
    sweep_of: Callable[..., Sweep],
    dispatcher: Dispatcher,
    attended_id: str,
    clock: Clock,
    dynamodb: Any,
) -> None:
    class AnswersAreLost(FakeConnections):
        def post(self, connection_id: str, text: str) -> None:
            super().post(connection_id, text)
            raise PostFailed(-1)

        def fan_out(self, connection_ids: Any, text: str, _limit_seconds: float = 10) -> FanOut:
            super().fan_out(connection_ids, text)
            return FanOut(0, frozenset(), len(connection_ids))

    silent: Any = AnswersAreLost()
    clock.now += 7200
    lossy = sweep_of(connections=silent)
    for _ in range(3):
        lossy.run()
        clock.now += 60
    assert received(silent) == {each: ["sessionEnded"] for each in {"speaker=", *LISTENERS}}
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_a_listener_that_has_not_been_notified_of_an_end_can_join_another_session(
    dispatcher: Dispatcher, attended_id: str, phones: FakeConnections, sweep: Sweep, clock: Clock
) -> None:
    """After that join, it gets no notice of the first session."""
    phones.throttled |= LISTENERS
    end(dispatcher)
    assert "sessionId" not in reply(dispatcher.message(frame("0=", action="heartbeat")))
    other = reply(dispatcher.message(frame("other=", "user-1", **CREATE)))["sessionId"]
    join(dispatcher, "0=", other)
    phones.throttled.clear()
    clock.now += IN_FLIGHT_SECONDS
    sweep.run()
    assert received(phones) == {"1=": ["sessionEnded"], "2=": ["sessionEnded"]}
    assert reply(dispatcher.message(frame("0=", action="heartbeat")))["sessionId"] == other


def test_an_end_without_time_for_its_notices_leaves_them_to_the_sweep(
    ending_of: Callable[..., Ending], attended_id: str, clock: Clock, stores: Stores
) -> None:
    limits: list[float] = []

    class Slow(FakeConnections):
        def fan_out(self, connection_ids: Any, text: str, limit_seconds: float = 10) -> FanOut:
            limits.append(limit_seconds)
            return super().fan_out(connection_ids, text, limit_seconds)

    slow: Any = Slow()
    ending = ending_of(connections=slow)
    with event_budget(REMOVE_SECONDS + PUT_BACK_SECONDS - 0.1, clock):
        assert ending.end_by_speaker(attended_id, "speaker=")
    assert limits == []
    with event_budget(REMOVE_SECONDS + PUT_BACK_SECONDS, clock):
        assert ending.finish(stores.sessions.scan_page(None, 1)[0][0])
    assert limits == [REMOVE_SECONDS]
    assert END_SECONDS > REMOVE_SECONDS


@dataclass
class SlowPhones(FakeConnections):
    """Connections whose fan-out takes its whole limit if one of the receivers is throttled."""

    clock: Clock = field(default_factory=Clock)

    def fan_out(self, connection_ids: Any, text: str, limit_seconds: float = 10) -> FanOut:
        if self.throttled & set(connection_ids):
            self.clock.now += limit_seconds
        return super().fan_out(connection_ids, text, limit_seconds)


def test_slow_connections_delay_only_their_own_notices_and_briefly_the_speakers_answer(
    ending_of: Callable[..., Ending], session_id: str, clock: Clock, stores: Stores
) -> None:
    everyone = {f"{number:03}=" for number in range(250)}
    for each in everyone:
        stores.participants.put(
            Participant(each, session_id, Role.LISTENER, int(clock() * 1000), "es")
        )
    slow = SlowPhones(throttled={"000=", "150=", "249="}, clock=clock)
    phones: Any = slow
    began_at = clock()
    ending = ending_of(connections=phones)
    assert ending.end_by_speaker(session_id, "speaker=")
    assert received(slow) == {each: ["sessionEnded"] for each in everyone - slow.throttled}
    assert clock() - began_at <= ANSWER_SECONDS + 0.01
    assert stores.listeners.list_all(session_id).present.keys() == slow.throttled


@pytest.mark.parametrize("action", ["pauseSession", "resumeSession", "refreshConnection"])
def test_a_slow_listener_delays_the_speakers_answer_only_by_the_limit_of_a_notice(
    rate_limits: RateLimits,
    outcomes: FakeOutcomes,
    dispatcher: Dispatcher,
    attended_id: str,
    build: Callable[..., UseCases],
    clock: Clock,
    action: str,
) -> None:
    dispatcher.message(frame("speaker=", "user-1", action="pauseSession"))
    if action == "refreshConnection":
        dispatcher.disconnect(closing("speaker=", 1006))
    phones: Any = SlowPhones(throttled={"0="}, clock=clock)
    slow = build_dispatcher(
        build(connections=phones), rate_limits, outcomes, "https://api/stage", clock
    )
    if action == "pauseSession":
        dispatcher.message(frame("speaker=", "user-1", action="resumeSession"))
    began_at = clock()
    refresh = {"sessionId": attended_id, "role": "speaker"} if action == "refreshConnection" else {}
    speaker = "new=" if refresh else "speaker="
    command = frame(speaker, "user-1", action=action, **refresh)
    answer = reply(slow.message(command))
    assert answer["type"] != "error"
    assert clock() - began_at == NOTICE_SECONDS
    assert received(phones).keys() == LISTENERS - {"0="}


# Refreshes before the end


def test_earlier_refreshes_add_no_requests_to_an_end(
    dispatcher: Dispatcher, attended_id: str, dynamodb: Any, phones: FakeConnections
) -> None:
    refresh = {
        "action": "refreshConnection",
        "role": "listener",
        "sessionId": attended_id,
        "targetLanguage": "es",
    }
    for number in range(150):
        old = "0=" if number == 0 else f"0-{number - 1}="
        new = frame(f"0-{number}=", **refresh, connectionId=old)
        assert reply(dispatcher.message(new))["type"] == "connectionRefreshComplete"
    before = len(dynamodb.transport.requests)
    end(dispatcher)
    assert [operation for operation, _ in dynamodb.transport.requests[before:]] == [
        "GetItem",
        "UpdateItem",
        "DeleteItem",
        "Query",
        "TransactWriteItems",
        "Query",
    ]
    assert received(phones) == {each: ["sessionEnded"] for each in {"0-149=", "1=", "2="}}


def test_a_superseded_connection_keeps_a_short_lived_item_and_its_close_changes_nothing(
    dispatcher: Dispatcher, attended_id: str, stores: Stores, dynamodb: Any, clock: Clock
) -> None:
    refresh = {"action": "refreshConnection", "sessionId": attended_id}
    listening = {"role": "listener", "targetLanguage": "es", "connectionId": "0="}
    dispatcher.message(frame("new=", **refresh, **listening))
    dispatcher.message(frame("new-speaker=", "user-1", **refresh, role="speaker"))
    items = {item["connectionId"]["S"]: item for item in scan(dynamodb, "connections")}
    for each in ("0=", "speaker="):
        assert int(items[each]["ttl"]["N"]) == clock() + 600
        assert "targetLanguage" not in items[each]
    before = scan(dynamodb, "sessions"), items
    for _ in range(3):
        for each in ("0=", "speaker="):
            dispatcher.disconnect(closing(each))
    after = {item["connectionId"]["S"]: item for item in scan(dynamodb, "connections")}
    assert (scan(dynamodb, "sessions"), after) == before
    # The answer to the refresh may have been lost, even if the old connection has closed since.
    again = reply(dispatcher.message(frame("newer=", **refresh, **listening)))
    assert again["type"] == "connectionRefreshComplete"
    session = stores.sessions.find_open(attended_id)
    assert session is not None
    assert session.listener_count == 3


@pytest.mark.parametrize("role", ["listener", "speaker"])
def test_a_superseded_connection_can_join_another_session_after_its_own_has_ended(
    dispatcher: Dispatcher, attended_id: str, role: str
) -> None:
    old = "0=" if role == "listener" else "speaker="
    refresh = {"action": "refreshConnection", "sessionId": attended_id, "role": role}
    listening = {"targetLanguage": "es", "connectionId": "0="} if role == "listener" else {}
    dispatcher.message(frame("new=", "user-1", **refresh, **listening))
    dispatcher.disconnect(closing("2="))  # Otherwise the session is full.
    into = {"action": "joinSession", "sessionId": attended_id, "targetLanguage": "es"}
    assert reply(dispatcher.message(frame(old, **into)))["code"] == "CONFLICT"
    speaker = "new=" if role == "speaker" else "speaker="
    dispatcher.message(frame(speaker, "user-1", action="endSession"))
    other = reply(dispatcher.message(frame("other=", "user-1", **CREATE)))["sessionId"]
    join(dispatcher, old, other)


def test_a_superseded_listener_can_refresh_into_another_session_after_its_own_has_ended(
    dispatcher: Dispatcher, attended_id: str
) -> None:
    refresh = {"action": "refreshConnection", "role": "listener", "targetLanguage": "es"}
    dispatcher.message(frame("new=", **refresh, sessionId=attended_id, connectionId="0="))
    end(dispatcher)
    other = reply(dispatcher.message(frame("other=", "user-1", **CREATE)))["sessionId"]
    join(dispatcher, "a=", other)
    taken = frame("0=", **refresh, sessionId=other, connectionId="a=")
    assert reply(dispatcher.message(taken))["type"] == "connectionRefreshComplete"


def test_a_speaker_that_becomes_a_listener_during_the_end_gets_no_second_notice(
    ending_of: Callable[..., Ending],
    dispatcher: Dispatcher,
    attended_id: str,
    stores: Stores,
    phones: FakeConnections,
    dynamodb: Any,
    clock: Clock,
) -> None:
    class HandsOverDuringEnd(ListenerStore):
        """Hands a listener over, as a concurrent refresh does."""

        def list_all(self, session_id: str) -> Any:
            old = stores.participants.find("0=")
            assert old is not None
            stores.hand_overs.hand_over(old, replace(old, connection_id="speaker="))
            return super().list_all(session_id)

    listeners = HandsOverDuringEnd(Table(dynamodb, "connections", "connectionId"), clock)
    ending = ending_of(replace(stores, listeners=listeners))
    assert ending.end_by_speaker(attended_id, "speaker=")
    # The answer to its command notifies it.
    assert received(phones) == {"1=": ["sessionEnded"], "2=": ["sessionEnded"]}
    assert stores.participants.find("speaker=") is None
