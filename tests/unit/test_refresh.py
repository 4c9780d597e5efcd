"""Refreshes of connections by frame and by URL, for speakers and listeners."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.assembly import UseCases
from chalicelib.commands import RefreshListener
from chalicelib.dispatch import Dispatcher
from chalicelib.errors import ServiceUnavailable
from chalicelib.models import Caller
from chalicelib.refresh import MAX_REPLACEMENTS
from chalicelib.store.stores import Stores
from chalicelib.sweep import Sweep
from tests.unit.fakes import (
    CREATE,
    JOINS_A_MINUTE,
    Clock,
    FakeConnections,
    FakeOutcomes,
    Wire,
    closing,
    frame,
    listener,
    participants,
    reply,
    scan,
    types,
    with_failing,
)

JOIN = {"action": "joinSession", "targetLanguage": "es"}
UNKNOWN = "golden-eagle-999"

Status = Callable[..., dict[str, Any]]


def as_speaker(session_id: str) -> dict[str, str]:
    return {"action": "refreshConnection", "sessionId": session_id, "role": "speaker"}


def as_listener(session_id: str, old: str | None = None, language: str = "es") -> dict[str, str]:
    fields = {"action": "refreshConnection", "sessionId": session_id, "role": "listener"}
    replaced = {} if old is None else {"connectionId": old}
    return {**fields, **replaced, "targetLanguage": language}


@pytest.fixture
def status(dispatcher: Dispatcher) -> Status:
    """Return a function that gets the session's status, by default on the first connection."""

    def ask(connection_id: str = "speaker=") -> dict[str, Any]:
        return reply(dispatcher.message(frame(connection_id, "user-1", action="getSessionStatus")))

    return ask


@pytest.fixture
def join(dispatcher: Dispatcher, session_id: str) -> Callable[..., None]:
    def join(*connection_ids: str, session: str = session_id, language: str = "es") -> None:
        for each in connection_ids:
            fields = {**JOIN, "sessionId": session, "targetLanguage": language}
            joined = reply(dispatcher.message(frame(each, **fields)))
            assert joined["type"] == "sessionJoined", joined

    return join


def present(dynamodb: Any) -> set[str]:
    """Return the IDs of the connections that are participants."""
    return {
        item["connectionId"]["S"]
        for item in participants(dynamodb)
        if not {"leftAt", "supersededBy"} & item.keys()
    }


# Speakers


def test_a_speakers_refresh_without_a_token_is_unauthorized(
    wire: Wire, session_id: str, dynamodb: Any
) -> None:
    assert wire.refuses("UNAUTHORIZED", "new=", **as_speaker(session_id))
    assert present(dynamodb) == {"speaker="}


def test_a_speakers_refresh_by_another_user_is_forbidden_and_stores_nothing(
    wire: Wire, session_id: str, dynamodb: Any, status: Status
) -> None:
    before = scan(dynamodb, "sessions")
    assert wire.refuses("FORBIDDEN", "new=", "user-2", **as_speaker(session_id))
    assert scan(dynamodb, "sessions") == before
    assert present(dynamodb) == {"speaker="}
    assert status()["status"] == "active"


def test_a_speakers_refresh_of_an_unknown_session_is_refused_and_stores_nothing(
    wire: Wire, dynamodb: Any
) -> None:
    assert wire.refuses("SESSION_NOT_FOUND", "new=", "user-1", **as_speaker(UNKNOWN))
    assert participants(dynamodb) == []


def test_a_speakers_refresh_of_an_ended_session_is_refused(
    wire: Wire, session_id: str, dispatcher: Dispatcher, dynamodb: Any
) -> None:
    dispatcher.message(frame("speaker=", "user-1", action="endSession"))
    assert wire.refuses("SESSION_NOT_FOUND", "new=", "user-1", **as_speaker(session_id))
    assert participants(dynamodb) == []


def test_a_speakers_refresh_of_an_expired_session_is_refused(
    wire: Wire, session_id: str, clock: Clock
) -> None:
    clock.now += 7200
    assert wire.refuses("SESSION_NOT_FOUND", "new=", "user-1", **as_speaker(session_id))


