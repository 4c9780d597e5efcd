"""A hall behind one address, and a stranger who guesses: the limits as they are by default.

A limit's minute begins with the clock's, so that one may begin in the middle of a test: what is
taken before the first refusal is then more than the limit, and never more than twice it.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.stories.target import Client, Target, client, local_server, refused_with

SOURCE = "X-Source-Ip"
HALL = {SOURCE: "203.0.113.7"}
"""Source: RFC 5737, addresses for documentation."""


@pytest.fixture(scope="module")
def limited() -> Iterator[Target]:
    """The application with its own limits; handshakes say where they come from."""
    with local_server("--source-ip-header", SOURCE) as target:
        yield target


@pytest.fixture(scope="module")
def token(limited: Target) -> str:
    return limited.tokens()["IdToken"]


def create(target: Target, speaker: Client) -> dict[str, Any]:
    created = speaker.ask(action="createSession", sourceLanguage="en")
    assert created["type"] == "sessionCreated"
    return created


def until_refused(ask: Any, limit: int) -> list[dict[str, Any]]:
    """Ask until it is too often; return the answers before that."""
    answers: list[dict[str, Any]] = []
    while len(answers) <= 2 * limit:
        answer = ask()
        if answer.get("code") == "RATE_LIMIT_EXCEEDED":
            assert answer["temporary"] is True
            assert 1 <= answer["retryAfter"] <= 60
            assert limit <= len(answers)
            return answers
        answers.append(answer)
    raise AssertionError("it was never too often")


def test_ten_a_minute_join_from_one_address_without_an_invite_code(
    limited: Target, token: str
) -> None:
    with client(limited, token=token) as speaker:
        session_id = create(limited, speaker)["sessionId"]

        def join() -> dict[str, Any]:
            with client(limited, {SOURCE: "203.0.113.10"}) as phone:
                return phone.ask(action="joinSession", sessionId=session_id, targetLanguage="es")

        answers = until_refused(join, 10)
        assert {answer["type"] for answer in answers} == {"sessionJoined"}
        elsewhere = {SOURCE: "203.0.113.11"}
        query = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
        with client(limited, elsewhere, **query) as phone:
            assert phone.hear()["type"] == "sessionJoined"
        assert refused_with(limited, {SOURCE: "203.0.113.10"}, **query) == 429


def test_a_hall_of_500_with_the_code_gets_in_while_a_stranger_there_is_stopped(
    limited: Target, token: str
) -> None:
    with client(limited, token=token) as speaker:
        created = create(limited, speaker)
        with client(limited, HALL) as stranger:
            number = iter(range(100, 1000))

            def guess() -> dict[str, Any]:
                session_id = f"golden-eagle-{next(number)}"
                return stranger.ask(action="joinSession", sessionId=session_id, targetLanguage="es")

            answers = until_refused(guess, 20)
            assert {answer["code"] for answer in answers} == {"SESSION_NOT_FOUND"}
            outcomes = asyncio.run(join_all(limited.url, created, 500))
            assert outcomes == {"sessionJoined": 500}
            right = {"action": "joinSession", "targetLanguage": "es"}
            right["sessionId"] = created["sessionId"]
            wrong = stranger.ask(**right, inviteCode="guessed")
            assert wrong["code"] in ("RATE_LIMIT_EXCEEDED", "FORBIDDEN")
        assert speaker.ask(action="endSession")["type"] == "sessionEnded"


async def join_all(url: str, created: dict[str, Any], phones: int) -> dict[str, int]:
    """Let phones in one hall join at once, and stay until all are in."""
    query = (
        f"action=joinSession&sessionId={created['sessionId']}&targetLanguage=es"
        f"&inviteCode={created['inviteCode']}"
    )
    opened = await asyncio.gather(
        *(
            connect(f"{url}?{query}", additional_headers=HALL, compression=None, open_timeout=60)
            for _ in range(phones)
        )
    )
    messages = [json.loads(await asyncio.wait_for(each.recv(), 60)) for each in opened]
    for each in opened:
        each.transport.abort()
    return Counter(message.get("code", message["type"]) for message in messages)


def test_bad_tokens_stop_those_who_come_without_any(limited: Target, token: str) -> None:
    address = {SOURCE: "203.0.113.20"}
    with client(limited, token=token) as speaker:
        created = create(limited, speaker)
        for _ in range(45):
            assert refused_with(limited, address, token="not-a-token") == 403
        join = {
            "action": "joinSession",
            "sessionId": created["sessionId"],
            "targetLanguage": "es",
        }
        with client(limited, address) as phone:
            assert phone.ask(**join)["code"] == "RATE_LIMIT_EXCEEDED"
            joined = phone.ask(**join, inviteCode=created["inviteCode"])
            assert joined["type"] == "sessionJoined"
        with client(limited, address, token=token) as signed_in:
            assert signed_in.ask(**join)["type"] == "sessionJoined"


def test_the_fifth_heartbeat_within_a_minute_is_refused(limited: Target) -> None:
    with client(limited) as phone:
        types = [phone.ask(action="heartbeat")["type"] for _ in range(4)]
        assert types == ["heartbeatAck"] * 4
        refused = phone.ask(action="heartbeat", requestId="fifth")
        assert (refused["code"], refused["requestId"]) == ("RATE_LIMIT_EXCEEDED", "fifth")
        assert 1 <= refused["retryAfter"] <= 60


def test_fifty_sessions_an_hour_are_created_by_one_user(limited: Target) -> None:
    token = limited.tokens("busy@example.com")["IdToken"]

    def create_one() -> dict[str, Any]:
        with client(limited, token=token) as speaker:
            return speaker.ask(action="createSession", sourceLanguage="en")

    created = 0
    answer = create_one()
    while answer["type"] == "sessionCreated":
        created += 1
        assert created <= 100
        answer = create_one()
    assert answer["code"] == "RATE_LIMIT_EXCEEDED"
    assert created >= 50
    assert 1 <= answer["retryAfter"] <= 3600
