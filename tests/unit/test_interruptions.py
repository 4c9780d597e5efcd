"""Interruptions and pauses of a session, and the notices of them to listeners."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import messages
from chalicelib.assembly import UseCases
from chalicelib.aws.retries import event_budget
from chalicelib.dispatch import Dispatcher
from chalicelib.limits import Graces
from chalicelib.models import SessionStatus
from chalicelib.store.stores import Stores
from chalicelib.sweep import Sweep
from tests.unit.fakes import (
    CREATE,
    Clock,
    FakeConnections,
    Wire,
    closing,
    frame,
    reply,
    scan,
    types,
)

NOW_MS = 1_800_000_000_000

Send = Callable[..., dict[str, Any]]


@pytest.fixture
def send(dispatcher: Dispatcher) -> Send:
    """Return a function that sends a command in a frame, for speakers with user-1's token."""

    def send(connection_id: str, action: str, **fields: str) -> dict[str, Any]:
        user_id = "user-1" if connection_id.startswith("speaker") else None
        return reply(dispatcher.message(frame(connection_id, user_id, action=action, **fields)))

    return send


@pytest.fixture
def refresh(session_id: str) -> dict[str, str]:
    return {"action": "refreshConnection", "sessionId": session_id, "role": "speaker"}


@pytest.fixture
def listening(send: Send, session_id: str) -> str:
    send("b=", "joinSession", sessionId=session_id, targetLanguage="es")
    return "b="


@pytest.fixture
def dropped(dispatcher: Dispatcher, listening: str) -> str:
    """Drop the connection of the session's speaker. Return its ID."""
    dispatcher.disconnect(closing("speaker=", 1006))
    return "speaker="


# Interruptions


@pytest.mark.usefixtures("dropped")
def test_after_the_grace_joins_and_refreshes_are_refused_before_a_sweep_runs(
    wire: Wire,
    session_id: str,
    refresh: dict[str, str],
    clock: Clock,
    phones: FakeConnections,
) -> None:
    clock.now += 60
    into = {"sessionId": session_id, "targetLanguage": "es"}
    assert wire.refuses("SESSION_NOT_FOUND", "c=", action="joinSession", **into)
    assert wire.refuses("SESSION_NOT_FOUND", "speaker-2=", "user-1", **refresh)
    as_listener = {**refresh, **into, "role": "listener", "connectionId": "b="}
    assert wire.refuses("SESSION_NOT_FOUND", "d=", **as_listener)
    assert types(phones.inbox["b="]) == ["sessionInterrupted"]


@pytest.mark.usefixtures("dropped")
def test_during_the_grace_another_user_cannot_take_over_the_session(
    wire: Wire, refresh: dict[str, str], phones: FakeConnections
) -> None:
    assert wire.refuses("FORBIDDEN", "new=", "user-2", **refresh)
    assert types(phones.inbox["b="]) == ["sessionInterrupted"]


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("codes", [[1001], [1006], [None], [1006, 1006, 1006]])
def test_repeated_disconnects_of_a_speaker_interrupt_the_session_once(
    dispatcher: Dispatcher,
    session_id: str,
    phones: FakeConnections,
    codes: list[int | None],
) -> None:
    for code in codes:
        dispatcher.disconnect(closing("speaker=", code))
    assert phones.inbox == {
        "b=": [
            {
                "type": "sessionInterrupted",
                "timestamp": NOW_MS,
                "sessionId": session_id,
                "graceSeconds": 60,
            }
        ]
    }


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("code", [1000, 1005])
def test_the_disconnect_function_ends_the_session_after_the_short_grace_of_a_clean_close(
    dispatcher: Dispatcher, session_id: str, phones: FakeConnections, code: int
) -> None:
    for _ in range(2):
        dispatcher.disconnect(closing("speaker=", code))
    assert phones.inbox == {
        "b=": [
            {
                "type": "sessionInterrupted",
                "timestamp": NOW_MS,
                "sessionId": session_id,
                "graceSeconds": 5,
            },
            {
                "type": "sessionEnded",
                "timestamp": NOW_MS + 5000,
                "sessionId": session_id,
                "reason": "speakerEnded",
            },
        ]
    }


