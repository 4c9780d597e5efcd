"""The end of a session by an operator."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib.assembly import UseCases
from chalicelib.aws.connections import Gone, PostFailed
from chalicelib.dispatch import Dispatcher
from chalicelib.pipeline import Pipeline
from chalicelib.store.stores import Stores
from chalicelib.sweep import Sweep
from operations import session_end
from operations.consent import ConsentError
from operations.session_end import CountingConnections, EndError, end_session
from tests.unit.fakes import Clock, FakeConnections, frame, join, scan

End = Callable[..., CountingConnections]


def agree(_: object) -> None:
    """Confirm the end of any session."""


@dataclass
class RefusingConnections(FakeConnections):
    """Connections that answer every post with a status, or not at all if it is 0."""

    status: int = 403

    def post(self, connection_id: str, text: str) -> None:
        raise PostFailed(self.status)


@dataclass
class UnreliableConnections(FakeConnections):
    """Connections, some of which can't be reached."""

    unreachable: set[str] = field(default_factory=set)

    def post(self, connection_id: str, text: str) -> None:
        if connection_id == session_end.NO_CONNECTION:
            raise Gone
        if connection_id in self.unreachable:
            raise PostFailed(500)
        super().post(connection_id, text)


@pytest.fixture
def phones() -> UnreliableConnections:
    return UnreliableConnections()


@pytest.fixture
def end(stores: Stores, pipeline: Pipeline, outcomes: Any, clock: Clock) -> End:
    """Return a function that ends a session of the stage."""

    def end(phones: Any, session_id: str, confirm: Any) -> CountingConnections:
        return end_session(stores, phones, pipeline, outcomes, session_id, confirm, clock)

    return end


def test_an_unknown_session_is_not_ended(
    end: End,
    clock: Clock,
    stores: Stores,
    phones: FakeConnections,
) -> None:
    with pytest.raises(EndError, match="there is no open session golden-eagle-427"):
        end(phones, "golden-eagle-427", agree)


def test_an_unconfirmed_end_changes_nothing(
    end: End, clock: Clock, stores: Stores, phones: FakeConnections, dynamodb: Any, session_id: str
) -> None:
    before = scan(dynamodb, "sessions")

    def refuse(_: object) -> None:
        raise ConsentError("nothing was changed")

    with pytest.raises(ConsentError):
        end(phones, session_id, refuse)
    assert scan(dynamodb, "sessions") == before


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (403, "lack execute-api:ManageConnections"),
        (500, "@connections returned status 500"),
        (0, "@connections returned no answer"),
    ],
)
def test_a_session_does_not_end_if_connections_refuses_posts(
    end: End, clock: Clock, stores: Stores, dynamodb: Any, session_id: str, status: int, reason: str
) -> None:
    before = scan(dynamodb, "sessions")
    refusing: Any = RefusingConnections(status=status)
    with pytest.raises(EndError, match=reason):
        end(refusing, session_id, agree)
    assert scan(dynamodb, "sessions") == before


@pytest.mark.parametrize("is_paused", [False, True])
def test_an_end_notifies_every_participant_with_the_reason_expired(
    end: End,
    clock: Clock,
    stores: Stores,
    phones: UnreliableConnections,
    dispatcher: Dispatcher,
    dynamodb: Any,
    session_id: str,
    is_paused: bool,
) -> None:
    join(dispatcher, 1, session_id, "es")
    if is_paused:
        dispatcher.message(frame("speaker=", "user-1", action="pauseSession"))
    counts = end(phones, session_id, agree)
    assert (counts.notified, counts.gone, counts.failed) == (2, 0, 0)
    for receiver in ("speaker=", "listener-1="):
        notice = phones.inbox[receiver][-1]
        assert (notice["type"], notice["sessionId"], notice["reason"]) == (
            "sessionEnded",
            session_id,
            "expired",
        )
    assert scan(dynamodb, "connections") == []


def test_an_end_counts_gone_connections_and_failed_posts(
    end: End,
    clock: Clock,
    stores: Stores,
    phones: UnreliableConnections,
    dispatcher: Dispatcher,
    session_id: str,
) -> None:
    for number in (1, 2, 3):
        join(dispatcher, number, session_id, "es")
    phones.closed = {"speaker=", "listener-1="}
    phones.unreachable = {"listener-2="}
    counts = end(phones, session_id, agree)
    assert (counts.notified, counts.gone, counts.failed) == (1, 2, 1)


def test_an_end_continues_if_the_speaker_cannot_be_notified(
    end: End,
    clock: Clock,
    stores: Stores,
    phones: UnreliableConnections,
    dispatcher: Dispatcher,
    session_id: str,
) -> None:
    join(dispatcher, 1, session_id, "es")
    phones.unreachable = {"speaker="}
    counts = end(phones, session_id, agree)
    assert (counts.notified, counts.gone, counts.failed) == (1, 0, 1)


def test_an_interrupted_session_can_be_ended(
    end: End,
    clock: Clock,
    stores: Stores,
    use_cases: UseCases,
    phones: UnreliableConnections,
    dispatcher: Dispatcher,
    session_id: str,
) -> None:
    join(dispatcher, 1, session_id, "es")
    use_cases.lifecycle.leave("speaker=")
    counts = end(phones, session_id, agree)
    assert counts.notified == 1
    assert phones.inbox["listener-1="][-1]["reason"] == "expired"


def test_an_ended_session_cannot_be_ended_again(
    end: End, clock: Clock, stores: Stores, phones: FakeConnections, session_id: str
) -> None:
    end(phones, session_id, agree)
    with pytest.raises(EndError, match="there is no open session"):
        end(phones, session_id, agree)


def test_a_session_that_its_speaker_ends_before_the_confirmation_is_not_ended_again(
    end: End,
    clock: Clock,
    stores: Stores,
    dispatcher: Dispatcher,
    phones: UnreliableConnections,
    session_id: str,
) -> None:
    def end_by_speaker(_: object) -> None:
        dispatcher.message(frame("speaker=", "user-1", action="endSession"))

    with pytest.raises(EndError, match="has already been ended"):
        end(phones, session_id, end_by_speaker)
    assert phones.inbox == {}


def test_the_sweep_completes_an_interrupted_end(
    stores: Stores,
    phones: UnreliableConnections,
    dispatcher: Dispatcher,
    sweep: Sweep,
    dynamodb: Any,
    session_id: str,
) -> None:
    join(dispatcher, 1, session_id, "es")
    stores.sessions.expire(session_id)
    sweep.run()
    for receiver in ("speaker=", "listener-1="):
        assert phones.inbox[receiver][-1]["reason"] == "expired"
    assert scan(dynamodb, "connections") == []
