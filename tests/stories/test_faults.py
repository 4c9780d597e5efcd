"""What goes wrong, made to go wrong, and what a client sees of it."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.stories.target import (
    GENEROUS,
    Client,
    Target,
    client,
    local_server,
    refused_with,
    until,
)
from tests.stories.test_long_sessions import Session

Open = Callable[..., Client]
MINUTE_IN_A_SECOND = ("--clock-rate", "60")
"""So that a sweep comes every second, and a listener of half a second ago is settled."""


def heartbeats(seconds: int) -> dict[str, str]:
    """Ask for a heartbeat as often as that on the server's clock."""
    return {
        "HEARTBEAT_INTERVAL_SECONDS": str(seconds),
        "HEARTBEAT_SETTLED_SECONDS": str(seconds),
        "HEARTBEAT_TIMEOUT_SECONDS": str(3 * seconds),
    }


SILENT = heartbeats(3600)
"""Stories that are not about heartbeats send none."""

WATCHFUL = heartbeats(100)
"""A participant is lost after five seconds of silence."""


@pytest.fixture(scope="module")
def server() -> Iterator[Target]:
    with local_server(*MINUTE_IN_A_SECOND, **SILENT, **GENEROUS) as target:
        yield target


@pytest.fixture
def faulty(server: Target) -> Iterator[Target]:
    yield server
    server.set_faults()


@pytest.fixture
def open_client(faulty: Target) -> Iterator[Open]:
    with ExitStack() as stack:
        yield lambda **query: stack.enter_context(client(faulty, **query))


@pytest.fixture
def session(faulty: Target, open_client: Open) -> Session:
    return Session(open_client, faulty.tokens()["IdToken"])


def count(session: Session) -> int:
    return session.status()[1]


def test_participants_whose_disconnects_are_lost_are_missed_by_their_heartbeats() -> None:
    with (
        local_server(*MINUTE_IN_A_SECOND, **WATCHFUL, **GENEROUS) as target,
        ExitStack() as stack,
    ):

        def open_client(**query: str) -> Client:
            return stack.enter_context(client(target, **query))

        session = Session(open_client, target.tokens()["IdToken"])
        staying, _ = session.listener()
        leaving, _ = session.listener()
        target.set_faults(disconnect_lost_share=1)
        leaving.vanish()
        assert count(session) == 2

        def is_counted_out() -> bool:
            assert staying.ask(action="heartbeat")["sessionId"] == session.session_id
            return bool(session.speaker.ask(action="heartbeat")["listenerCount"] == 1)

        until(is_counted_out)

        session.speaker.vanish()
        heard: list[str] = []

        def is_interrupted() -> bool:
            ack = staying.ask(action="heartbeat")
            if ack["type"] == "sessionInterrupted":
                heard.append(ack["type"])
            return bool(heard)

        until(is_interrupted)
        session.speaker = open_client(token=session.token)
        refreshed = session.speaker.ask(**session.refresh(role="speaker"))
        assert (refreshed["type"], refreshed["status"]) == ("connectionRefreshComplete", "active")


def test_an_end_whose_posts_are_all_refused_reaches_everyone_by_the_sweep() -> None:
    """In real time: the fan-out tries for ten seconds."""
    with local_server(**GENEROUS) as target, ExitStack() as stack:

        def open_client(**query: str) -> Client:
            return stack.enter_context(client(target, **query))

        session = Session(open_client, target.tokens()["IdToken"])
        listeners = [session.listener()[0] for _ in range(5)]
        target.set_faults(post_throttled_share=1)
        assert session.speaker.ask(action="endSession")["type"] == "sessionEnded"
        assert "sessionId" not in listeners[0].ask(action="heartbeat")
        target.set_faults()
        target.sweep()
        assert [listener.hear()["type"] for listener in listeners] == ["sessionEnded"] * 5
        target.sweep()
        assert all(listener.hears_nothing_more() for listener in listeners)


def test_a_speaker_who_does_not_come_back_is_lost_though_nobody_asks(session: Session) -> None:
    listener, _ = session.listener()
    session.speaker.vanish()
    assert listener.hear()["type"] == "sessionInterrupted"
    ended = listener.hear()
    assert (ended["type"], ended["reason"]) == ("sessionEnded", "speakerLost")
    assert listener.hears_nothing_more()


def test_a_disconnect_that_comes_twice_counts_out_once(faulty: Target, session: Session) -> None:
    faulty.set_faults(disconnect_twice_share=1)
    session.listener()
    leaving, _ = session.listener()
    leaving.close()
    until(lambda: count(session) == 1)
    other, _ = session.listener()
    other.vanish()
    until(lambda: count(session) == 1)


def test_a_disconnect_that_comes_late_changes_nothing_for_who_has_moved(
    faulty: Target, session: Session, open_client: Open
) -> None:
    listener, listener_id = session.listener()
    faulty.set_faults(disconnect_late_seconds=30)
    old = session.speaker
    session.speaker = open_client(token=session.token)
    session.speaker.ask(**session.refresh(role="speaker"))
    moved = open_client()
    place = {"role": "listener", "targetLanguage": "es", "connectionId": listener_id}
    moved.ask(**session.refresh(**place))
    old.close(1000)
    listener.close(1000)
    faulty.set_faults()
    # Whoever closes now is told of a minute later than those two.
    last, _ = session.listener()
    until(lambda: count(session) == 2)
    last.close()
    until(lambda: count(session) == 1)
    assert session.status()[0] == "active"
    assert moved.hears_nothing_more()


