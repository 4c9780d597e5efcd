"""Rate limits under concurrent requests."""

import json
from collections import Counter
from functools import partial
from typing import Any

from chalicelib.assembly import build_dispatcher
from chalicelib.dispatch import Dispatcher
from tests.races.conftest import NewService, twice
from tests.races.service import ADDRESS, CONCURRENCY, INVITE_CODE, Service, answered, batches

REFUSALS_A_MINUTE = 20
JOINS_A_MINUTE = 40
HEARTBEATS_A_MINUTE = 4

Requests = dict[str, tuple[str, str | None]]
"""The requested session and invite code, by connection ID."""


def test_500_invited_listeners_join_from_an_address_that_is_limited(
    new_service: NewService,
) -> None:
    service = new_service(500)
    session_id = service.create()
    dispatcher = _dispatcher(service)
    invited: Requests = {f"invited-{n}": (session_id, INVITE_CODE) for n in range(500)}
    guesses: Requests = {f"id-{n}": (f"brave-otter-{100 + n}", None) for n in range(30)}
    guesses |= {f"code-{n}": (session_id, f"code-{n}") for n in range(30)}
    began_at = service.clock()

    answers: dict[str, Any] = {}
    with service.watching_counts(session_id):
        for some in batches(_interleaved(guesses | invited)):
            answers |= service.run_all(
                {each: partial(_join, dispatcher, each, *request) for each, request in some}
            )

    assert service.clock() - began_at < 60
    assert answered(answers, "sessionJoined") == set(invited)
    assert service.attendance(session_id) == (500, set(invited))
    codes = Counter(answers[each]["code"] for each in guesses)
    assert codes["SESSION_NOT_FOUND"] + codes["FORBIDDEN"] == REFUSALS_A_MINUTE
    assert codes["RATE_LIMIT_EXCEEDED"] == len(guesses) - REFUSALS_A_MINUTE
    service.close("invited-0")
    without_code = _join(dispatcher, "without-code", session_id, None)
    assert without_code["code"] == "RATE_LIMIT_EXCEEDED"
    assert _join(dispatcher, "with-code", session_id, INVITE_CODE)["type"] == "sessionJoined"


def test_joins_that_a_limit_refuses_take_no_seats(new_service: NewService) -> None:
    service = new_service(500)
    session_id = service.create_with_listeners([f"staying-{n}" for n in range(470)])
    dispatcher = _dispatcher(service)
    for n in range(REFUSALS_A_MINUTE):
        _join(dispatcher, f"guess-{n}", f"brave-otter-{100 + n}", None)
    attacks: list[tuple[str, str | None]] = [
        (session_id, None),
        (session_id, "guessed"),
        ("brave-otter-999", None),
    ]

    with service.watching_counts(session_id, at_least=470, at_most=480):
        for start in range(0, 40, 10):
            invited = [f"invited-{start + n}" for n in range(10)]
            answers = service.run_all(
                {
                    f"attack-{n}": partial(_join, dispatcher, f"attack-{n}", *attacks[n % 3])
                    for n in range(60)
                }
                | {
                    each: partial(_join, dispatcher, each, session_id, INVITE_CODE)
                    for each in invited
                }
            )
            assert answered(answers, "sessionJoined") == set(invited)
            refused = {answers[f"attack-{n}"]["code"] for n in range(60)}
            assert refused == {"RATE_LIMIT_EXCEEDED"}
            service.run_all({each: partial(service.close, each) for each in invited})

    assert service.attendance(session_id).listener_count == 470


@twice
def test_of_64_heartbeats_on_one_connection_four_are_accepted(new_service: NewService) -> None:
    service = new_service(1)
    service.create_with_listeners(["listener"])

    for _ in range(2):
        answers = service.run_all(
            {n: partial(service.heartbeat, "listener") for n in range(CONCURRENCY)}
        )
        assert len(answered(answers, "heartbeatAck")) == HEARTBEATS_A_MINUTE
        assert len(answered(answers, "RATE_LIMIT_EXCEEDED")) == CONCURRENCY - HEARTBEATS_A_MINUTE
        service.clock.advance(60)


@twice
def test_of_64_uninvited_listeners_40_join_and_no_others_by_refresh(
    new_service: NewService,
) -> None:
    service = new_service(CONCURRENCY)
    session_id = service.create()
    dispatcher = _dispatcher(service)
    crowd = [f"new-{n}" for n in range(CONCURRENCY)]

    with service.watching_counts(session_id):
        answers = service.run_all(
            {each: partial(_join, dispatcher, each, session_id, None) for each in crowd}
        )

    joined = answered(answers, "sessionJoined")
    assert len(joined) == JOINS_A_MINUTE
    assert service.attendance(session_id) == (JOINS_A_MINUTE, joined)
    refreshes = {each: partial(service.refresh, session_id, each, f"of-{each}") for each in crowd}
    answers = service.run_all(refreshes)
    assert answered(answers, "connectionRefreshComplete") == joined


def _dispatcher(service: Service) -> Dispatcher:
    """Return a dispatcher for frames, which sends no outcomes and closes no connections."""
    outcomes: Any = None
    return build_dispatcher(service.use_cases, service.rate_limits, outcomes, "", service.clock)


def _join(
    dispatcher: Dispatcher, connection_id: str, session_id: str, code: str | None
) -> dict[str, Any]:
    command = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
    event = {
        "requestContext": {
            "connectionId": connection_id,
            "connectedAt": 0,
            "identity": {"sourceIp": ADDRESS},
        },
        "body": json.dumps(command | ({} if code is None else {"inviteCode": code})),
    }
    answer: dict[str, Any] = json.loads(dispatcher.message(event)["body"])
    return answer


def _interleaved(requests: dict[str, Any]) -> list[tuple[str, Any]]:
    """Distribute the first requests evenly among the others."""
    items = list(requests.items())
    return [each for start in range(9) for each in items[start::9]]