def test_a_connection_with_another_session_cannot_refresh_as_the_speaker(
    dispatcher: Dispatcher, session_id: str, join: Callable[..., None], status: Status
) -> None:
    join("b=")
    dispatcher.message(frame("other=", "user-1", **CREATE))
    for connection_id in ("b=", "other="):
        refusal = reply(
            dispatcher.message(frame(connection_id, "user-1", **as_speaker(session_id)))
        )
        assert refusal["code"] == "CONFLICT"
    assert status()["listenerCount"] == 1


def test_a_speakers_refresh_returns_the_session_and_its_invite_code(
    wire: Wire, session_id: str
) -> None:
    refreshed = wire.send("new=", "user-1", **as_speaker(session_id))
    # A delivery adds the timestamp when it posts the outcome.
    assert refreshed.pop("timestamp", None) == (None if wire.by_url else 1_800_000_000_000)
    assert refreshed == {
        "type": "connectionRefreshComplete",
        "sessionId": session_id,
        "connectionId": "new=",
        "role": "speaker",
        "status": "active",
        "inviteCode": "code-of-the-hall",
        "heartbeatSeconds": 30,
    }


def test_a_speakers_refresh_extends_the_session(
    wire: Wire, session_id: str, clock: Clock, status: Status
) -> None:
    clock.now += 6000
    wire.send("new=", "user-1", **as_speaker(session_id))
    assert status("new=")["expiresAt"] == 1_800_013_200_000


def test_a_superseded_speakers_commands_find_no_session(
    wire: Wire, session_id: str, dispatcher: Dispatcher, phones: FakeConnections
) -> None:
    wire.send("new=", "user-1", **as_speaker(session_id))
    for action in ("getSessionStatus", "pauseSession", "resumeSession", "endSession"):
        refusal = reply(dispatcher.message(frame("speaker=", "user-1", action=action)))
        assert refusal["code"] == "SESSION_NOT_FOUND"
    ack = reply(dispatcher.message(frame("speaker=", "user-1", action="heartbeat")))
    assert ack["type"] == "heartbeatAck"
    assert ack.keys().isdisjoint({"sessionId", "listenerCount"})
    assert phones.inbox == {}


@pytest.mark.parametrize("codes", [[], [1000], [1001], [None], [1000, 1000], [1001, 1000]])
def test_repeated_closes_of_a_superseded_speaker_change_nothing(
    wire: Wire,
    session_id: str,
    dispatcher: Dispatcher,
    phones: FakeConnections,
    clock: Clock,
    sweep: Sweep,
    status: Status,
    join: Callable[..., None],
    codes: list[int | None],
) -> None:
    join("b=")
    wire.send("new=", "user-1", **as_speaker(session_id))
    phones.closed.add("speaker=")
    for code in codes:
        dispatcher.disconnect(closing("speaker=", code))
    clock.now += 40
    sweep.run()
    assert status("new=")["status"] == "active"
    assert status("new=")["listenerCount"] == 1
    assert phones.inbox == {}


def test_the_latest_refresh_of_the_speaker_wins(
    wire: Wire, session_id: str, dispatcher: Dispatcher, status: Status
) -> None:
    wire.send("n1=", "user-1", **as_speaker(session_id))
    wire.send("n2=", "user-1", **as_speaker(session_id))
    assert status("n2=")["status"] == "active"
    assert status("n1=")["code"] == "SESSION_NOT_FOUND"
    dispatcher.disconnect(closing("n1=", 1000))
    assert status("n2=")["status"] == "active"


def test_a_repeated_refresh_of_a_speaker_returns_the_same_answer_and_changes_nothing(
    wire: Wire, session_id: str, dynamodb: Any
) -> None:
    first = wire.send("new=", "user-1", **as_speaker(session_id))
    before = scan(dynamodb, "sessions"), scan(dynamodb, "connections")
    assert wire.send("new=", "user-1", **as_speaker(session_id)) == first
    assert (scan(dynamodb, "sessions"), scan(dynamodb, "connections")) == before


