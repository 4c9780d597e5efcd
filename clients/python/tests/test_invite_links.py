"""Links that invite listeners to a session."""

import json
from pathlib import Path

import pytest

from broadcast_sessions_client import Invitation, OwnedSession, invite_link, read_invite_link

PAGE = "https://listen.example.org/"
SESSION = "golden-eagle-427"
CASES = json.loads((Path(__file__).parents[2] / "invite_links.json").read_text())
"""Links, and what both clients read in them."""


def test_a_link_has_the_session_and_the_code_after_the_hash() -> None:
    link = invite_link(PAGE + "#old", OwnedSession(SESSION, "b3FQvY0mJ0h1VnKx", "active"))
    assert link == "https://listen.example.org/#golden-eagle-427/b3FQvY0mJ0h1VnKx"


@pytest.mark.parametrize("code", ["b3FQ", "a/b", "a b", "ä%2F", "+=?#"])
def test_any_code_survives_in_a_link(code: str) -> None:
    link = invite_link(PAGE, OwnedSession(SESSION, code, "active"))
    assert read_invite_link(link) == Invitation(SESSION, code)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["link"])
def test_a_link_is_read_as_both_clients_read_it(case: dict[str, dict[str, str]]) -> None:
    expected = case["invitation"] and Invitation(**case["invitation"])
    assert read_invite_link(str(case["link"])) == expected
