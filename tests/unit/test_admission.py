"""The admission to open and invited sessions, and the rotation of invite codes."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from chalicelib.admission import INVITED_WINDOW_SECONDS, Invitation
from chalicelib.assembly import UseCases, build_dispatcher
from chalicelib.dispatch import Dispatcher
from chalicelib.errors import Forbidden, SessionNotFound
from chalicelib.models import Session
from chalicelib.rate_limits import RateLimits
from chalicelib.store.stores import Stores
from tests.unit.fakes import CREATE, Clock, FakeOutcomes, Wire, closing, frame, reply, scan


@pytest.fixture
def use_cases(build: Callable[..., UseCases]) -> UseCases:
    """Return use cases whose invite codes are code-1, code-2 and so on."""
    numbers = count(1)
    return build(new_invite_code=lambda: f"code-{next(numbers)}")


@pytest.fixture
def invited_id(dispatcher: Dispatcher) -> str:
    """Return the ID of a session that admits listeners only with its invite code."""
    created = reply(dispatcher.message(frame("speaker=", "user-1", **CREATE, admission="invited")))
    assert created["admission"] == "invited"
    return str(created["sessionId"])


def join(session_id: str, **fields: str) -> dict[str, str]:
    return {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es", **fields}


def refresh(session_id: str, **fields: str) -> dict[str, str]:
    return {**join(session_id, **fields), "action": "refreshConnection", "role": "listener"}


def rotate(dispatcher: Dispatcher, connection_id: str = "speaker=") -> dict[str, Any]:
    return reply(dispatcher.message(frame(connection_id, "user-1", action="rotateInviteCode")))


def listener_count(dynamodb: Any) -> str:
    (session,) = scan(dynamodb, "sessions")
    return str(session["listenerCount"]["N"])


def test_admission_is_open_by_default_and_an_unknown_value_is_refused(
    dispatcher: Dispatcher,
) -> None:
    assert reply(dispatcher.message(frame("a=", "user-1", **CREATE)))["admission"] == "open"
    refusal = reply(dispatcher.message(frame("b=", "user-1", **CREATE, admission="closed")))
    assert refusal["code"] == "INVALID_PARAMETERS"
    assert refusal["details"] == {"field": "admission"}


@pytest.mark.parametrize("command", [join, refresh])
def test_an_invited_session_refuses_a_listener_without_its_code(
    dispatcher: Dispatcher, invited_id: str, dynamodb: Any, command: Any
) -> None:
    refusal = reply(dispatcher.message(frame("b=", **command(invited_id))))
    assert (refusal["code"], refusal["details"]) == ("FORBIDDEN", {"field": "inviteCode"})
    assert listener_count(dynamodb) == "0"


def test_an_invited_session_admits_a_listener_with_its_code_and_lets_it_return(
    wire: Wire, dispatcher: Dispatcher, invited_id: str, dynamodb: Any
) -> None:
    assert wire.send("b=", **join(invited_id, inviteCode="code-1"))["type"] == "sessionJoined"
    refreshed = wire.send("c=", **refresh(invited_id, connectionId="b="))
    assert refreshed["type"] == "connectionRefreshComplete"
    dispatcher.disconnect(closing("c=", 1006))
    returned = wire.send("d=", **refresh(invited_id, connectionId="c="))
    assert returned["type"] == "connectionRefreshComplete"
    assert listener_count(dynamodb) == "1"


def test_a_new_invite_code_starts_with_an_unused_limit(
    dispatcher: Dispatcher, invited_id: str, stores: Stores, clock: Clock
) -> None:
    window = int(clock()) // INVITED_WINDOW_SECONDS
    stores.seats.take(invited_id, "es", Invitation("code-1", window, max_joins=1), 3)
    rotate(dispatcher)
    stores.seats.take(
        invited_id, "es", Invitation("code-2", window, max_joins=1), 3, last_window=window
    )


def test_the_old_invite_code_admits_no_listener_after_a_rotation(
    wire: Wire, dispatcher: Dispatcher, invited_id: str
) -> None:
    wire.send("b=", **join(invited_id, inviteCode="code-1"))
    rotated = rotate(dispatcher)
    assert rotated.pop("timestamp")
    assert rotated == {
        "type": "inviteCodeRotated",
        "sessionId": invited_id,
        "inviteCode": "code-2",
    }
    assert wire.refuses("FORBIDDEN", "c=", **join(invited_id, inviteCode="code-1"))
    assert wire.send("d=", **join(invited_id, inviteCode="code-2"))["type"] == "sessionJoined"
    assert wire.send("e=", **refresh(invited_id, connectionId="b="))["role"] == "listener"
    as_speaker = {"action": "refreshConnection", "role": "speaker", "sessionId": invited_id}
    assert wire.send("new=", "user-1", **as_speaker)["inviteCode"] == "code-2"


def test_an_invite_code_that_is_rotated_during_a_join_is_refused(
    stores: Stores, dispatcher: Dispatcher, invited_id: str, dynamodb: Any
) -> None:
    session = stores.sessions.find_open(invited_id)
    assert session is not None
    rotate(dispatcher)
    with pytest.raises(Forbidden):
        stores.seats.take(
            invited_id, "es", invitation("code-1"), 3, last_window=session.invited_window
        )
    assert listener_count(dynamodb) == "0"


@pytest.mark.parametrize(
    ("connection_id", "user_id", "code"),
    [
        ("bare=", None, "UNAUTHORIZED"),
        ("bare=", "user-1", "SESSION_NOT_FOUND"),
        ("listener=", None, "FORBIDDEN"),
    ],
)
def test_only_the_speaker_can_rotate_the_invite_code(
    dispatcher: Dispatcher, session_id: str, connection_id: str, user_id: str | None, code: str
) -> None:
    dispatcher.message(frame("listener=", **join(session_id)))
    refusal = reply(dispatcher.message(frame(connection_id, user_id, action="rotateInviteCode")))
    assert refusal["code"] == code


def test_a_superseded_speaker_cannot_rotate_the_invite_code(
    dispatcher: Dispatcher, stores: Stores, session_id: str
) -> None:
    as_speaker = {"action": "refreshConnection", "role": "speaker", "sessionId": session_id}
    dispatcher.message(frame("new=", "user-1", **as_speaker))
    assert rotate(dispatcher)["code"] == "SESSION_NOT_FOUND"
    assert rotate(dispatcher, "new=")["type"] == "inviteCodeRotated"


# The limit of joins with the invite code


def invitation(code: str = "code-1", window: int = 1, max_joins: int = 2) -> Invitation:
    return Invitation(code, window, max_joins)


def take_seat(stores: Stores, session: Session, window: int) -> Session:
    return stores.seats.take(
        session.session_id,
        "es",
        invitation(window=window),
        500,
        last_window=session.invited_window,
    ).session


@pytest.fixture
def few_invited(
    build: Callable[..., UseCases],
    rate_limits: RateLimits,
    outcomes: FakeOutcomes,
    dynamodb: Any,
    clock: Clock,
) -> Dispatcher:
    """Return a dispatcher that accepts two joins a minute with an invite code."""
    settings = replace(rate_limits._limits, invited_joins_per_minute=2)
    limits = RateLimits(dynamodb.update_item, settings, clock)
    few = build(rate_limits=limits)
    return build_dispatcher(few, limits, outcomes, "https://api/stage", clock)


def test_an_invited_join_over_the_limit_is_refused_until_the_minute_ends(
    few_invited: Dispatcher, wire: Wire, session_id: str, dynamodb: Any, clock: Clock
) -> None:
    with_code = join(session_id, inviteCode="code-1")
    wire.dispatcher = few_invited
    clock.now += 12.5
    for number in range(2):
        assert wire.send(f"{number}=", **with_code)["type"] == "sessionJoined"
    refusal = reply(few_invited.message(frame("late=", **with_code)))
    assert (refusal["code"], refusal["retryAfter"]) == ("RATE_LIMIT_EXCEEDED", 48)
    assert listener_count(dynamodb) == "2"
    assert wire.send("plain=", **join(session_id))["type"] == "sessionJoined"
    few_invited.disconnect(closing("plain="))
    clock.now += 47.5
    assert wire.send("next=", **with_code)["type"] == "sessionJoined"


def test_joins_that_read_the_session_before_a_window_began_count_in_the_window(
    stores: Stores, session_id: str
) -> None:
    read = stores.sessions.find_open(session_id)
    assert read is not None
    take_seat(stores, read, window=7)
    second = take_seat(stores, read, window=7)
    assert (second.invited_window, second.invited_joins, second.listener_count) == (7, 2, 2)
    with pytest.raises(Exception, match="Too many requests"):
        take_seat(stores, read, window=7)
    third = take_seat(stores, read, window=8)
    assert (third.invited_window, third.invited_joins, third.listener_count) == (8, 1, 3)


def test_a_join_with_a_slow_clock_counts_in_the_current_window(
    stores: Stores, session_id: str, clock: Clock
) -> None:
    read = stores.sessions.find_open(session_id)
    assert read is not None
    window = int(clock()) // INVITED_WINDOW_SECONDS
    take_seat(stores, read, window=window)
    behind = take_seat(stores, read, window=window - 1)
    assert (behind.invited_window, behind.invited_joins) == (window, 2)


def test_an_invited_join_is_refused_if_the_session_ends_during_it(
    stores: Stores, session_id: str
) -> None:
    read = stores.sessions.find_open(session_id)
    assert read is not None
    stores.sessions.expire(session_id)
    with pytest.raises(SessionNotFound):
        take_seat(stores, read, window=7)