def test_a_superseded_speaker_cannot_regain_the_session_by_repeating_its_refresh(
    wire: Wire, session_id: str, dynamodb: Any, status: Status
) -> None:
    first = wire.send("n1=", "user-1", **as_speaker(session_id))
    wire.send("n2=", "user-1", **as_speaker(session_id))
    before = scan(dynamodb, "sessions"), scan(dynamodb, "connections")
    assert wire.send("n1=", "user-1", **as_speaker(session_id)) == first
    assert (scan(dynamodb, "sessions"), scan(dynamodb, "connections")) == before
    assert status("n2=")["status"] == "active"


def test_a_superseded_speakers_refresh_for_another_session_conflicts(
    dispatcher: Dispatcher, session_id: str
) -> None:
    other = reply(dispatcher.message(frame("other=", "user-1", **CREATE)))["sessionId"]
    dispatcher.message(frame("new=", "user-1", **as_speaker(session_id)))
    refusal = reply(dispatcher.message(frame("speaker=", "user-1", **as_speaker(other))))
    assert refusal["code"] == "CONFLICT"


def test_a_speaker_can_refresh_its_current_connection(
    dispatcher: Dispatcher, session_id: str, status: Status
) -> None:
    refreshed = reply(dispatcher.message(frame("speaker=", "user-1", **as_speaker(session_id))))
    assert refreshed["connectionId"] == "speaker="
    assert status()["status"] == "active"


# Listeners


@pytest.mark.parametrize("old", [None, "never-was="])
def test_a_listeners_refresh_of_an_unknown_session_is_refused_and_stores_nothing(
    wire: Wire, old: str | None, dynamodb: Any
) -> None:
    assert wire.refuses("SESSION_NOT_FOUND", "new=", **as_listener(UNKNOWN, old))
    assert participants(dynamodb) == []


@pytest.mark.parametrize("is_over", ["ended", "expired", "lost"])
def test_a_listeners_refresh_of_an_ended_expired_or_lost_session_is_refused(
    wire: Wire,
    session_id: str,
    dispatcher: Dispatcher,
    join: Callable[..., None],
    clock: Clock,
    dynamodb: Any,
    is_over: str,
) -> None:
    join("old=")
    if is_over == "ended":
        dispatcher.message(frame("speaker=", "user-1", action="endSession"))
    elif is_over == "lost":
        dispatcher.disconnect(closing("speaker=", 1006))
        clock.now += 60
    else:
        clock.now += 7200
    assert wire.refuses("SESSION_NOT_FOUND", "new=", **as_listener(session_id, "old="))
    assert "new=" not in present(dynamodb)


def test_a_refresh_with_a_connection_of_another_session_is_a_join(
    wire: Wire,
    session_id: str,
    dispatcher: Dispatcher,
    join: Callable[..., None],
    status: Status,
) -> None:
    other = reply(dispatcher.message(frame("other=", "user-2", **CREATE)))["sessionId"]
    join("theirs=", session=other)
    wire.send("new=", **as_listener(session_id, "theirs="))
    assert status()["listenerCount"] == 1
    theirs = dispatcher.message(frame("other=", "user-2", action="getSessionStatus"))
    assert reply(theirs)["listenerCount"] == 1
    assert reply(dispatcher.message(frame("theirs=", action="heartbeat")))["sessionId"] == other


@pytest.mark.parametrize("old", [None, "never-was=", "its own", "speaker="])
def test_a_refresh_without_a_listeners_connection_is_a_join_and_needs_a_free_seat(
    wire: Wire, session_id: str, join: Callable[..., None], status: Status, old: str | None
) -> None:
    def refresh(connection_id: str) -> dict[str, str]:
        return as_listener(session_id, connection_id if old == "its own" else old)

    wire.send("new=", **refresh("new="))
    assert status()["listenerCount"] == 1
    join("b=", "c=")
    assert wire.refuses("SESSION_FULL", "more=", **refresh("more="))
    assert status()["listenerCount"] == 3


