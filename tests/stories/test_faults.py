"""The behavior that clients see when requests, events and handlers fail."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.stories.target import (
    HIGH_LIMITS,
    Client,
    Target,
    client,
    local_server,
    refused_with,
    until,
)
from tests.stories.test_long_sessions import Session

Open = Callable[..., Client]
FAST_CLOCK = ("--clock-rate", "60")
"""A minute takes a second. The sweep runs every second, and events soon count as old."""


def heartbeats(seconds: int) -> dict[str, str]:
    """Return the settings for a heartbeat interval on the server's clock."""
    return {
        "HEARTBEAT_INTERVAL_SECONDS": str(seconds),
        "HEARTBEAT_SETTLED_SECONDS": str(seconds),
        "HEARTBEAT_TIMEOUT_SECONDS": str(3 * seconds),
    }


RARE_HEARTBEATS = heartbeats(3600)
"""For stories that don't test heartbeats and send none."""

FREQUENT_HEARTBEATS = heartbeats(100)
"""For stories about heartbeats. A participant is lost after five seconds without one."""


@pytest.fixture(scope="module")
def server() -> Iterator[Target]:
    with local_server(*FAST_CLOCK, **RARE_HEARTBEATS, **HIGH_LIMITS) as target:
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


def test_missing_heartbeats_reveal_participants_with_lost_disconnects() -> None:
    with (
        local_server(*FAST_CLOCK, **FREQUENT_HEARTBEATS, **HIGH_LIMITS) as target,
        ExitStack() as stack,
    ):

        def open_client(**query: str) -> Client:
            return stack.enter_context(client(target, **query))

        session = Session(open_client, target.tokens()["IdToken"])
        staying, _ = session.listener()
        leaving, _ = session.listener()
        target.set_faults(disconnect_lost_share=1)
        leaving.drop()
        assert count(session) == 2

        def is_not_counted() -> bool:
            assert staying.ask(action="heartbeat")["sessionId"] == session.session_id
            return bool(session.speaker.ask(action="heartbeat")["listenerCount"] == 1)

        until(is_not_counted)

        session.speaker.drop()
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


def test_the_sweep_delivers_an_end_whose_posts_were_all_refused() -> None:
    """Run in real time, because the fan-out retries for ten seconds."""
    with local_server(**HIGH_LIMITS) as target, ExitStack() as stack:

        def open_client(**query: str) -> Client:
            return stack.enter_context(client(target, **query))

        session = Session(open_client, target.tokens()["IdToken"])
        listeners = [session.listener()[0] for _ in range(5)]
        target.set_faults(post_throttled_share=1)
        assert session.speaker.ask(action="endSession")["type"] == "sessionEnded"
        assert "sessionId" not in listeners[0].ask(action="heartbeat")
        target.set_faults()
        target.sweep()
        assert [listener.receive()["type"] for listener in listeners] == ["sessionEnded"] * 5
        target.sweep()
        assert all(listener.has_no_more_messages() for listener in listeners)


def test_a_session_ends_without_requests_if_its_speaker_does_not_return(session: Session) -> None:
    listener, _ = session.listener()
    session.speaker.drop()
    assert listener.receive()["type"] == "sessionInterrupted"
    ended = listener.receive()
    assert (ended["type"], ended["reason"]) == ("sessionEnded", "speakerLost")
    assert listener.has_no_more_messages()


def test_a_duplicate_disconnect_is_counted_once(faulty: Target, session: Session) -> None:
    faulty.set_faults(disconnect_twice_share=1)
    session.listener()
    leaving, _ = session.listener()
    leaving.close()
    until(lambda: count(session) == 1)
    other, _ = session.listener()
    other.drop()
    until(lambda: count(session) == 1)


def test_a_late_disconnect_does_not_affect_refreshed_participants(
    faulty: Target, session: Session, open_client: Open
) -> None:
    listener, listener_id = session.listener()
    faulty.set_faults(disconnect_late_seconds=30)
    old = session.speaker
    session.speaker = open_client(token=session.token)
    session.speaker.ask(**session.refresh(role="speaker"))
    moved = open_client()
    membership = {"role": "listener", "targetLanguage": "es", "connectionId": listener_id}
    moved.ask(**session.refresh(**membership))
    old.close(1000)
    listener.close(1000)
    faulty.set_faults()
    # The late events of the first two closes are delivered before the $disconnect of this one.
    last, _ = session.listener()
    until(lambda: count(session) == 2)
    last.close()
    until(lambda: count(session) == 1)
    assert session.status()[0] == "active"
    assert moved.has_no_more_messages()


