"""The default limits, for an audience behind one address and for guesses.

A limit's minute starts with the clock's minute, which can happen in the middle of a test. The
number of accepted requests is then more than the limit, but never more than twice the limit.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.stories import frames
from tests.stories.target import Client, Target, client, local_server, refused_with

SOURCE = "X-Source-Ip"
LIMITED_ADDRESS = {SOURCE: "203.0.113.7"}
"""The audience's address. Source: RFC 5737, addresses for documentation."""


@pytest.fixture(scope="module")
def limited() -> Iterator[Target]:
    """Serve the application with its default limits. A header sets the source address."""
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
    """Send requests until the limit refuses one, and return the answers before that."""
    answers: list[dict[str, Any]] = []
    while len(answers) <= 2 * limit:
        answer = ask()
        if answer.get("code") == "RATE_LIMIT_EXCEEDED":
            assert answer["temporary"] is True
            assert 1 <= answer["retryAfter"] <= 60
            assert limit <= len(answers)
            return answers
        answers.append(answer)
    raise AssertionError("the limit refused no request")


def test_an_address_can_join_100_times_a_minute_without_an_invite_code(
    limited: Target, token: str
) -> None:
    with client(limited, token=token) as speaker:
        session_id = create(limited, speaker)["sessionId"]

        def join() -> dict[str, Any]:
            with client(limited, {SOURCE: "203.0.113.10"}) as phone:
                return phone.ask(action="joinSession", sessionId=session_id, targetLanguage="es")

        answers = until_refused(join, 100)
        assert {answer["type"] for answer in answers} == {"sessionJoined"}
        elsewhere = {SOURCE: "203.0.113.11"}
        query = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
        with client(limited, elsewhere, **query) as phone:
            assert phone.receive()["type"] == "sessionJoined"
        assert refused_with(limited, {SOURCE: "203.0.113.10"}, **query) == 429


@pytest.mark.alone
def test_500_listeners_with_the_code_join_from_an_address_that_is_limited(
    limited: Target, token: str
) -> None:
    with client(limited, token=token) as speaker:
        created = create(limited, speaker)
        number = iter(range(100, 1000))

        def guess() -> dict[str, Any]:
            session_id = f"golden-eagle-{next(number)}"
            with client(limited, LIMITED_ADDRESS) as one:
                return one.ask(action="joinSession", sessionId=session_id, targetLanguage="es")

        answers = until_refused(guess, 20)
        assert {answer["code"] for answer in answers} == {"SESSION_NOT_FOUND"}
        with client(limited, LIMITED_ADDRESS) as stranger:
            outcomes = asyncio.run(join_all(limited.url, created, 500))
            assert outcomes == {"sessionJoined": 500}
            right = {"action": "joinSession", "targetLanguage": "es"}
            right["sessionId"] = created["sessionId"]
            wrong = stranger.ask(**right, inviteCode="guessed")
            assert wrong["code"] in ("RATE_LIMIT_EXCEEDED", "FORBIDDEN")
        assert speaker.ask(action="endSession")["type"] == "sessionEnded"


async def join_all(url: str, created: dict[str, Any], phones: int) -> dict[str, int]:
    """Let phones behind one address join at once, and stay until all have joined."""
    query = (
        f"action=joinSession&sessionId={created['sessionId']}&targetLanguage=es"
        f"&inviteCode={created['inviteCode']}"
    )
    opened = await asyncio.gather(
        *(
            connect(
                f"{url}?{query}",
                additional_headers=LIMITED_ADDRESS,
                compression=None,
                open_timeout=60,
            )
            for _ in range(phones)
        )
    )
    messages = [frames.decode(await asyncio.wait_for(each.recv(), 60)) for each in opened]
    for each in opened:
        each.transport.abort()
    return Counter(message.get("code", message["type"]) for message in messages)


Ask = Callable[[str], dict[str, Any]]
"""Requests a session by its ID. For a refused handshake, only the status is known."""

JOIN = {"action": "joinSession", "targetLanguage": "es"}
REFRESH = {"action": "refreshConnection", "role": "listener", "targetLanguage": "es"}
REFRESH_SPEAKER = {"action": "refreshConnection", "role": "speaker"}