def test_a_refresh_that_is_a_join_counts_for_the_limit_of_joins_per_address(
    wire: Wire, session_id: str, dispatcher: Dispatcher, status: Status
) -> None:
    for number in range(JOINS_A_MINUTE):
        wire.send(f"{number}=", **as_listener(session_id, "never-was="))
        dispatcher.disconnect(closing(f"{number}="))
    assert wire.refuses("RATE_LIMIT_EXCEEDED", "new=", **as_listener(session_id, "never-was="))
    code = {"inviteCode": "code-of-the-hall"}
    wire.send("invited=", **as_listener(session_id), **code)
    assert status()["listenerCount"] == 1


def test_a_refresh_that_is_a_join_needs_the_right_invite_code(wire: Wire, session_id: str) -> None:
    wrong = {"inviteCode": "wrong"}
    assert wire.refuses("FORBIDDEN", "new=", **as_listener(session_id), **wrong)


def test_a_listeners_refresh_on_a_connection_of_another_session_conflicts(
    dispatcher: Dispatcher, session_id: str, join: Callable[..., None], status: Status
) -> None:
    other = reply(dispatcher.message(frame("other=", "user-2", **CREATE)))["sessionId"]
    join("theirs=", session=other)
    join("old=")
    for connection_id in ("theirs=", "speaker="):
        refusal = reply(dispatcher.message(frame(connection_id, **as_listener(session_id, "old="))))
        assert refusal["code"] == "CONFLICT"
    assert status()["listenerCount"] == 1
    assert reply(dispatcher.message(frame("old=", action="heartbeat")))["sessionId"] == session_id


def test_a_listeners_refresh_returns_the_session_and_its_languages(
    wire: Wire, session_id: str, join: Callable[..., None]
) -> None:
    join("old=")
    refreshed = wire.send("new=", **as_listener(session_id, "old=", "fr-CA"))
    # A delivery adds the timestamp when it posts the outcome.
    assert refreshed.pop("timestamp", None) == (None if wire.by_url else 1_800_000_000_000)
    assert refreshed == {
        "type": "connectionRefreshComplete",
        "sessionId": session_id,
        "connectionId": "new=",
        "role": "listener",
        "status": "active",
        "sourceLanguage": "en",
        "targetLanguage": "fr-CA",
        "lastSeq": 0,
        "hasVoice": True,
        "heartbeatSeconds": 30,
    }


def test_a_full_session_accepts_refreshes_of_its_listeners_and_counts_them_once(
    wire: Wire, session_id: str, join: Callable[..., None], status: Status
) -> None:
    join("a=", "b=", "c=")
    wire.send("new=", **as_listener(session_id, "b=", "fr"))
    assert status()["listenerCount"] == 3
    assert status()["languages"] == {"es": 2, "fr": 1}
    assert wire.refuses("SESSION_FULL", "stranger=", **as_listener(session_id))


def test_a_superseded_listener_gets_no_notices_and_its_commands_find_no_session(
    wire: Wire,
    session_id: str,
    dispatcher: Dispatcher,
    join: Callable[..., None],
    phones: FakeConnections,
) -> None:
    join("old=")
    wire.send("new=", **as_listener(session_id, "old="))
    change = {"action": "changeLanguage", "targetLanguage": "de"}
    assert reply(dispatcher.message(frame("old=", **change)))["code"] == "SESSION_NOT_FOUND"
    assert "sessionId" not in reply(dispatcher.message(frame("old=", action="heartbeat")))
    dispatcher.message(frame("speaker=", "user-1", action="pauseSession"))
    dispatcher.message(frame("speaker=", "user-1", action="endSession"))
    assert phones.inbox.keys() == {"new="}
    assert types(phones.inbox["new="]) == ["sessionPaused", "sessionEnded"]