def test_listeners_that_were_wrongly_removed_can_return(
    faulty: Target, session: Session, open_client: Open
) -> None:
    listener, listener_id = session.listener()
    faulty.set_faults(post_gone_share=1)

    def is_removed() -> bool:
        session.speaker.ask(action="pauseSession")
        session.speaker.ask(action="resumeSession")
        return count(session) == 0

    until(is_removed)
    faulty.set_faults()
    assert "sessionId" not in listener.ask(action="heartbeat")
    back = open_client()
    membership = {"role": "listener", "targetLanguage": "es", "connectionId": listener_id}
    assert back.ask(**session.refresh(**membership))["type"] == "connectionRefreshComplete"
    assert count(session) == 1


def test_a_listener_that_cannot_be_notified_stays_in_the_session(
    faulty: Target, session: Session
) -> None:
    listener, _ = session.listener()
    faulty.set_faults(post_throttled_share=1)
    assert session.speaker.ask(action="pauseSession")["type"] == "sessionPaused"
    faulty.set_faults()
    assert session.status() == ("paused", 1, {"es": 1})
    assert listener.has_no_more_messages()


def test_slow_posts_are_delivered_and_do_not_block_others(faulty: Target, session: Session) -> None:
    listeners = [session.listener()[0] for _ in range(10)]
    faulty.set_faults(post_slow_ms=300, post_slow_share=0.5)
    session.speaker.ask(action="endSession")
    assert {listener.receive()["type"] for listener in listeners} == {"sessionEnded"}


def test_a_failed_handler_leaves_the_connection_open(faulty: Target, session: Session) -> None:
    faulty.set_faults(handler_raises_share=1, handler_only="$default")
    frame = session.speaker.ask(action="heartbeat")
    assert "type" not in frame
    assert frame["message"] == "Internal server error"
    faulty.set_faults()
    assert session.speaker.ask(action="heartbeat")["sessionId"] == session.session_id


def test_a_failed_connect_handler_refuses_the_handshake(faulty: Target) -> None:
    faulty.set_faults(handler_raises_share=1, handler_only="$connect")
    assert refused_with(faulty) == 502


def test_a_slow_handler_returns_the_correct_answer(faulty: Target, session: Session) -> None:
    faulty.set_faults(handler_slow_ms=300, handler_only="$default")
    assert session.speaker.ask(action="heartbeat")["sessionId"] == session.session_id


def test_the_next_heartbeat_replaces_a_lost_outcome(
    faulty: Target, session: Session, open_client: Open
) -> None:
    faulty.set_faults(handler_raises_share=1, handler_only="outcome")
    join = {"action": "joinSession", "sessionId": session.session_id, "targetLanguage": "es"}
    listener = open_client(**join)
    ack = listener.ask(action="heartbeat")
    assert (ack["type"], ack["sessionId"]) == ("heartbeatAck", session.session_id)
    assert count(session) == 1


def test_clients_do_not_notice_throttling_of_some_requests(
    faulty: Target, session: Session
) -> None:
    faulty.set_faults(dynamodb_throttled_share=0.3)
    listeners = [session.listener()[0] for _ in range(10)]
    faulty.set_faults()
    assert count(session) == len(listeners)


def test_a_slow_dynamodb_gives_the_correct_answer(faulty: Target, session: Session) -> None:
    faulty.set_faults(dynamodb_slow_ms=100)
    session.listener()
    assert count(session) == 1


def test_without_rate_limits_sessions_continue_but_none_is_created() -> None:
    with local_server(**HIGH_LIMITS) as target, ExitStack() as stack:

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


def test_a_dynamodb_outage_is_reported_and_opens_the_circuit() -> None:
    with local_server(**HIGH_LIMITS) as target, ExitStack() as stack:

        def open_client(**query: str) -> Client:
            return stack.enter_context(client(target, **query))

        session = Session(open_client, target.tokens()["IdToken"])
        target.set_faults(dynamodb_down_share=1)
        for _ in range(5):
            refusal = session.speaker.ask(action="getSessionStatus")
            assert refusal["code"] == "SERVICE_UNAVAILABLE"
            assert 1 <= refusal["retryAfter"] <= 5
        # The circuit is still open, although DynamoDB is back.
        target.set_faults()
        assert session.speaker.ask(action="getSessionStatus")["code"] == "SERVICE_UNAVAILABLE"
