"""Links that invite listeners to a session."""

import pytest

from broadcast_sessions_client import Invitation, invite_link, read_invite_link

PAGE = "https://listen.example.org/"


def test_a_link_brings_back_its_session_and_code() -> None:
    link = invite_link(PAGE + "#old", "golden-eagle-427", "b3FQvY0mJ0h1VnKx")
    assert link == "https://listen.example.org/#golden-eagle-427/b3FQvY0mJ0h1VnKx"
    assert read_invite_link(link) == Invitation("golden-eagle-427", "b3FQvY0mJ0h1VnKx")


def test_any_text_survives_in_a_link() -> None:
    link = invite_link(PAGE, "Golden Eagle/427", "a b#ü")
    assert read_invite_link(link) == Invitation("Golden Eagle/427", "a b#ü")


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_link_can_have_no_code(ending: str) -> None:
    link = f"{PAGE}?x=1#golden-eagle-427{ending}"
    assert read_invite_link(link) == Invitation("golden-eagle-427", None)


@pytest.mark.parametrize("url", [PAGE, PAGE + "#", PAGE + "#/code", "", "no link"])
def test_a_link_without_a_session_is_none(url: str) -> None:
    assert read_invite_link(url) is None