@pytest.mark.parametrize("codes", [[], [1000], [None, None], [1001, 1000, None]])
def test_repeated_closes_of_a_superseded_listener_change_nothing(
    wire: Wire,
    session_id: str,
    dispatcher: Dispatcher,
    join: Callable[..., None],
    phones: FakeConnections,
    clock: Clock,
    sweep: Sweep,
    status: Status,
    codes: list[int | None],
) -> None:
    join("old=", "b=")
    wire.send("new=", **as_listener(session_id, "old="))
    phones.closed.add("old=")
    for code in codes:
        dispatcher.disconnect(closing("old=", code))
    for _ in range(3):
        clock.now += 29
        sweep.run()
    assert status()["listenerCount"] == 2
    assert status()["languages"] == {"es": 2}


def test_refreshes_that_repeat_an_old_connection_after_lost_answers_keep_one_seat(
    wire: Wire, session_id: str, join: Callable[..., None], status: Status, dynamodb: Any
) -> None:
    join("o=", "b=", "c=")
    for new in ("n1=", "n2=", "n3="):
        assert wire.send(new, **as_listener(session_id, "o="))["connectionId"] == new
    assert status()["listenerCount"] == 3
    assert present(dynamodb) == {"speaker=", "b=", "c=", "n3="}


def test_a_lost_listener_returns_with_its_old_connection_id_and_counts_once(
    wire: Wire,
    session_id: str,
    dispatcher: Dispatcher,
    join: Callable[..., None],
    status: Status,
) -> None:
    join("old=")
    dispatcher.disconnect(closing("old=", 1006))
    assert status()["listenerCount"] == 0
    wire.send("new=", **as_listener(session_id, "old="))
    dispatcher.disconnect(closing("old=", 1006))
    assert status()["listenerCount"] == 1


def test_a_lost_listener_returns_with_the_id_of_a_superseded_connection(
    wire: Wire,
    session_id: str,
    dispatcher: Dispatcher,
    join: Callable[..., None],
    status: Status,
) -> None:
    join("o=")
    wire.send("n1=", **as_listener(session_id, "o="))
    dispatcher.disconnect(closing("n1=", 1006))
    wire.send("n2=", **as_listener(session_id, "o="))
    assert status()["listenerCount"] == 1


def test_the_seat_of_a_lost_listener_is_not_reserved(
    wire: Wire,
    session_id: str,
    dispatcher: Dispatcher,
    join: Callable[..., None],
    status: Status,
) -> None:
    join("a=", "b=", "old=")
    dispatcher.disconnect(closing("old=", 1006))
    join("c=")
    assert wire.refuses("SESSION_FULL", "new=", **as_listener(session_id, "old="))
    assert status()["listenerCount"] == 3
    dispatcher.disconnect(closing("c=", 1000))
    wire.send("new=", **as_listener(session_id, "old="))
    assert status()["listenerCount"] == 3


def test_an_interrupted_return_blocks_the_next_one_for_35_seconds(
    session_id: str,
    dispatcher: Dispatcher,
    join: Callable[..., None],
    status: Status,
    stores: Stores,
    clock: Clock,
) -> None:
    join("old=")
    dispatcher.disconnect(closing("old=", 1006))
    left = stores.participants.find("old=")
    assert left is not None
    assert stores.hand_overs.claim_return(left) is not None
    lapses_at = clock.now + 35
    refresh = frame("new=", **as_listener(session_id, "old="))
    assert reply(dispatcher.message(refresh))["code"] == "SERVICE_UNAVAILABLE"
    assert status()["listenerCount"] == 0
    clock.now = lapses_at
    assert reply(dispatcher.message(refresh))["type"] == "connectionRefreshComplete"
    assert status()["listenerCount"] == 1


def test_a_superseded_connection_that_names_its_lost_successor_takes_one_seat(
    session_id: str, dispatcher: Dispatcher, join: Callable[..., None], status: Status
) -> None:
    join("first=")
    dispatcher.message(frame("second=", **as_listener(session_id, "first=")))
    dispatcher.disconnect(closing("second=", 1006))
    back = frame("first=", **as_listener(session_id, "second="))
    answers = [reply(dispatcher.message(back)) for _ in range(2)]
    assert answers[0] == answers[1]
    third = reply(dispatcher.message(frame("third=", **as_listener(session_id, "second="))))
    assert third["type"] == "connectionRefreshComplete"
    assert status()["listenerCount"] == 1