def test_listeners_who_are_wrongly_taken_for_gone_come_back(
    faulty: Target, session: Session, open_client: Open
) -> None:
    listener, listener_id = session.listener()
    faulty.set_faults(post_gone_share=1)

    def is_taken_for_gone() -> bool:
        session.speaker.ask(action="pauseSession")
        session.speaker.ask(action="resumeSession")
        return count(session) == 0

    until(is_taken_for_gone)
    faulty.set_faults()
    assert "sessionId" not in listener.ask(action="heartbeat")
    back = open_client()
    place = {"role": "listener", "targetLanguage": "es", "connectionId": listener_id}
    assert back.ask(**session.refresh(**place))["type"] == "connectionRefreshComplete"
    assert count(session) == 1


def test_a_listener_who_cannot_be_told_stays_in_the_session(
    faulty: Target, session: Session
) -> None:
    listener, _ = session.listener()
    faulty.set_faults(post_throttled_share=1)
    assert session.speaker.ask(action="pauseSession")["type"] == "sessionPaused"
    faulty.set_faults()
    assert session.status() == ("paused", 1, {"es": 1})
    assert listener.hears_nothing_more()


def test_slow_receivers_hold_up_nobody_and_hear_all_the_same(
    faulty: Target, session: Session
) -> None:
    listeners = [session.listener()[0] for _ in range(10)]
    faulty.set_faults(post_slow_ms=300, post_slow_share=0.5)
    session.speaker.ask(action="endSession")
    assert {listener.hear()["type"] for listener in listeners} == {"sessionEnded"}


def test_a_handler_that_fails_leaves_the_connection_open(faulty: Target, session: Session) -> None:
    faulty.set_faults(handler_raises_share=1, handler_only="$default")
    session.speaker.connection.send(json.dumps({"action": "heartbeat"}))
    frame = json.loads(session.speaker.connection.recv(timeout=10))
    assert "type" not in frame
    assert frame["message"] == "Internal server error"
    faulty.set_faults()
    assert session.speaker.ask(action="heartbeat")["sessionId"] == session.session_id


def test_a_handler_that_fails_at_the_connect_refuses_the_handshake(faulty: Target) -> None:
    faulty.set_faults(handler_raises_share=1, handler_only="$connect")
    assert refused_with(faulty) == 502


def test_a_slow_handler_answers_late_and_right(faulty: Target, session: Session) -> None:
    faulty.set_faults(handler_slow_ms=300, handler_only="$default")
    assert session.speaker.ask(action="heartbeat")["sessionId"] == session.session_id


def test_a_lost_outcome_is_made_good_by_the_next_heartbeat(
    faulty: Target, session: Session, open_client: Open
) -> None:
    faulty.set_faults(handler_raises_share=1, handler_only="outcome")
    join = {"action": "joinSession", "sessionId": session.session_id, "targetLanguage": "es"}
    listener = open_client(**join)
    ack = listener.ask(action="heartbeat")
    assert (ack["type"], ack["sessionId"]) == ("heartbeatAck", session.session_id)
    assert count(session) == 1


def test_a_dynamodb_that_throttles_some_requests_is_not_noticed(
    faulty: Target, session: Session
) -> None:
    faulty.set_faults(dynamodb_throttled_share=0.3)
    listeners = [session.listener()[0] for _ in range(10)]
    faulty.set_faults()
    assert count(session) == len(listeners)


def test_a_slow_dynamodb_answers_late_and_right(faulty: Target, session: Session) -> None:
    faulty.set_faults(dynamodb_slow_ms=100)
    session.listener()
    assert count(session) == 1


def test_without_its_limits_a_live_session_goes_on_and_no_new_one_is_created() -> None:
    with local_server(**GENEROUS) as target, ExitStack() as stack:

        def open_client(**query: str) -> Client:
            return stack.enter_context(client(target, **query))

        session = Session(open_client, target.tokens()["IdToken"])
        target.set_faults(dynamodb_down_share=1, dynamodb_only_table="rate_limits")
        session.listener()
        assert session.speaker.ask(action="heartbeat")["listenerCount"] == 1
        another = open_client(token=session.token)
        refusal = another.ask(action="createSession", sourceLanguage="en")
        assert (refusal["code"], refusal["temporary"]) == ("SERVICE_UNAVAILABLE", True)
        assert refusal["retryAfter"] >= 1


def test_a_dynamodb_that_is_down_is_told_at_once_and_not_asked_again() -> None:
    with local_server(**GENEROUS) as target, ExitStack() as stack:

        def open_client(**query: str) -> Client:
            return stack.enter_context(client(target, **query))

        session = Session(open_client, target.tokens()["IdToken"])
        target.set_faults(dynamodb_down_share=1)
        for _ in range(5):
            refusal = session.speaker.ask(action="getSessionStatus")
            assert refusal["code"] == "SERVICE_UNAVAILABLE"
            assert 1 <= refusal["retryAfter"] <= 5
        # The circuit is open: nobody finds out yet that DynamoDB is back.
        target.set_faults()
        assert session.speaker.ask(action="getSessionStatus")["code"] == "SERVICE_UNAVAILABLE"