@pytest.mark.usefixtures("listening")
def test_a_speaker_that_reloads_its_page_keeps_the_session(
    build: Callable[..., UseCases],
    dispatcher: Dispatcher,
    use_cases: UseCases,
    refresh: dict[str, str],
    phones: FakeConnections,
    clock: Clock,
    sweep: Sweep,
) -> None:
    """A second grace can begin while the function waits for the first."""
    returns = iter(["speaker-2="])

    def sleep(seconds: float) -> None:
        clock.now += seconds
        for each in returns:
            dispatcher.message(frame(each, "user-1", **refresh))
            use_cases.lifecycle.leave(each, 1001)

    build(sleep=sleep).lifecycle.leave("speaker=", 1000)
    expected = ["sessionInterrupted", "sessionResumed", "sessionInterrupted"]
    assert types(phones.inbox["b="]) == expected
    assert phones.inbox["b="][2]["graceSeconds"] == 60
    dispatcher.message(frame("speaker-3=", "user-1", **refresh))
    sweep.run()
    assert types(phones.inbox["b="]) == [*expected, "sessionResumed"]


@pytest.mark.usefixtures("listening")
def test_the_sweep_ends_a_session_whose_grace_is_too_long_for_the_function(
    build: Callable[..., UseCases], phones: FakeConnections, clock: Clock, sweep: Sweep
) -> None:
    build(graces=Graces(60, closed_seconds=10.5)).lifecycle.leave("speaker=", 1005)
    assert clock() * 1000 == NOW_MS
    sweep.run()
    assert [(it["type"], it.get("reason")) for it in phones.inbox["b="]] == [
        ("sessionInterrupted", None),
        ("sessionEnded", "speakerEnded"),
    ]
    assert phones.inbox["b="][1]["timestamp"] == NOW_MS + 10_500


@pytest.mark.usefixtures("listening")
def test_a_function_without_time_for_the_grace_does_not_wait(
    use_cases: UseCases, phones: FakeConnections, clock: Clock
) -> None:
    with event_budget(5, clock):
        use_cases.lifecycle.leave("speaker=", 1000)
    assert clock() * 1000 == NOW_MS
    assert types(phones.inbox["b="]) == ["sessionInterrupted"]


@pytest.mark.usefixtures("listening")
def test_a_clean_close_that_is_reported_after_a_failed_post_shortens_the_grace(
    dispatcher: Dispatcher, use_cases: UseCases, phones: FakeConnections
) -> None:
    use_cases.lifecycle.leave("speaker=")
    dispatcher.disconnect(closing("speaker=", 1000))
    notices = [(it["type"], it.get("graceSeconds")) for it in phones.inbox["b="]]
    assert notices == [
        ("sessionInterrupted", 60),
        ("sessionInterrupted", 5),
        ("sessionEnded", None),
    ]
    assert phones.inbox["b="][2]["timestamp"] == NOW_MS + 5000


@pytest.mark.usefixtures("listening")
def test_an_end_by_command_has_no_grace(send: Send, phones: FakeConnections, clock: Clock) -> None:
    send("speaker=", "endSession")
    assert types(phones.inbox["b="]) == ["sessionEnded"]
    assert clock() * 1000 == NOW_MS


# The status after an absence