def test_a_refresh_with_the_first_of_many_superseded_connections_takes_no_second_seat(
    session_id: str, dispatcher: Dispatcher, join: Callable[..., None], status: Status
) -> None:
    join("0=")
    for number in range(MAX_REPLACEMENTS + 1):
        fields = as_listener(session_id, f"{number}=")
        refreshed = reply(dispatcher.message(frame(f"{number + 1}=", **fields)))
        assert refreshed["type"] == "connectionRefreshComplete"
    late = reply(dispatcher.message(frame("late=", **as_listener(session_id, "0="))))
    assert late["code"] == "SERVICE_UNAVAILABLE"
    assert status()["listenerCount"] == 1


def test_a_lost_listeners_return_after_the_end_is_not_a_refused_attempt(
    session_id: str, dispatcher: Dispatcher, join: Callable[..., None]
) -> None:
    join("old=")
    dispatcher.disconnect(closing("old=", 1006))
    dispatcher.message(frame("speaker=", "user-1", action="endSession"))
    refresh = as_listener(session_id, "old=")
    for number in range(25):
        answer = reply(dispatcher.message(frame(f"new-{number}=", **refresh)))
        assert answer["code"] == "SESSION_NOT_FOUND"


@pytest.mark.parametrize("is_lost", [False, True])
def test_two_refreshes_with_the_same_old_connection_keep_one_listener(
    wire: Wire,
    session_id: str,
    dispatcher: Dispatcher,
    join: Callable[..., None],
    status: Status,
    dynamodb: Any,
    is_lost: bool,
) -> None:
    join("old=")
    if is_lost:
        dispatcher.disconnect(closing("old=", 1006))
    wire.send("n1=", **as_listener(session_id, "old="))
    wire.send("n2=", **as_listener(session_id, "old="))
    assert status()["listenerCount"] == 1
    assert present(dynamodb) == {"speaker=", "n2="}


def test_the_latest_refresh_of_a_listener_wins(
    wire: Wire, session_id: str, dispatcher: Dispatcher, join: Callable[..., None], status: Status
) -> None:
    join("old=")
    wire.send("n1=", **as_listener(session_id, "old="))
    wire.send("n2=", **as_listener(session_id, "n1=", "fr"))
    dispatcher.disconnect(closing("n1=", 1000))
    assert status()["languages"] == {"fr": 1}
    assert status()["listenerCount"] == 1


@pytest.mark.parametrize("old", ["old=", "never-was=", None, "new="])
def test_a_repeated_refresh_of_a_listener_returns_the_same_answer_and_changes_nothing(
    wire: Wire,
    session_id: str,
    join: Callable[..., None],
    dynamodb: Any,
    old: str | None,
) -> None:
    join("old=")
    first = wire.send("new=", **as_listener(session_id, old))
    before = scan(dynamodb, "sessions"), scan(dynamodb, "connections")
    assert wire.send("new=", **as_listener(session_id, old)) == first
    assert (scan(dynamodb, "sessions"), scan(dynamodb, "connections")) == before


def test_a_repeated_refresh_of_a_superseded_listener_changes_nothing(
    wire: Wire, session_id: str, join: Callable[..., None], status: Status, dynamodb: Any
) -> None:
    join("old=")
    first = wire.send("n1=", **as_listener(session_id, "old="))
    wire.send("n2=", **as_listener(session_id, "n1="))
    before = scan(dynamodb, "sessions"), scan(dynamodb, "connections")
    assert wire.send("n1=", **as_listener(session_id, "old=")) == first
    assert (scan(dynamodb, "sessions"), scan(dynamodb, "connections")) == before
    assert status()["listenerCount"] == 1


