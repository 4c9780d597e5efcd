import json

import pytest

from local_gateway import actions


@pytest.mark.parametrize(
    "action",
    [
        *("eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "L0SM9cOFvHcCIhw=", "203.0.113.7", "blue-room-427"),
        *("anna@example.com", "a" * 33, "", "two words", "line\nbreak", "\x1b[2J", "tést", "_x"),
        *(7, None, ["ping"], {"name": "ping"}),
    ],
)
def test_an_action_that_is_not_a_plain_name_is_not_logged(action: object) -> None:
    assert actions.in_message(json.dumps({"action": action})) is None
    assert actions.in_query([("action", str(action))] if action else []) is None


@pytest.mark.parametrize("body", ["", "ping", "[]", "[" * 100_000, '{"action":', "null", "{}"])
def test_a_message_that_is_not_a_command_has_no_action(body: str) -> None:
    assert actions.in_message(body) is None


@pytest.mark.parametrize("action", ["createRoom", "send_message", "x", "a" * 32])
def test_an_action_that_is_a_plain_name_is_logged(action: str) -> None:
    assert actions.in_message(json.dumps({"action": action, "token": "secret"})) == action
    assert (
        actions.in_query([("action", "first"), ("token", "secret"), ("action", action)]) == action
    )