def test_a_listeners_refresh_returns_the_current_status_of_the_session(
    wire: Wire, send: Send, listening: str, session_id: str, dispatcher: Dispatcher
) -> None:
    into = {
        "action": "refreshConnection",
        "role": "listener",
        "sessionId": session_id,
        "targetLanguage": "es",
    }
    send("speaker=", "pauseSession")
    refreshed = wire.send("c=", **into, connectionId=listening)
    assert (refreshed["status"], refreshed["sourceLanguage"]) == ("paused", "en")
    assert wire.send("c=", **into, connectionId=listening) == refreshed
    dispatcher.disconnect(closing("c=", 1006))
    send("speaker=", "resumeSession")
    assert wire.send("d=", **into, connectionId="c=")["status"] == "active"
    dispatcher.disconnect(closing("speaker=", 1006))
    assert wire.send("e=", **into, connectionId="d=")["status"] == "interrupted"
    assert wire.send("f=", **into)["status"] == "interrupted"


def test_a_speakers_refresh_returns_the_current_status_of_the_session(
    wire: Wire, send: Send, refresh: dict[str, str], dispatcher: Dispatcher, session_id: str
) -> None:
    send("speaker=", "pauseSession")
    dispatcher.disconnect(closing("speaker=", 1006))
    assert wire.send("speaker-2=", "user-1", **refresh)["status"] == "paused"
    assert wire.send("speaker-2=", "user-1", **refresh)["status"] == "paused"
    assert send("speaker-2=", "heartbeat")["status"] == "paused"


@pytest.mark.usefixtures("dropped")
def test_a_join_of_an_interrupted_session_returns_the_status_interrupted(
    wire: Wire, session_id: str
) -> None:
    into = {"sessionId": session_id, "targetLanguage": "es"}
    assert wire.send("c=", action="joinSession", **into)["status"] == "interrupted"


def test_a_listeners_drop_does_not_interrupt_the_session(
    dispatcher: Dispatcher, listening: str, phones: FakeConnections, send: Send
) -> None:
    dispatcher.disconnect(closing(listening, 1006))
    assert phones.inbox == {}
    assert send("speaker=", "getSessionStatus")["status"] == "active"


@pytest.mark.usefixtures("dropped")
@pytest.mark.parametrize("status", [SessionStatus.ACTIVE, SessionStatus.PAUSED])
def test_an_active_or_paused_session_has_the_status_interrupted_during_a_grace(
    stores: Stores, session_id: str, status: SessionStatus
) -> None:
    session = stores.sessions.find_open(session_id)
    assert session is not None
    message = messages.session_status(replace(session, status=status))
    assert message["status"] == "interrupted"


@pytest.mark.usefixtures("dropped")
def test_a_speaker_that_returns_within_the_grace_resumes_the_session(
    wire: Wire,
    session_id: str,
    refresh: dict[str, str],
    send: Send,
    clock: Clock,
    phones: FakeConnections,
    sweep: Sweep,
) -> None:
    clock.now += 59
    wire.send("speaker-2=", "user-1", **refresh)
    resumed = {"type": "sessionResumed", "timestamp": NOW_MS + 59_000, "sessionId": session_id}
    assert phones.inbox["b="][1:] == [resumed]
    clock.now += 60
    sweep.run()
    assert send("speaker-2=", "getSessionStatus")["status"] == "active"
    assert len(phones.inbox["b="]) == 2