def test_a_superseded_listener_cannot_take_its_seat_back_on_the_same_connection(
    wire: Wire, session_id: str, join: Callable[..., None], status: Status
) -> None:
    join("old=")
    wire.send("new=", **as_listener(session_id, "old="))
    assert wire.refuses("CONFLICT", "old=", **as_listener(session_id, "new="))
    assert status()["listenerCount"] == 1


@pytest.mark.parametrize("old", ["old=", "never-was=", None])
def test_a_repeated_refresh_in_another_language_keeps_the_listeners_language(
    wire: Wire, session_id: str, join: Callable[..., None], status: Status, old: str | None
) -> None:
    join("old=")
    first = wire.send("new=", **as_listener(session_id, old, "fr"))
    counts = status()["languages"]
    assert wire.send("new=", **as_listener(session_id, old, "de")) == first
    assert first["targetLanguage"] == "fr"
    assert status()["languages"] == counts


@pytest.mark.parametrize("role", ["speaker", "listener"])
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (CREATE, "CONFLICT"),
        ({**JOIN, "sessionId": "the session's"}, "CONFLICT"),
        ({"action": "pauseSession"}, "SESSION_NOT_FOUND"),
        ({"action": "changeLanguage", "targetLanguage": "de"}, "SESSION_NOT_FOUND"),
        ({"action": "pauseSession", "sessionId": "the session's"}, "FORBIDDEN"),
    ],
)
def test_a_command_on_a_superseded_connection_is_refused(
    wire: Wire,
    session_id: str,
    dispatcher: Dispatcher,
    join: Callable[..., None],
    role: str,
    command: dict[str, str],
    code: str,
) -> None:
    join("old=")
    wire.send("new=", **as_listener(session_id, "old="))
    wire.send("newer=", "user-1", **as_speaker(session_id))
    if "sessionId" in command:
        command = {**command, "sessionId": session_id}
    connection_id = "speaker=" if role == "speaker" else "old="
    refusal = reply(dispatcher.message(frame(connection_id, "user-1", **command)))
    assert refusal["code"] == code


def test_a_failed_refresh_can_be_repeated_on_the_same_connection(
    use_cases: UseCases,
    build: Callable[..., UseCases],
    stores: Stores,
    session_id: str,
    dynamodb: Any,
    speaker: Caller,
    join: Callable[..., None],
) -> None:
    join("old=")
    broken = build(stores=with_failing(stores, "seats.pass_on"))
    command = RefreshListener(session_id, "es", "old=", None)
    with pytest.raises(ServiceUnavailable):
        broken.refresh.refresh_listener(listener(1), command)
    refreshed = use_cases.refresh.refresh_listener(listener(1), command).message
    assert refreshed["connectionId"] == listener(1).connection_id
    assert listener(1).connection_id in present(dynamodb)
    assert use_cases.presence.heartbeat(speaker).message["listenerCount"] == 1


@pytest.mark.parametrize("failing", ["hand_overs.hand_over", "seats.take"])
def test_a_listener_whose_return_failed_is_not_counted(
    use_cases: UseCases,
    build: Callable[..., UseCases],
    stores: Stores,
    session_id: str,
    dispatcher: Dispatcher,
    dynamodb: Any,
    speaker: Caller,
    join: Callable[..., None],
    failing: str,
) -> None:
    join("old=")
    dispatcher.disconnect(closing("old=", 1006))
    broken = build(stores=with_failing(stores, failing))
    command = RefreshListener(session_id, "es", "old=", None)
    with pytest.raises(ServiceUnavailable):
        broken.refresh.refresh_listener(listener(1), command)
    assert use_cases.presence.heartbeat(speaker).message["listenerCount"] == 0
    assert present(dynamodb) == {"speaker="}


# Reminders


def remind(
    dispatcher: Dispatcher, outcomes: FakeOutcomes, connection_id: str, user_id: str | None = None
) -> list[dict[str, Any]]:
    outcomes.sent.clear()
    dispatcher.message(frame(connection_id, user_id, action="heartbeat"))
    assert all(receiver == connection_id for receiver, _, _ in outcomes.sent)
    return [message for _, _, message in outcomes.sent]


