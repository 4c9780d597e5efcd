"""The use cases, against moto: the failing paths first."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.aws.connections import PostFailed
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
from chalicelib.protocol import (
    ChangeLanguage,
    CreateSession,
    EndSession,
    GetSessionStatus,
    JoinSession,
    RefreshListener,
)
from chalicelib.sessions import Sessions
from chalicelib.store import Listing, Store
from chalicelib.sweep import Sweep
from tests.unit.fakes import Clock, FailingStore, FakeConnections, listener, scan

CREATE = CreateSession("en", QualityTier.STANDARD)
STATUS = GetSessionStatus(None)
END = EndSession(None)


def join(sessions: Sessions, number: int, session_id: str, language: str = "es") -> dict[str, Any]:
    return sessions.join(listener(number), JoinSession(session_id, language, None))


def test_creating_without_a_token_is_unauthorized(sessions: Sessions, dynamodb: Any) -> None:
    with pytest.raises(Unauthorized):
        sessions.create(listener(1), CREATE)
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_a_listener_of_a_session_may_not_create_one(sessions: Sessions, session_id: str) -> None:
    join(sessions, 1, session_id)
    with pytest.raises(Forbidden):
        sessions.create(listener(1), CREATE)


def test_a_second_session_on_one_connection_conflicts_and_leaves_nothing(
    sessions: Sessions, session_id: str, speaker: Caller, dynamodb: Any
) -> None:
    with pytest.raises(Conflict):
        sessions.create(speaker, CREATE)
    assert [item["sessionId"]["S"] for item in scan(dynamodb, "sessions")] == [session_id]


def test_a_taken_session_id_is_not_overwritten(sessions: Sessions, speaker: Caller) -> None:
    ids = iter(["golden-eagle-427", "golden-eagle-427", "golden-eagle-428"])
    sessions = replace(sessions, new_session_id=lambda: next(ids))
    first = sessions.create(speaker, CREATE)
    second = sessions.create(replace(speaker, connection_id="other="), CREATE)
    assert first["sessionId"] == "golden-eagle-427"
    assert second["sessionId"] == "golden-eagle-428"


def test_creating_gives_up_when_every_id_is_taken(
    sessions: Sessions, speaker: Caller, dynamodb: Any
) -> None:
    sessions = replace(sessions, new_session_id=lambda: "golden-eagle-427")
    sessions.create(speaker, CREATE)
    with pytest.raises(InternalError):
        sessions.create(replace(speaker, connection_id="other="), CREATE)
    assert len(scan(dynamodb, "connections")) == 1


def test_an_unknown_session_cannot_be_joined_and_nothing_is_left(
    sessions: Sessions, dynamodb: Any
) -> None:
    with pytest.raises(SessionNotFound):
        join(sessions, 1, "golden-eagle-999")
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_an_expired_session_cannot_be_joined(
    sessions: Sessions, session_id: str, clock: Clock
) -> None:
    clock.now += 7200
    with pytest.raises(SessionNotFound):
        join(sessions, 1, session_id)


def test_a_full_session_refuses_and_keeps_its_count(
    sessions: Sessions, session_id: str, speaker: Caller, dynamodb: Any
) -> None:
    for number in range(3):
        join(sessions, number, session_id)
    with pytest.raises(SessionFull):
        join(sessions, 4, session_id)
    assert sessions.get_status(speaker, STATUS)["listenerCount"] == 3
    assert len(scan(dynamodb, "connections")) == 4


def test_a_wrong_invite_code_is_forbidden_and_a_right_one_lets_in(
    sessions: Sessions, session_id: str, speaker: Caller
) -> None:
    with pytest.raises(Forbidden):
        sessions.join(listener(1), JoinSession(session_id, "es", "wrong"))
    sessions.join(listener(1), JoinSession(session_id, "es", "code-of-the-hall"))
    assert sessions.get_status(speaker, STATUS)["listenerCount"] == 1


def test_a_wrong_invite_code_is_forbidden_even_where_the_session_is_full(
    sessions: Sessions, session_id: str
) -> None:
    for number in range(3):
        join(sessions, number, session_id)
    with pytest.raises(Forbidden):
        sessions.join(listener(4), JoinSession(session_id, "es", "wrong"))


def test_joining_twice_conflicts_and_counts_once(
    sessions: Sessions, session_id: str, speaker: Caller
) -> None:
    join(sessions, 1, session_id)
    with pytest.raises(Conflict):
        join(sessions, 1, session_id)
    assert sessions.get_status(speaker, STATUS)["listenerCount"] == 1


def test_a_speaker_cannot_join_his_own_session_on_the_same_connection(
    sessions: Sessions, session_id: str, speaker: Caller
) -> None:
    with pytest.raises(Conflict):
        sessions.join(speaker, JoinSession(session_id, "es", None))
    assert sessions.get_status(speaker, STATUS)["listenerCount"] == 0


@pytest.mark.parametrize("number", [1, 2])
def test_leaving_twice_counts_out_once(
    sessions: Sessions, session_id: str, speaker: Caller, number: int
) -> None:
    join(sessions, 1, session_id)
    join(sessions, 2, session_id)
    for _ in range(2):
        sessions.lifecycle.leave(listener(number).connection_id, 1000)
    assert sessions.get_status(speaker, STATUS)["listenerCount"] == 1


def test_a_connection_without_a_session_leaves_quietly(
    sessions: Sessions, phones: FakeConnections
) -> None:
    sessions.lifecycle.leave("nobody=", 1000)
    assert phones.inbox == {}


def test_status_counts_listeners_by_language(
    sessions: Sessions, session_id: str, speaker: Caller
) -> None:
    join(sessions, 1, session_id, "es")
    join(sessions, 2, session_id, "es")
    join(sessions, 3, session_id, "fr")
    status = sessions.get_status(speaker, STATUS)
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
    sessions: Sessions, session_id: str, speaker: Caller
) -> None:
    join(sessions, 1, session_id, "es")
    changed = sessions.change_language(listener(1), ChangeLanguage("de", None))
    assert changed == {"type": "languageChanged", "targetLanguage": "de"}
    assert sessions.get_status(speaker, STATUS)["languages"] == {"de": 1}


def test_commands_for_a_session_need_one(sessions: Sessions, speaker: Caller) -> None:
    with pytest.raises(SessionNotFound):
        sessions.get_status(speaker, STATUS)
    with pytest.raises(SessionNotFound):
        sessions.end(speaker, END)
    with pytest.raises(SessionNotFound):
        sessions.change_language(listener(1), ChangeLanguage("de", None))


def test_a_speakers_commands_are_not_for_strangers(sessions: Sessions) -> None:
    with pytest.raises(Unauthorized):
        sessions.end(listener(1), END)
    with pytest.raises(Unauthorized):
        sessions.get_status(listener(1), STATUS)


def test_a_speakers_commands_are_not_for_his_listeners(sessions: Sessions, session_id: str) -> None:
    join(sessions, 1, session_id)
    with pytest.raises(Forbidden):
        sessions.end(listener(1), END)
    with pytest.raises(Forbidden):
        sessions.get_status(listener(1), STATUS)


def test_a_listeners_command_is_not_for_the_speaker(
    sessions: Sessions, session_id: str, speaker: Caller
) -> None:
    with pytest.raises(Forbidden):
        sessions.change_language(speaker, ChangeLanguage("de", None))


def test_one_speaker_cannot_name_anothers_session(
    sessions: Sessions, session_id: str, speaker: Caller
) -> None:
    other = replace(speaker, connection_id="other=", user_id="user-2")
    with pytest.raises(Forbidden):
        sessions.end(other, EndSession(session_id))
    sessions.create(other, CREATE)
    with pytest.raises(Forbidden):
        sessions.end(other, EndSession(session_id))
    with pytest.raises(Forbidden):
        sessions.get_status(other, GetSessionStatus(session_id))
    assert sessions.get_status(speaker, GetSessionStatus(session_id))["status"] == "active"


def test_ending_tells_each_listener_once_and_leaves_the_session_to_a_sweep(
    sessions: Sessions,
    session_id: str,
    speaker: Caller,
    phones: FakeConnections,
    dynamodb: Any,
    clock: Clock,
    sweep: Sweep,
) -> None:
    join(sessions, 1, session_id)
    join(sessions, 2, session_id)
    phones.closed.add(listener(2).connection_id)

    ended = sessions.end(speaker, END)
    sessions.lifecycle.leave(speaker.connection_id, 1000)

    notice = {"type": "sessionEnded", "sessionId": session_id, "reason": "speakerEnded"}
    assert ended == notice
    assert phones.inbox == {listener(1).connection_id: [{**notice, "timestamp": 1_800_000_000_000}]}
    assert scan(dynamodb, "connections") == []
    assert [item["status"]["S"] for item in scan(dynamodb, "sessions")] == ["ended"]
    with pytest.raises(SessionNotFound):
        join(sessions, 3, session_id)

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
def test_the_end_of_the_speakers_connection_ends_the_session_after_a_grace(
    sessions: Sessions,
    session_id: str,
    speaker: Caller,
    phones: FakeConnections,
    dynamodb: Any,
    clock: Clock,
    sweep: Sweep,
    close_code: int | None,
    reasons: list[str | None],
) -> None:
    join(sessions, 1, session_id)
    for _ in range(2):
        sessions.lifecycle.leave(speaker.connection_id, close_code)
    clock.now += 60
    sweep.run()
    clock.now += 35
    sweep.run()
    notices = phones.inbox[listener(1).connection_id]
    assert [notice.get("reason") for notice in notices] == reasons
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_whoever_has_left_keeps_a_record_that_is_in_no_list(
    sessions: Sessions, session_id: str, speaker: Caller, dynamodb: Any
) -> None:
    join(sessions, 1, session_id)
    sessions.lifecycle.leave(listener(1).connection_id, 1000)
    languages = {
        item["connectionId"]["S"]: item.get("targetLanguage")
        for item in scan(dynamodb, "connections")
    }
    assert languages == {"listener-1=": None, "speaker=": None}
    assert sessions.get_status(speaker, STATUS)["languages"] == {}
    sessions.end(speaker, END)
    assert [item["connectionId"]["S"] for item in scan(dynamodb, "connections")] == ["listener-1="]


def test_a_listener_may_join_another_session_once_his_has_ended(
    sessions: Sessions, session_id: str, speaker: Caller
) -> None:
    join(sessions, 1, session_id)
    sessions.end(speaker, END)
    again = sessions.create(speaker, CREATE)
    assert join(sessions, 1, again["sessionId"])["sessionId"] == again["sessionId"]


def test_a_speakers_heartbeat_keeps_the_session_from_expiring(
    sessions: Sessions, session_id: str, speaker: Caller, clock: Clock
) -> None:
    clock.now += 7000
    sessions.heartbeat(speaker)
    clock.now += 7000
    assert join(sessions, 1, session_id)["sessionId"] == session_id


def test_a_heartbeat_does_not_wake_an_expired_session(
    sessions: Sessions, session_id: str, speaker: Caller, clock: Clock
) -> None:
    clock.now += 7201
    assert "sessionId" not in sessions.heartbeat(speaker)[0]
    with pytest.raises(SessionNotFound):
        join(sessions, 1, session_id)


def test_an_expired_connection_is_treated_as_gone(
    sessions: Sessions, session_id: str, clock: Clock
) -> None:
    join(sessions, 1, session_id)
    clock.now += 7800
    assert "sessionId" not in sessions.heartbeat(listener(1))[0]


def sleeping(sessions: Sessions, sleep: Callable[[float], object]) -> Sessions:
    return replace(sessions, sleep=sleep)  # type: ignore[arg-type]


def outcome_of(session_id: str, **fields: str) -> str:
    return json.dumps({"type": "sessionJoined", "sessionId": session_id, **fields})


def test_an_outcome_waits_for_its_connection_to_open(
    sessions: Sessions, session_id: str, phones: FakeConnections
) -> None:
    join(sessions, 1, session_id)
    phones.closed.add("listener-1=")
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            phones.closed.clear()

    assert sleeping(sessions, sleep).deliver_outcome("listener-1=", "1", outcome_of(session_id))
    assert [told["type"] for told in phones.inbox["listener-1="]] == ["sessionJoined"]
    assert len(waits) == 3


@pytest.mark.parametrize("ends_before_it_opens", [True, False])
def test_an_outcome_of_a_session_that_has_ended_meanwhile_says_so(
    sessions: Sessions,
    session_id: str,
    speaker: Caller,
    phones: FakeConnections,
    ends_before_it_opens: bool,
) -> None:
    join(sessions, 1, session_id)
    phones.closed.add("listener-1=")

    def sleep(_: float) -> None:
        sessions.end(speaker, END)
        phones.closed.clear()

    if ends_before_it_opens:
        sleep(0)
    outcome = outcome_of(session_id, requestId="r1")
    assert sleeping(sessions, sleep).deliver_outcome("listener-1=", "1", outcome)
    ((told,),) = phones.inbox.values()
    assert (told["type"], told["code"], told["requestId"]) == ("error", "SESSION_NOT_FOUND", "r1")


def test_reminders_come_in_order_and_no_sooner_than_asked(
    sessions: Sessions, session_id: str, phones: FakeConnections
) -> None:
    join(sessions, 1, session_id)
    waits: list[float] = []
    messages = ['{"type": "1"}', '{"type": "2"}']
    event = {"id": "1", "connectionId": "listener-1=", "delayMs": 50, "messages": messages}
    sleeping(sessions, waits.append).deliver(event)
    assert [message["type"] for message in phones.inbox["listener-1="]] == ["1", "2"]
    assert waits == [0.05]


def test_who_was_replaced_meanwhile_hears_no_reminder(
    sessions: Sessions, session_id: str, phones: FakeConnections
) -> None:
    join(sessions, 1, session_id)

    def sleep(_: float) -> None:
        sessions.refresh_listener(
            listener(2), RefreshListener(session_id, "es", "listener-1=", None)
        )

    event = {"id": "1", "connectionId": "listener-1=", "delayMs": 50, "messages": ["{}"]}
    sleeping(sessions, sleep).deliver(event)
    assert phones.inbox == {}


def test_an_outcome_that_may_have_come_undoes_nothing(
    sessions: Sessions, session_id: str, speaker: Caller
) -> None:
    class Failing(FakeConnections):
        def post(self, connection_id: str, text: str) -> None:
            raise PostFailed(500)

    join(sessions, 1, session_id)
    failing: Any = Failing()
    unlucky = replace(sessions, lifecycle=replace(sessions.lifecycle, connections=failing))
    assert unlucky.deliver_outcome(listener(1).connection_id, "1", outcome_of(session_id))
    assert sessions.get_status(speaker, STATUS)["listenerCount"] == 1


def test_an_outcome_for_a_speaker_who_never_opens_interrupts_the_session(
    sessions: Sessions, session_id: str, speaker: Caller, phones: FakeConnections
) -> None:
    join(sessions, 1, session_id)
    phones.closed.add(speaker.connection_id)
    assert not sleeping(sessions, lambda _: None).deliver_outcome(
        speaker.connection_id, "1", outcome_of(session_id)
    )
    (notice,) = phones.inbox[listener(1).connection_id]
    assert notice["type"] == "sessionInterrupted"


def test_an_outcome_for_a_connection_that_never_opens_undoes_the_join(
    sessions: Sessions, session_id: str, speaker: Caller, phones: FakeConnections
) -> None:
    join(sessions, 1, session_id)
    phones.closed.add(listener(1).connection_id)
    waits: list[float] = []
    assert not sleeping(sessions, waits.append).deliver_outcome(
        "listener-1=", "1", outcome_of(session_id)
    )
    assert sum(waits) == pytest.approx(3.17)
    assert sessions.get_status(speaker, STATUS)["listenerCount"] == 0


def test_a_join_given_again_that_cannot_be_finished_takes_nothing_from_who_is_in(
    sessions: Sessions, session_id: str, speaker: Caller, dynamodb: Any, clock: Clock
) -> None:
    store = FailingStore(dynamodb, "sessions", "connections", sessions.clock)
    store.failing = "put_connection"
    join(sessions, 1, session_id)
    clock.now += 0.001
    with pytest.raises(ServiceUnavailable):
        join(replace(sessions, store=store), 1, session_id)
    assert sessions.heartbeat(listener(1))[0]["sessionId"] == session_id
    assert sessions.get_status(speaker, STATUS)["listenerCount"] == 1


def test_a_session_that_cannot_be_finished_is_undone(
    sessions: Sessions, speaker: Caller, dynamodb: Any
) -> None:
    store = FailingStore(dynamodb, "sessions", "connections", sessions.clock)
    store.failing = "create_session"
    with pytest.raises(ServiceUnavailable):
        replace(sessions, store=store).create(speaker, CREATE)
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


def test_an_end_that_is_finished_late_does_not_touch_who_has_joined_another_session_since(
    sessions: Sessions,
    session_id: str,
    speaker: Caller,
    phones: FakeConnections,
    dynamodb: Any,
) -> None:
    class ListsWhatWas(Store):
        """As a sweep does that read the index just before the end."""

        def list_connections(self, session_id: str) -> Listing:
            return Listing({listener(1).connection_id: "es"}, frozenset())

    join(sessions, 1, session_id)
    sessions.end(speaker, END)
    other = sessions.create(replace(speaker, connection_id="other="), CREATE)["sessionId"]
    join(sessions, 1, other)

    (ended,) = (each for each in sessions.store.scan_sessions(None, 9)[0] if each.end_reason)
    late = ListsWhatWas(dynamodb, "sessions", "connections", sessions.clock)
    replace(sessions.lifecycle, store=late).finish_end(ended)

    notices = phones.inbox[listener(1).connection_id]
    assert [notice["sessionId"] for notice in notices] == [session_id]
    assert sessions.heartbeat(listener(1))[0]["sessionId"] == other