@pytest.mark.usefixtures("listening")
def test_a_paused_session_is_paused_again_when_its_speaker_returns(
    wire: Wire,
    dispatcher: Dispatcher,
    send: Send,
    session_id: str,
    refresh: dict[str, str],
    phones: FakeConnections,
) -> None:
    send("speaker=", "pauseSession")
    dispatcher.disconnect(closing("speaker=", 1006))
    into = {"sessionId": session_id, "targetLanguage": "es"}
    assert wire.send("c=", action="joinSession", **into)["status"] == "interrupted"
    wire.send("speaker-2=", "user-1", **refresh)
    expected = ["sessionPaused", "sessionInterrupted", "sessionPaused"]
    assert types(phones.inbox["b="]) == expected
    assert types(phones.inbox["c="]) == expected[2:]
    assert send("speaker-2=", "getSessionStatus")["status"] == "paused"


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("slow", ["pauseSession", "refreshConnection"])
def test_a_notice_that_a_resumption_overtakes_is_older(
    slow: str,
    wire: Wire,
    send: Send,
    refresh: dict[str, str],
    clock: Clock,
    stores: Stores,
    phones: FakeConnections,
    dispatcher: Dispatcher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speaker = "speaker="
    if slow == "refreshConnection":
        send(speaker, "pauseSession")
        dispatcher.disconnect(closing(speaker, 1006))
        phones.inbox.clear()
        speaker = "speaker-2="
    list_ids = stores.listeners.list_ids

    def resume_and_list(session_id: str) -> list[str]:
        monkeypatch.setattr(stores.listeners, "list_ids", list_ids)
        clock.now += 1
        send(speaker, "resumeSession")
        return list_ids(session_id)

    monkeypatch.setattr(stores.listeners, "list_ids", resume_and_list)
    if slow == "pauseSession":
        send(speaker, slow)
    else:
        wire.send(speaker, "user-1", **refresh)
    late = {message["type"]: message["timestamp"] - NOW_MS for message in phones.inbox["b="]}
    assert late == {"sessionResumed": 1000, "sessionPaused": 0}


@pytest.mark.usefixtures("dropped")
def test_a_repeated_return_of_the_speaker_notifies_listeners_once(
    wire: Wire, refresh: dict[str, str], phones: FakeConnections
) -> None:
    first = wire.send("speaker-2=", "user-1", **refresh)
    assert wire.send("speaker-2=", "user-1", **refresh) == first
    assert types(phones.inbox["b="]) == ["sessionInterrupted", "sessionResumed"]


@pytest.mark.usefixtures("listening")
def test_a_drop_after_the_refresh_does_not_interrupt_the_session(
    wire: Wire, dispatcher: Dispatcher, refresh: dict[str, str], phones: FakeConnections
) -> None:
    wire.send("speaker-2=", "user-1", **refresh)
    dispatcher.disconnect(closing("speaker=", 1006))
    assert phones.inbox == {}


@pytest.mark.usefixtures("dropped")
def test_a_second_drop_starts_a_new_full_grace(
    wire: Wire,
    dispatcher: Dispatcher,
    session_id: str,
    refresh: dict[str, str],
    phones: FakeConnections,
    clock: Clock,
    sweep: Sweep,
) -> None:
    clock.now += 50
    wire.send("speaker-2=", "user-1", **refresh)
    dispatcher.disconnect(closing("speaker-2=", 1001))
    clock.now += 59
    wire.send("speaker-3=", "user-1", **refresh)
    sweep.run()
    assert types(phones.inbox["b="]) == [
        *("sessionInterrupted", "sessionResumed", "sessionInterrupted", "sessionResumed")
    ]


@pytest.mark.usefixtures("dropped")
def test_a_session_whose_speaker_does_not_return_ends_once_as_speaker_lost(
    session_id: str, phones: FakeConnections, clock: Clock, sweep: Sweep, dynamodb: Any
) -> None:
    clock.now += 60
    for _ in range(3):
        sweep.run()
        clock.now += 30
    assert phones.inbox.keys() == {"b="}
    assert phones.inbox["b="][1:] == [
        {
            "type": "sessionEnded",
            "timestamp": NOW_MS + 60_000,
            "sessionId": session_id,
            "reason": "speakerLost",
        }
    ]
    assert scan(dynamodb, "sessions") == scan(dynamodb, "connections") == []


@pytest.mark.usefixtures("listening")
def test_the_close_of_the_speaker_of_an_ended_session_sends_no_notice(
    dispatcher: Dispatcher, send: Send, phones: FakeConnections
) -> None:
    send("speaker=", "endSession")
    dispatcher.disconnect(closing("speaker=", 1006))
    assert types(phones.inbox["b="]) == ["sessionEnded"]


def test_a_drop_does_not_interrupt_another_session_of_the_same_user(
    dispatcher: Dispatcher, dropped: str, send: Send
) -> None:
    dispatcher.message(frame("speaker-b=", "user-1", **CREATE))
    dispatcher.disconnect(closing(dropped, 1006))
    assert send("speaker-b=", "getSessionStatus")["status"] == "active"


# Pauses


@pytest.mark.parametrize("action", ["pauseSession", "resumeSession"])
def test_only_the_speaker_can_pause_or_resume_a_session(
    send: Send, dispatcher: Dispatcher, listening: str, action: str, session_id: str
) -> None:
    assert send(listening, action)["code"] == "FORBIDDEN"
    assert send("stranger=", action)["code"] == "UNAUTHORIZED"
    other = frame("other=", "user-2", action=action, sessionId=session_id)
    assert reply(dispatcher.message(other))["code"] == "FORBIDDEN"
    bare = frame("other=", "user-2", action=action)
    assert reply(dispatcher.message(bare))["code"] == "SESSION_NOT_FOUND"
    assert send("speaker=", "getSessionStatus")["status"] == "active"


@pytest.mark.usefixtures("listening")
def test_an_expired_session_cannot_be_paused(
    send: Send, clock: Clock, phones: FakeConnections
) -> None:
    clock.now += 7200
    assert send("speaker=", "pauseSession")["code"] == "SESSION_NOT_FOUND"
    assert phones.inbox == {}


@pytest.mark.usefixtures("listening")
def test_repeated_pauses_and_resumptions_notify_listeners_once(
    send: Send, session_id: str, phones: FakeConnections
) -> None:
    paused = {"type": "sessionPaused", "timestamp": NOW_MS, "sessionId": session_id}
    resumed = {**paused, "type": "sessionResumed"}
    assert send("speaker=", "resumeSession") == resumed
    assert phones.inbox == {}
    assert send("speaker=", "pauseSession") == send("speaker=", "pauseSession") == paused
    assert send("speaker=", "getSessionStatus")["status"] == "paused"
    assert send("speaker=", "resumeSession") == send("speaker=", "resumeSession") == resumed
    assert send("speaker=", "getSessionStatus")["status"] == "active"
    assert phones.inbox == {"b=": [paused, resumed]}


def test_a_join_of_a_paused_session_returns_the_status_paused(
    wire: Wire, session_id: str, send: Send
) -> None:
    send("speaker=", "pauseSession")
    into = {"sessionId": session_id, "targetLanguage": "es"}
    assert wire.send("c=", action="joinSession", **into)["status"] == "paused"


# Listeners that are gone


def test_a_notice_removes_a_listener_whose_connection_is_gone(
    send: Send, listening: str, phones: FakeConnections, clock: Clock
) -> None:
    clock.now += 35
    phones.closed.add(listening)
    send("speaker=", "pauseSession")
    assert send("speaker=", "getSessionStatus")["listenerCount"] == 0
    assert "sessionId" not in send(listening, "heartbeat")


def test_a_listener_that_a_notice_removed_is_not_subtracted_again_when_it_disconnects(
    send: Send,
    session_id: str,
    listening: str,
    phones: FakeConnections,
    clock: Clock,
    dispatcher: Dispatcher,
) -> None:
    send("c=", "joinSession", sessionId=session_id, targetLanguage="es")
    clock.now += 35
    phones.closed.add(listening)
    send("speaker=", "pauseSession")
    dispatcher.disconnect(closing(listening, 1006))
    send("speaker=", "resumeSession")
    assert send("speaker=", "getSessionStatus")["listenerCount"] == 1


def test_a_notice_does_not_remove_a_listener_whose_connection_may_still_be_opening(
    send: Send, listening: str, phones: FakeConnections, clock: Clock
) -> None:
    clock.now += 34
    phones.closed.add(listening)
    send("speaker=", "pauseSession")
    assert send("speaker=", "getSessionStatus")["listenerCount"] == 1
