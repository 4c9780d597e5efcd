"""The form of the recorded exchanges in clients/exchanges, and what they cover."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chalicelib import errors
from chalicelib.commands import ACTIONS
from tests import exchanges
from tests.exchanges import Exchange
from tests.stories import frames

EXCHANGES = exchanges.read_all()

KEYS = {"title", "role", "options", "service", "steps", "ends"}
OPTIONAL_KEYS = {"clients", "given"}

STEPS = {
    "call": {"with"},
    "client": {"on"},
    "closes": {"code"},
    "drop": {"code"},
    "elapse": set(),
    "error": set(),
    "event": set(),
    "opens": {"credentials", "token", "answer"},
    "others": set(),
    "page": set(),
    "result": set(),
    "server": {"on", "bytes"},
    "sleep": set(),
}
"""The kinds of steps, each with the keys that it can have besides its own."""

METHODS = {
    "listener": {"join", "changeLanguage", "close"},
    "speaker": {
        *("create", "takeOver", "pause", "resume", "end", "status", "rotateInviteCode", "close"),
        "sendCaption",
    },
}

REASONS: dict[str, set[str | None]] = {
    "idle": {None},
    "connecting": {None},
    "joined": {None},
    "live": {None},
    "paused": {"speakerPaused"},
    "interrupted": {"speakerAway"},
    "refreshing": {"refreshRequired", "interruptedTooLong"},
    "reconnecting": {
        *("connectionLost", "noAnswer", "slept", "membershipLost", "tokenFailed", "hidden"),
        *("CONNECTION_FAILED", "SESSION_FULL"),
        *("RATE_LIMIT_EXCEEDED", "SERVICE_UNAVAILABLE", "INTERNAL_ERROR"),
    },
    "ended": {"speakerEnded", "speakerLost", "expired", "SESSION_NOT_FOUND", "closed"},
    "failed": {
        *("UNAUTHORIZED", "FORBIDDEN", "SESSION_NOT_FOUND", "CONFLICT", "INVALID_ACTION"),
        *("INVALID_PARAMETERS", "INVALID_SESSION_ID", "UNSUPPORTED_LANGUAGE"),
        *("REPLACED", "SIGNED_OUT", "SIGN_IN_FAILED"),
    },
}
"""The reasons of each state."""

OF_CLIENTS = {
    *("CONNECTION_FAILED", "NO_ANSWER", "TOKEN_FAILED", "QUEUE_FULL", "REPLACED", "CLOSED"),
    *("NO_SESSION", "SIGNED_OUT", "SIGN_IN_FAILED"),
}
"""The codes of errors that a client raises by itself."""

OF_SERVICE = {error.code for error in errors.ServiceError.__subclasses__()}

UNDESCRIBED = {
    *("join_refused_parameter", "unknown_field", "unknown_type"),
    *("malformed_captions", "malformed_captions_answer"),
    *("send_caption_refused_id", "send_caption_refused_text", "send_caption_too_long"),
}
"""The exchanges whose frames aren't valid on purpose."""

OTHER_TYPES = {"captionStyleChanged"}
"""The types of messages that neither the service nor a client knows."""

PROTOCOL = Path("docs/reference/protocol.md").read_text()


def steps_of(kind: str) -> Iterator[tuple[Exchange, Any]]:
    for exchange in EXCHANGES.values():
        for step in exchange["steps"]:
            if kind in step:
                yield exchange, step[kind]


def states() -> Iterator[tuple[str, str | None]]:
    for _, event in steps_of("event"):
        if event["type"] == "state":
            yield event["state"], event["reason"]


@pytest.mark.parametrize("name", EXCHANGES)
def test_an_exchange_has_the_form_that_its_players_expect(name: str) -> None:
    exchange = EXCHANGES[name]
    assert KEYS <= exchange.keys() <= KEYS | OPTIONAL_KEYS
    assert exchange["title"].endswith(".")
    assert exchange["role"] in METHODS
    assert exchange.get("clients", ["python"]) in (["javascript"], ["python"])
    assert exchange["service"] is True or exchange["service"].endswith(".")
    assert exchange["ends"].keys() == {"state", "connections"}
    for step in exchange["steps"]:
        (kind,) = STEPS.keys() & step.keys()
        assert step.keys() - {kind} <= STEPS[kind], step