def test_no_connection_is_asked_to_refresh_before_100_minutes(
    dispatcher: Dispatcher, session_id: str, outcomes: FakeOutcomes, clock: Clock
) -> None:
    clock.now += 100 * 60 - 0.1
    assert remind(dispatcher, outcomes, "speaker=", "user-1") == []


def test_bare_and_superseded_connections_are_not_asked_to_refresh(
    dispatcher: Dispatcher,
    session_id: str,
    join: Callable[..., None],
    outcomes: FakeOutcomes,
    clock: Clock,
) -> None:
    join("b=")
    clock.now += 110 * 60
    dispatcher.message(frame("new=", "user-1", **as_speaker(session_id)))
    dispatcher.message(frame("new-b=", **as_listener(session_id, "b=")))
    for connection_id, user_id in (("bare=", None), ("speaker=", "user-1"), ("b=", None)):
        assert remind(dispatcher, outcomes, connection_id, user_id) == []


def test_after_100_minutes_each_heartbeat_causes_a_request_to_refresh(
    dispatcher: Dispatcher,
    session_id: str,
    join: Callable[..., None],
    outcomes: FakeOutcomes,
    clock: Clock,
) -> None:
    join("b=", language="fr")
    clock.now += 100 * 60
    asked = {
        "type": "connectionRefreshRequired",
        "sessionId": session_id,
        "remainingSeconds": 1200,
    }
    for _ in range(2):
        assert remind(dispatcher, outcomes, "speaker=", "user-1") == [
            {**asked, "role": "speaker", "connectionId": "speaker="}
        ]
    assert remind(dispatcher, outcomes, "b=") == [
        {**asked, "role": "listener", "connectionId": "b=", "targetLanguage": "fr"}
    ]


def test_after_105_minutes_a_warning_follows_the_request_to_refresh(
    dispatcher: Dispatcher,
    session_id: str,
    join: Callable[..., None],
    outcomes: FakeOutcomes,
    clock: Clock,
) -> None:
    join("b=")
    clock.now += 105 * 60 - 1
    assert types(remind(dispatcher, outcomes, "b=")) == ["connectionRefreshRequired"]
    clock.now += 1
    asked, warning = remind(dispatcher, outcomes, "b=")
    assert asked["type"] == "connectionRefreshRequired"
    assert warning == {
        "type": "connectionWarning",
        "remainingSeconds": 900,
    }


def test_reminders_are_sent_together_after_the_answer(
    dispatcher: Dispatcher, session_id: str, outcomes: FakeOutcomes, clock: Clock
) -> None:
    clock.now += 106 * 60
    answer = reply(dispatcher.message(frame("speaker=", "user-1", action="heartbeat")))
    assert answer["type"] == "heartbeatAck"
    assert outcomes.delays_ms == [50]
    assert [url for _, url, _ in outcomes.sent] == ["https://api/stage"] * 2


def test_the_remaining_seconds_of_a_connection_are_never_negative(
    dispatcher: Dispatcher, session_id: str, outcomes: FakeOutcomes, clock: Clock
) -> None:
    clock.now += 7190
    dispatcher.message(frame("speaker=", "user-1", action="heartbeat"))
    clock.now += 20
    reminders = remind(dispatcher, outcomes, "speaker=", "user-1")
    assert [reminder["remainingSeconds"] for reminder in reminders] == [0, 0]


def test_a_refreshed_connection_is_not_asked_to_refresh_again(
    wire: Wire, session_id: str, dispatcher: Dispatcher, outcomes: FakeOutcomes, clock: Clock
) -> None:
    clock.now += 110 * 60
    wire.send("new=", "user-1", **as_speaker(session_id))
    beat = frame("new=", "user-1", action="heartbeat")
    beat["requestContext"]["connectedAt"] = int(clock() * 1000)
    assert reply(dispatcher.message(beat))["sessionId"] == session_id
    assert outcomes.sent == []
