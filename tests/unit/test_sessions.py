"""The use cases of sessions, listeners and outcomes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.assembly import UseCases
from chalicelib.aws.connections import PostFailed
from chalicelib.commands import (
    ChangeLanguage,
    CreateSession,
    EndSession,
    GetSessionStatus,
    JoinSession,
    RefreshListener,
)
from chalicelib.ending import Ending
from chalicelib.errors import (
    Conflict,
    Forbidden,
    InternalError,
    ServiceUnavailable,
    SessionFull,
    SessionNotFound,
    Unauthorized,
)
from chalicelib.models import Caller, QualityTier
from chalicelib.outcomes import Delivery
from chalicelib.store.listeners import ListenerStore, Listing
from chalicelib.store.stores import Stores
from chalicelib.store.table import Table
from chalicelib.sweep import Sweep
from tests.unit.fakes import Clock, FakeConnections, listener, scan, with_failing

CREATE = CreateSession("en", QualityTier.STANDARD)
STATUS = GetSessionStatus(None)
END = EndSession(None)


def join(use_cases: UseCases, number: int, session_id: str, language: str = "es") -> dict[str, Any]:
    command = JoinSession(session_id, language, None)
    return use_cases.joining.join(listener(number), command).message


def test_creating_without_a_token_is_unauthorized(use_cases: UseCases, dynamodb: Any) -> None:
    with pytest.raises(Unauthorized):
        use_cases.sessions.create(listener(1), CREATE)
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_a_listener_cannot_create_a_session(use_cases: UseCases, session_id: str) -> None:
    join(use_cases, 1, session_id)
    with pytest.raises(Forbidden):
        use_cases.sessions.create(listener(1), CREATE)


def test_a_second_session_on_one_connection_conflicts_and_stores_nothing(
    use_cases: UseCases, session_id: str, speaker: Caller, dynamodb: Any
) -> None:
    with pytest.raises(Conflict):
        use_cases.sessions.create(speaker, CREATE)
    assert [item["sessionId"]["S"] for item in scan(dynamodb, "sessions")] == [session_id]


def test_a_taken_session_id_is_not_overwritten(
    build: Callable[..., UseCases], speaker: Caller
) -> None:
    ids = iter(["golden-eagle-427", "golden-eagle-427", "golden-eagle-428"])
    sessions = build(new_session_id=lambda: next(ids)).sessions
    first = sessions.create(speaker, CREATE).message
    second = sessions.create(replace(speaker, connection_id="other="), CREATE).message
    assert first["sessionId"] == "golden-eagle-427"
    assert second["sessionId"] == "golden-eagle-428"


def test_creating_a_session_fails_when_every_id_is_taken(
    build: Callable[..., UseCases], speaker: Caller, dynamodb: Any
) -> None:
    sessions = build(new_session_id=lambda: "golden-eagle-427").sessions
    sessions.create(speaker, CREATE)
    with pytest.raises(InternalError):
        sessions.create(replace(speaker, connection_id="other="), CREATE)
    assert len(scan(dynamodb, "connections")) == 1


def test_joining_an_unknown_session_is_refused_and_stores_nothing(
    use_cases: UseCases, dynamodb: Any
) -> None:
    with pytest.raises(SessionNotFound):
        join(use_cases, 1, "golden-eagle-999")
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_an_expired_session_cannot_be_joined(
    use_cases: UseCases, session_id: str, clock: Clock
) -> None:
    clock.now += 7200
    with pytest.raises(SessionNotFound):
        join(use_cases, 1, session_id)


def test_a_full_session_refuses_listeners_and_keeps_its_count(
    use_cases: UseCases, session_id: str, speaker: Caller, dynamodb: Any
) -> None:
    for number in range(3):
        join(use_cases, number, session_id)
    with pytest.raises(SessionFull):
        join(use_cases, 4, session_id)
    assert use_cases.sessions.get_status(speaker, STATUS).message["listenerCount"] == 3
    assert len(scan(dynamodb, "connections")) == 4


def test_a_wrong_invite_code_is_forbidden_and_the_right_one_admits(
    use_cases: UseCases, session_id: str, speaker: Caller
) -> None:
    with pytest.raises(Forbidden):
        use_cases.joining.join(listener(1), JoinSession(session_id, "es", "wrong"))
    use_cases.joining.join(listener(1), JoinSession(session_id, "es", "code-of-the-hall"))
    assert use_cases.sessions.get_status(speaker, STATUS).message["listenerCount"] == 1


def test_a_wrong_invite_code_is_forbidden_even_if_the_session_is_full(
    use_cases: UseCases, session_id: str
) -> None:
    for number in range(3):
        join(use_cases, number, session_id)
    with pytest.raises(Forbidden):
        use_cases.joining.join(listener(4), JoinSession(session_id, "es", "wrong"))


def test_joining_twice_conflicts_and_counts_once(
    use_cases: UseCases, session_id: str, speaker: Caller
) -> None:
    join(use_cases, 1, session_id)
    with pytest.raises(Conflict):
        join(use_cases, 1, session_id)
    assert use_cases.sessions.get_status(speaker, STATUS).message["listenerCount"] == 1


def test_a_speaker_cannot_join_its_own_session_on_the_same_connection(
    use_cases: UseCases, session_id: str, speaker: Caller
) -> None:
    with pytest.raises(Conflict):
        use_cases.joining.join(speaker, JoinSession(session_id, "es", None))
    assert use_cases.sessions.get_status(speaker, STATUS).message["listenerCount"] == 0


@pytest.mark.parametrize("number", [1, 2])
def test_a_listener_that_leaves_twice_is_subtracted_once(
    use_cases: UseCases, session_id: str, speaker: Caller, number: int
) -> None:
    join(use_cases, 1, session_id)
    join(use_cases, 2, session_id)
    for _ in range(2):
        use_cases.lifecycle.leave(listener(number).connection_id, 1000)
    assert use_cases.sessions.get_status(speaker, STATUS).message["listenerCount"] == 1


def test_a_connection_without_a_session_leaves_without_a_notice(
    use_cases: UseCases, phones: FakeConnections
) -> None:
    use_cases.lifecycle.leave("unknown=", 1000)
    assert phones.inbox == {}


def test_status_counts_listeners_by_language(
    use_cases: UseCases, session_id: str, speaker: Caller
) -> None:
    join(use_cases, 1, session_id, "es")
    join(use_cases, 2, session_id, "es")
    join(use_cases, 3, session_id, "fr")
    status = use_cases.sessions.get_status(speaker, STATUS).message
    assert status == {
        "type": "sessionStatus",
        "sessionId": session_id,
        "status": "active",
        "listenerCount": 3,
        "languages": {"es": 2, "fr": 1},
        "createdAt": 1_800_000_000_000,
        "expiresAt": 1_800_007_200_000,
    }


def test_changing_language_moves_a_listener(
    use_cases: UseCases, session_id: str, speaker: Caller
) -> None:
    join(use_cases, 1, session_id, "es")
    changed = use_cases.joining.change_language(listener(1), ChangeLanguage("de", None))
    assert changed.message == {
        "type": "languageChanged",
        "targetLanguage": "de",
        "lastSeq": 0,
        "hasVoice": True,
    }
    assert use_cases.sessions.get_status(speaker, STATUS).message["languages"] == {"de": 1}


def test_commands_on_a_connection_without_a_session_find_none(
    use_cases: UseCases, speaker: Caller
) -> None:
    with pytest.raises(SessionNotFound):
        use_cases.sessions.get_status(speaker, STATUS)
    with pytest.raises(SessionNotFound):
        use_cases.sessions.end(speaker, END)
    with pytest.raises(SessionNotFound):
        use_cases.joining.change_language(listener(1), ChangeLanguage("de", None))


def test_a_speakers_commands_without_a_token_are_unauthorized(use_cases: UseCases) -> None:
    with pytest.raises(Unauthorized):
        use_cases.sessions.end(listener(1), END)
    with pytest.raises(Unauthorized):
        use_cases.sessions.get_status(listener(1), STATUS)


def test_a_speakers_commands_are_forbidden_to_listeners(
    use_cases: UseCases, session_id: str
) -> None:
    join(use_cases, 1, session_id)
    with pytest.raises(Forbidden):
        use_cases.sessions.end(listener(1), END)
    with pytest.raises(Forbidden):
        use_cases.sessions.get_status(listener(1), STATUS)


def test_changing_language_is_forbidden_to_the_speaker(
    use_cases: UseCases, session_id: str, speaker: Caller
) -> None:
    with pytest.raises(Forbidden):
        use_cases.joining.change_language(speaker, ChangeLanguage("de", None))


def test_a_speaker_cannot_control_another_users_session(
    use_cases: UseCases, session_id: str, speaker: Caller
) -> None:
    other = replace(speaker, connection_id="other=", user_id="user-2")
    with pytest.raises(Forbidden):
        use_cases.sessions.end(other, EndSession(session_id))
    use_cases.sessions.create(other, CREATE)
    with pytest.raises(Forbidden):
        use_cases.sessions.end(other, EndSession(session_id))
    with pytest.raises(Forbidden):
        use_cases.sessions.get_status(other, GetSessionStatus(session_id))
    status = use_cases.sessions.get_status(speaker, GetSessionStatus(session_id)).message
    assert status["status"] == "active"


def test_an_end_notifies_each_listener_once_and_a_sweep_deletes_the_session(
    use_cases: UseCases,
    session_id: str,
    speaker: Caller,
    phones: FakeConnections,
    dynamodb: Any,
    clock: Clock,
    sweep: Sweep,
) -> None:
    join(use_cases, 1, session_id)
    join(use_cases, 2, session_id)
    phones.closed.add(listener(2).connection_id)

    ended = use_cases.sessions.end(speaker, END).message
    use_cases.lifecycle.leave(speaker.connection_id, 1000)

    notice = {"type": "sessionEnded", "sessionId": session_id, "reason": "speakerEnded"}
    assert ended == notice
    assert phones.inbox == {listener(1).connection_id: [{**notice, "timestamp": 1_800_000_000_000}]}
    assert scan(dynamodb, "connections") == []
    assert [item["status"]["S"] for item in scan(dynamodb, "sessions")] == ["ended"]
    with pytest.raises(SessionNotFound):
        join(use_cases, 3, session_id)

    clock.now += 34
    sweep.run()
    assert len(scan(dynamodb, "sessions")) == 1
    clock.now += 1
    sweep.run()
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []
    assert len(phones.inbox[listener(1).connection_id]) == 1


@pytest.mark.parametrize(
    ("close_code", "reasons"),
    [
        (1000, [None, "speakerEnded"]),
        (1005, [None, "speakerEnded"]),
        (1001, [None, "speakerLost"]),
        (1006, [None, "speakerLost"]),
        (None, [None, "speakerLost"]),
    ],
)
def test_the_close_of_the_speakers_connection_ends_the_session_after_a_grace(
    use_cases: UseCases,
    session_id: str,
    speaker: Caller,
    phones: FakeConnections,
    dynamodb: Any,
    clock: Clock,
    sweep: Sweep,
    close_code: int | None,
    reasons: list[str | None],
) -> None:
    join(use_cases, 1, session_id)
    for _ in range(2):
        use_cases.lifecycle.leave(speaker.connection_id, close_code)
    clock.now += 60
    sweep.run()
    clock.now += 35
    sweep.run()
    notices = phones.inbox[listener(1).connection_id]
    assert [notice.get("reason") for notice in notices] == reasons
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_a_listener_that_has_left_keeps_an_item_and_is_not_counted(
    use_cases: UseCases, session_id: str, speaker: Caller, dynamodb: Any
) -> None:
    join(use_cases, 1, session_id)
    use_cases.lifecycle.leave(listener(1).connection_id, 1000)
    languages = {
        item["connectionId"]["S"]: item.get("targetLanguage")
        for item in scan(dynamodb, "connections")
    }
    assert languages == {"listener-1=": None, "speaker=": None}
    assert use_cases.sessions.get_status(speaker, STATUS).message["languages"] == {}
    use_cases.sessions.end(speaker, END)
    assert [item["connectionId"]["S"] for item in scan(dynamodb, "connections")] == ["listener-1="]


def test_a_listener_can_join_another_session_after_its_session_has_ended(
    use_cases: UseCases, session_id: str, speaker: Caller
) -> None:
    join(use_cases, 1, session_id)
    use_cases.sessions.end(speaker, END)
    again = use_cases.sessions.create(speaker, CREATE).message
    assert join(use_cases, 1, again["sessionId"])["sessionId"] == again["sessionId"]


def test_a_speakers_heartbeat_extends_the_session(
    use_cases: UseCases, session_id: str, speaker: Caller, clock: Clock
) -> None:
    clock.now += 7000
    use_cases.presence.heartbeat(speaker)
    clock.now += 7000
    assert join(use_cases, 1, session_id)["sessionId"] == session_id


def test_a_heartbeat_does_not_reopen_an_expired_session(
    use_cases: UseCases, session_id: str, speaker: Caller, clock: Clock
) -> None:
    clock.now += 7201
    assert "sessionId" not in use_cases.presence.heartbeat(speaker).message
    with pytest.raises(SessionNotFound):
        join(use_cases, 1, session_id)


def test_an_expired_connection_is_not_a_participant(
    use_cases: UseCases, session_id: str, clock: Clock
) -> None:
    join(use_cases, 1, session_id)
    clock.now += 7800
    assert "sessionId" not in use_cases.presence.heartbeat(listener(1)).message


def outcome(connection_id: str, session_id: str, **fields: str) -> Delivery:
    message = {"type": "sessionJoined", "sessionId": session_id, **fields}
    return Delivery(connection_id, "https://api/stage", [message])


def reminders(connection_id: str, *messages: dict[str, Any]) -> Delivery:
    return Delivery(connection_id, "https://api/stage", messages, delay_ms=50)


def test_an_outcome_waits_for_its_connection_to_open(
    use_cases: UseCases,
    build: Callable[..., UseCases],
    session_id: str,
    phones: FakeConnections,
) -> None:
    join(use_cases, 1, session_id)
    phones.closed.add("listener-1=")
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            phones.closed.clear()

    build(sleep=sleep).deliveries.deliver(outcome("listener-1=", session_id))
    assert [message["type"] for message in phones.inbox["listener-1="]] == ["sessionJoined"]
    assert len(waits) == 3


@pytest.mark.parametrize("ends_before_it_opens", [True, False])
def test_an_outcome_of_a_session_that_has_ended_is_delivered_as_an_error(
    use_cases: UseCases,
    build: Callable[..., UseCases],
    session_id: str,
    speaker: Caller,
    phones: FakeConnections,
    ends_before_it_opens: bool,
) -> None:
    join(use_cases, 1, session_id)
    phones.closed.add("listener-1=")

    def sleep(_: float) -> None:
        use_cases.sessions.end(speaker, END)
        phones.closed.clear()

    if ends_before_it_opens:
        sleep(0)
    build(sleep=sleep).deliveries.deliver(outcome("listener-1=", session_id, requestId="r1"))
    ((message,),) = phones.inbox.values()
    assert (message["type"], message["code"], message["requestId"]) == (
        "error",
        "SESSION_NOT_FOUND",
        "r1",
    )


def test_reminders_arrive_in_order_after_their_delay(
    use_cases: UseCases,
    build: Callable[..., UseCases],
    session_id: str,
    phones: FakeConnections,
) -> None:
    join(use_cases, 1, session_id)
    waits: list[float] = []
    delivery = reminders("listener-1=", {"type": "1"}, {"type": "2"})
    build(sleep=waits.append).deliveries.deliver(delivery)
    assert [message["type"] for message in phones.inbox["listener-1="]] == ["1", "2"]
    assert waits == [0.05]


def test_a_listener_that_is_superseded_during_the_delay_gets_no_reminder(
    use_cases: UseCases,
    build: Callable[..., UseCases],
    session_id: str,
    phones: FakeConnections,
) -> None:
    join(use_cases, 1, session_id)

    def sleep(_: float) -> None:
        use_cases.refresh.refresh_listener(
            listener(2), RefreshListener(session_id, "es", "listener-1=", None)
        )

    build(sleep=sleep).deliveries.deliver(reminders("listener-1=", {}))
    assert phones.inbox == {}


def test_an_outcome_whose_post_fails_does_not_undo_the_join(
    use_cases: UseCases, build: Callable[..., UseCases], session_id: str, speaker: Caller
) -> None:
    posts: list[str] = []

    class Failing(FakeConnections):
        def post(self, connection_id: str, text: str) -> None:
            posts.append(connection_id)
            raise PostFailed(500)

    join(use_cases, 1, session_id)
    build(connections=Failing()).deliveries.deliver(outcome("listener-1=", session_id))
    assert posts == ["listener-1="]
    assert use_cases.sessions.get_status(speaker, STATUS).message["listenerCount"] == 1


def test_a_speaker_whose_connection_never_opens_interrupts_the_session(
    use_cases: UseCases, session_id: str, speaker: Caller, phones: FakeConnections
) -> None:
    join(use_cases, 1, session_id)
    phones.closed.add(speaker.connection_id)
    use_cases.deliveries.deliver(outcome(speaker.connection_id, session_id))
    (notice,) = phones.inbox[listener(1).connection_id]
    assert notice["type"] == "sessionInterrupted"


def test_the_join_of_a_connection_that_never_opens_is_undone(
    use_cases: UseCases,
    build: Callable[..., UseCases],
    session_id: str,
    speaker: Caller,
    phones: FakeConnections,
) -> None:
    join(use_cases, 1, session_id)
    phones.closed.add(listener(1).connection_id)
    waits: list[float] = []
    build(sleep=waits.append).deliveries.deliver(outcome("listener-1=", session_id))
    assert sum(waits) == pytest.approx(3.17)
    assert use_cases.sessions.get_status(speaker, STATUS).message["listenerCount"] == 0


def test_a_repeated_join_that_fails_does_not_remove_the_listener(
    use_cases: UseCases,
    build: Callable[..., UseCases],
    stores: Stores,
    session_id: str,
    speaker: Caller,
    clock: Clock,
) -> None:
    join(use_cases, 1, session_id)
    clock.now += 0.001
    with pytest.raises(ServiceUnavailable):
        join(build(stores=with_failing(stores, "participants.put")), 1, session_id)
    assert use_cases.presence.heartbeat(listener(1)).message["sessionId"] == session_id
    assert use_cases.sessions.get_status(speaker, STATUS).message["listenerCount"] == 1


def test_a_creation_that_fails_is_undone(
    build: Callable[..., UseCases], stores: Stores, speaker: Caller, dynamodb: Any
) -> None:
    failing = build(stores=with_failing(stores, "sessions.create"))
    with pytest.raises(ServiceUnavailable):
        failing.sessions.create(speaker, CREATE)
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_an_end_that_is_finished_late_does_not_remove_a_listener_of_another_session(
    ending_of: Callable[..., Ending],
    use_cases: UseCases,
    stores: Stores,
    session_id: str,
    speaker: Caller,
    phones: FakeConnections,
    dynamodb: Any,
    clock: Clock,
) -> None:
    class StaleListenerStore(ListenerStore):
        """Lists a listener, as an index does that was read before the end."""

        def list_all(self, session_id: str) -> Listing:
            return Listing({listener(1).connection_id: "es"}, frozenset())

    join(use_cases, 1, session_id)
    use_cases.sessions.end(speaker, END)
    created = use_cases.sessions.create(replace(speaker, connection_id="other="), CREATE)
    other = created.message["sessionId"]
    join(use_cases, 1, other)

    (ended,) = (each for each in stores.sessions.scan_page(None, 9)[0] if each.end_reason)
    stale = StaleListenerStore(Table(dynamodb, "connections", "connectionId"), clock)
    ending_of(replace(stores, listeners=stale)).finish(ended)

    notices = phones.inbox[listener(1).connection_id]
    assert [notice["sessionId"] for notice in notices] == [session_id]
    assert use_cases.presence.heartbeat(listener(1)).message["sessionId"] == other