@pytest.mark.parametrize("name", EXCHANGES)
def test_an_exchange_names_its_connections_in_the_order_of_opening(name: str) -> None:
    opened: list[str] = []
    now_open: list[str] = []
    for step in EXCHANGES[name]["steps"]:
        if "opens" in step:
            opened.append(step["opens"])
            assert isinstance(step["answer"], int) or step["answer"] in ("reset", "silence")
            if step["answer"] == 101:
                now_open.append(step["opens"])
        elif step.get("page") == "reload":
            now_open.clear()
        elif ended := step.get("closes") or step.get("drop"):
            now_open.remove(ended)
        elif "client" in step or "server" in step:
            assert step["on"] in now_open if "on" in step else len(now_open) == 1, step
    assert opened == [chr(ord("a") + number) for number in range(len(opened))]
    assert EXCHANGES[name]["ends"]["connections"] == len(now_open)


@pytest.mark.parametrize("name", EXCHANGES)
def test_an_exchange_ends_in_the_state_of_its_last_event(name: str) -> None:
    events = [step["event"] for step in EXCHANGES[name]["steps"] if "event" in step]
    states = [event["state"] for event in events if event["type"] == "state"]
    assert EXCHANGES[name]["ends"]["state"] == states[-1]


@pytest.mark.parametrize("name", EXCHANGES)
def test_an_exchange_emits_no_event_twice_in_a_row(name: str) -> None:
    events = [step["event"] for step in EXCHANGES[name]["steps"] if "event" in step]
    assert all(event != before for before, event in pairwise(events))


@pytest.mark.parametrize("name", sorted(EXCHANGES.keys() - UNDESCRIBED))
def test_the_frames_of_an_exchange_match_the_asyncapi_description(name: str) -> None:
    for step in EXCHANGES[name]["steps"]:
        if "client" in step:
            frames.check(step["client"]["action"], step["client"])
        elif isinstance(step.get("server"), dict):
            frames.check(step["server"].get("type", "gatewayError"), step["server"])


def test_there_are_at_least_60_exchanges() -> None:
    assert len(EXCHANGES) >= 60


def test_the_exchanges_call_every_method() -> None:
    for role, methods in METHODS.items():
        called = {call for exchange, call in steps_of("call") if exchange["role"] == role}
        assert called == methods


def test_the_exchanges_send_every_command() -> None:
    assert {frame["action"] for _, frame in steps_of("client")} == ACTIONS


def test_the_exchanges_receive_every_message_of_the_protocol() -> None:
    section = PROTOCOL.partition("## Outcomes and notices\n")[2].partition("| error code |")[0]
    rows = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    of_protocol = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    received = {frame["type"] for frame in received_messages()}
    assert received == of_protocol | OTHER_TYPES


def received_messages() -> Iterator[dict[str, Any]]:
    for _, frame in steps_of("server"):
        if isinstance(frame, dict) and "type" in frame:
            assert isinstance(frame["timestamp"], int)
            yield frame


def test_the_exchanges_show_every_error_code() -> None:
    received = {frame["code"] for frame in received_messages() if frame["type"] == "error"}
    settled = {error["code"] for _, error in steps_of("error")}
    assert received | settled == OF_SERVICE | OF_CLIENTS


def test_the_exchanges_show_every_state_and_reason() -> None:
    assert set(states()) == {
        (state, reason) for state, reasons in REASONS.items() for reason in reasons
    }


def test_the_exchanges_show_every_event_of_the_page() -> None:
    pages = [exchange for exchange, _ in steps_of("page")]
    assert all(exchange["clients"] == ["javascript"] for exchange in pages)
    shown = {page for _, page in steps_of("page")}
    assert shown == {"hidden", "visible", "online", "offline", "reload"}
