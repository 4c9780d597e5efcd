"""The list of open sessions for an operator."""

import json
import re
from typing import Any

import pytest

from chalicelib.assembly import UseCases
from chalicelib.dispatch import Dispatcher
from chalicelib.store.stores import Stores
from chalicelib.store.sweep_cursor import SweepCursor
from operations import session_list
from operations.session_list import list_sessions
from tests.unit.fakes import CREATE, Clock, frame, join, reply, scan


def test_without_open_sessions_the_list_is_empty(stores: Stores, clock: Clock) -> None:
    assert list_sessions(stores.sessions, clock()) == []


def test_a_description_has_the_fields_of_session_status(
    stores: Stores, dispatcher: Dispatcher, clock: Clock, session_id: str
) -> None:
    for number, language in enumerate(("fr", "es", "es")):
        join(dispatcher, number, session_id, language)
    clock.now += 61
    assert list_sessions(stores.sessions, clock()) == [
        {
            "sessionId": "golden-eagle-100",
            "status": "active",
            "listenerCount": 3,
            "languages": {"es": 2, "fr": 1},
            "createdAt": 1_800_000_000_000,
            "expiresAt": 1_800_007_200_000,
            "ageSeconds": 61,
            "sourceLanguage": "en",
            "qualityTier": "standard",
        }
    ]


def test_a_description_contains_no_ids_of_participants_and_no_invite_code(
    stores: Stores, dispatcher: Dispatcher, dynamodb: Any, clock: Clock, session_id: str
) -> None:
    join(dispatcher, 1, session_id, "es")
    found = list_sessions(stores.sessions, clock())
    shown = json.dumps(found) + session_list.table(found)
    (session,) = scan(dynamodb, "sessions")
    for name in ("speakerUserId", "speakerConnectionId", "inviteCode"):
        assert session[name]["S"] not in shown
    assert "listener-1" not in shown


def test_paused_and_interrupted_sessions_are_listed_and_ended_sessions_are_not(
    stores: Stores, use_cases: UseCases, dispatcher: Dispatcher, clock: Clock
) -> None:
    ids = {
        word: reply(dispatcher.message(frame(f"{word}=", "user-1", **CREATE)))["sessionId"]
        for word in ("paused", "interrupted", "ended", "expired", "lost")
    }
    dispatcher.message(frame("paused=", "user-1", action="pauseSession"))
    use_cases.lifecycle.leave("lost=")
    clock.now += 60
    use_cases.lifecycle.leave("interrupted=")
    dispatcher.message(frame("ended=", "user-1", action="endSession"))
    stores.sessions.expire(ids["expired"])
    shown = {each["sessionId"]: each["status"] for each in list_sessions(stores.sessions, clock())}
    assert shown == {ids["paused"]: "paused", ids["interrupted"]: "interrupted"}


def test_sessions_of_all_pages_are_listed_in_the_order_of_their_listener_counts(
    monkeypatch: pytest.MonkeyPatch, stores: Stores, dispatcher: Dispatcher, clock: Clock
) -> None:
    monkeypatch.setattr("chalicelib.store.sessions.PAGE_SESSIONS", 3)
    ids = [
        reply(dispatcher.message(frame(f"speaker-{number}=", "user-1", **CREATE)))["sessionId"]
        for number in range(11)
    ]
    join(dispatcher, 1, ids[4], "es")
    join(dispatcher, 2, ids[7], "es")
    join(dispatcher, 3, ids[7], "de")
    found = [each["sessionId"] for each in list_sessions(stores.sessions, clock())]
    assert found == [ids[7], ids[4], *sorted({*ids} - {ids[4], ids[7]})]


def test_the_sweeps_cursor_is_not_listed(stores: Stores, clock: Clock) -> None:
    stores.sweep_cursor.put(SweepCursor(after_session_id="golden-eagle-427"))
    assert list_sessions(stores.sessions, clock()) == []


def test_a_table_shows_counts_ages_and_times_in_readable_units() -> None:
    found = {
        "sessionId": "golden-eagle-427",
        "status": "active",
        "listenerCount": 243,
        "languages": {"de": 12, "es": 200, "fr": 31},
        "createdAt": 1_800_000_000_000,
        "expiresAt": 1_800_007_200_000,
        "ageSeconds": 4330,
        "sourceLanguage": "en",
        "qualityTier": "premium",
    }
    empty = {**found, "sessionId": "calm-fox-100", "listenerCount": 0, "languages": {}}
    first, second, third = session_list.table([found, empty]).splitlines()
    assert first.split() == list(session_list.COLUMNS)
    assert re.split(r"  +", second) == [
        *("golden-eagle-427", "active", "243", "es 200, fr 31, de 12"),
        *("1 h 12 min", "2027-01-15 10:00 UTC", "en", "premium"),
    ]
    assert re.split(r"  +", third)[2:4] == ["0", "-"]