def in_a_frame(
    target: Target, headers: dict[str, str], fields: dict[str, str], **query: str
) -> Ask:
    def ask(session_id: str) -> dict[str, Any]:
        with client(target, headers, **query) as one:
            return one.ask(**fields, sessionId=session_id)

    return ask


def in_the_url(
    target: Target, headers: dict[str, str], fields: dict[str, str], **query: str
) -> Ask:
    def ask(session_id: str) -> dict[str, Any]:
        status = refused_with(target, headers, **fields, **query, sessionId=session_id)
        return {"code": {404: "SESSION_NOT_FOUND", 429: "RATE_LIMIT_EXCEEDED"}.get(status)}

    return ask


@pytest.mark.parametrize("way", [in_a_frame, in_the_url])
@pytest.mark.parametrize(
    ("fields", "is_signed_in"),
    [
        (JOIN, False),
        (JOIN, True),
        ({**JOIN, "inviteCode": "guessed"}, False),
        (REFRESH, False),
        ({**REFRESH, "connectionId": "never-was="}, True),
        (REFRESH_SPEAKER, True),
    ],
)
def test_refusals_beyond_the_limit_reveal_nothing_about_a_session(
    limited: Target,
    token: str,
    fields: dict[str, str],
    is_signed_in: bool,
    way: Callable[..., Ask],
) -> None:
    name = uuid4().hex
    address = {SOURCE: f"2001:db8:{name[:4]}:{name[4:8]}::1"}
    rest_of_64 = {SOURCE: f"2001:db8:{name[:4]}:{name[4:8]}::2"}
    query = {"token": limited.tokens(f"{name}@example.com")["IdToken"]} if is_signed_in else {}
    unknown = iter(f"golden-eagle-{number}" for number in range(100, 1000))
    with client(limited, token=token) as speaker:
        known = create(limited, speaker)["sessionId"]
        guess, other = (way(limited, each, fields, **query) for each in (address, rest_of_64))

        def answers_beyond_the_limit() -> list[dict[str, Any]]:
            """Return an empty list if a new minute, with a new limit, has started."""
            began_at = time.time()
            while guess(next(unknown))["code"] != "RATE_LIMIT_EXCEEDED":
                pass
            answers = [ask(each) for each in (next(unknown), known) for ask in (guess, other)]
            return answers if began_at // 60 == time.time() // 60 else []

        answers = answers_beyond_the_limit() or answers_beyond_the_limit()
        for answer in answers:
            assert answer["code"] == "RATE_LIMIT_EXCEEDED"
            answer.pop("timestamp", 0)
            answer.pop("retryAfter", 0)
        assert answers == [answers[0]] * 4
        assert speaker.ask(action="endSession")["type"] == "sessionEnded"


def test_the_twentieth_refused_command_in_a_row_closes_the_connection(limited: Target) -> None:
    with client(limited) as one:

        def refuse(times: int) -> None:
            for _ in range(times):
                assert one.send('{"action": "fly"}')["code"] == "INVALID_ACTION"

        refuse(19)
        assert one.ask(action="heartbeat")["type"] == "heartbeatAck"
        refuse(19)
        assert one.ask(action="heartbeat")["type"] == "heartbeatAck"
        refuse(20)
        with pytest.raises(ConnectionClosed):
            one.receive()


def test_bad_tokens_limit_an_address_except_with_a_token_or_code(
    limited: Target, token: str
) -> None:
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


def test_the_fifth_heartbeat_within_a_minute_is_refused(limited: Target, token: str) -> None:
    with client(limited, token=token) as speaker:
        create(limited, speaker)
        types = [speaker.ask(action="heartbeat")["type"] for _ in range(4)]
        assert types == ["heartbeatAck"] * 4
        refused = speaker.ask(action="heartbeat", requestId="fifth")
        assert (refused["code"], refused["requestId"]) == ("RATE_LIMIT_EXCEEDED", "fifth")
        assert 1 <= refused["retryAfter"] <= 60


def test_a_user_can_create_50_sessions_an_hour(limited: Target) -> None:
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
