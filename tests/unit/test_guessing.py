"""Guesses of session IDs, which can't tell a known ID from an unknown one."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chalicelib.dispatch import Dispatcher
from chalicelib.models import Caller
from chalicelib.rate_limits import RateLimits
from tests.unit.fakes import ADDRESS, CREATE, connecting, frame, reply

ALLOWED = 20
UNKNOWN = "golden-eagle-999"
STRANGER = Caller("stranger=", None, 1_800_000_000_000, ADDRESS)


@dataclass
class Requests:
    """Counts requests to DynamoDB by operation and table."""

    made: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, operation: str, request: dict[str, Any]) -> None:
        self.made[operation, request.get("TableName", "")] += 1

    @property
    def session_writes(self) -> int:
        return sum(
            number
            for (name, table), number in self.made.items()
            if table == "sessions" and name != "GetItem"
        )


@pytest.fixture
def requests(dynamodb: Any) -> Requests:
    requests = Requests()
    dynamodb.transport.on_request.append(requests.note)
    return requests


def join(session_id: str, **fields: str) -> dict[str, str]:
    return {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es", **fields}


def refresh(session_id: str, role: str, **fields: str) -> dict[str, str]:
    return {**join(session_id, **fields), "action": "refreshConnection", "role": role}


GUESSES: dict[str, tuple[str | None, Callable[[str], dict[str, str]]]] = {
    "join": (None, join),
    "join with a token": ("user-2", join),
    "join with a wrong code": (None, lambda it: join(it, inviteCode="wrong")),
    "join with a wrong code and a token": ("user-2", lambda it: join(it, inviteCode="wrong")),
    "listener's refresh": (None, lambda it: refresh(it, "listener", connectionId="never-was=")),
    "listener's refresh without an old connection": (None, lambda it: refresh(it, "listener")),
    "listener's refresh with a token": ("user-2", lambda it: refresh(it, "listener")),
    "listener's refresh with a wrong code": (
        None,
        lambda it: refresh(it, "listener", inviteCode="wrong"),
    ),
    "speaker's refresh": ("user-2", lambda it: refresh(it, "speaker")),
}


@pytest.mark.parametrize("admission", ["open", "invited"])
@pytest.mark.parametrize("by_url", [False, True], ids=["by frame", "by URL"])
@pytest.mark.parametrize("guess", GUESSES)
def test_over_the_limit_known_and_unknown_ids_get_the_same_answer(
    dispatcher: Dispatcher,
    rate_limits: RateLimits,
    requests: Requests,
    guess: str,
    by_url: bool,
    admission: str,
) -> None:
    created = reply(dispatcher.message(frame("speaker=", "user-1", **CREATE, admission=admission)))
    user_id, fields = GUESSES[guess]
    for _ in range(ALLOWED):
        rate_limits.count_refusal(replace(STRANGER, user_id=user_id))

    answers, costs = [], []
    for number, session_id in enumerate([UNKNOWN, created["sessionId"]]):
        requests.made.clear()
        make_event = connecting if by_url else frame
        event = make_event(f"guess-{number}=", user_id, **fields(session_id))
        answer = dispatcher.connect(event) if by_url else reply(dispatcher.message(event))
        answers.append(answer)
        costs.append(requests.made.copy())
        assert requests.session_writes == 0

    assert answers[0] == answers[1]
    assert costs[0] == costs[1]
    if by_url:
        assert answers[0] == {"statusCode": 429}
    else:
        assert answers[0]["code"] == "RATE_LIMIT_EXCEEDED"
        assert answers[0]["message"] == "Too many requests, please try again later."
        assert answers[0]["retryAfter"] == 60


@pytest.mark.parametrize("by_url", [False, True], ids=["by frame", "by URL"])
@pytest.mark.parametrize("guess", GUESSES)
def test_guesses_of_known_and_unknown_ids_use_up_the_same_limit(
    dispatcher: Dispatcher, rate_limits: RateLimits, guess: str, by_url: bool
) -> None:
    """The known session has an invite code and another speaker."""
    created = reply(dispatcher.message(frame("speaker=", "user-1", **CREATE, admission="invited")))
    user_id, fields = GUESSES[guess]
    make_event: Callable[..., dict[str, Any]] = connecting if by_url else frame
    handle = dispatcher.connect if by_url else dispatcher.message
    for number in range(ALLOWED):
        session_id = (UNKNOWN, created["sessionId"])[number % 2]
        answer = handle(make_event(f"guess-{number}=", user_id, **fields(session_id)))
        expected = (404, 403)[number % 2]
        codes = ("SESSION_NOT_FOUND", "FORBIDDEN")
        assert answer == {"statusCode": expected} if by_url else code(answer) == codes[number % 2]
    for session_id in (UNKNOWN, created["sessionId"]):
        answer = handle(make_event(f"late-{session_id}=", user_id, **fields(session_id)))
        assert answer == {"statusCode": 429} if by_url else code(answer) == "RATE_LIMIT_EXCEEDED"


def code(answer: dict[str, Any]) -> str:
    return str(reply(answer)["code"])


@pytest.mark.parametrize(
    "command",
    [
        join,
        lambda it: join(it, inviteCode="code-of-the-hall"),
        lambda it: join(it, inviteCode="wrong"),
        lambda it: refresh(it, "listener"),
        lambda it: refresh(it, "listener", inviteCode="wrong"),
        lambda it: refresh(it, "speaker"),
    ],
)
def test_a_connection_with_a_session_gets_the_same_conflict_for_known_and_unknown_ids(
    dispatcher: Dispatcher,
    session_id: str,
    requests: Requests,
    command: Callable[[str], dict[str, str]],
) -> None:
    other = reply(dispatcher.message(frame("other=", "user-2", **CREATE)))["sessionId"]
    answers, costs = [], []
    for each in (other, UNKNOWN):
        requests.made.clear()
        answers.append(reply(dispatcher.message(frame("speaker=", "user-1", **command(each)))))
        costs.append(requests.made.copy())
        assert all(table != "sessions" for _, table in requests.made)
    assert answers[0] == answers[1]
    assert answers[0]["code"] == "CONFLICT"
    assert costs[0] == costs[1]


def test_a_broken_counter_does_not_change_the_answer_to_a_refused_attempt(
    dispatcher: Dispatcher, rate_limits: RateLimits, session_id: str
) -> None:
    def broken(**_: Any) -> dict[str, Any]:
        raise KeyError("Attributes")

    rate_limits._update_item = broken
    wrong = join(session_id, inviteCode="wrong")
    refusal = reply(dispatcher.message(frame("a=", **wrong, requestId="r1")))
    assert (refusal["code"], refusal["requestId"]) == ("FORBIDDEN", "r1")
    assert dispatcher.connect(connecting("b=", **wrong)) == {"statusCode": 403}
    rate_limits.count_refused_token(ADDRESS)
    assert "KeyError" not in json.dumps(refusal)
