"""Links that invite listeners to a session."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from broadcast_sessions_client.sessions import OwnedSession, Session

SESSION_ID: Final = re.compile("[a-z]+-[a-z]+-[0-9]{3}", re.ASCII | re.IGNORECASE)
BROKEN_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class Invitation:
    """What a link says.

    Attributes:
        session: The session's ID.
        invite: The invite code, or None if the link has none.
    """

    session: str
    invite: str | None


def invite_link(page_url: str, session: Session | OwnedSession) -> str:
    """Return the link of a page to a session: `https://listen.example.org/#golden-eagle-427/CODE`.

    No web server sees the part after `#`.

    Args:
        page_url: The page's URL.
        session: What `create()` or `take_over()` has returned.
    """
    page = urlsplit(page_url)._replace(fragment="").geturl()
    return f"{page}#{quote(session.id, safe='')}/{quote(session.invite_code, safe='')}"


def read_invite_link(url: str) -> Invitation | None:
    """Return what a link says, or None if it names no session."""
    try:
        link = urlsplit(url)
        session, *rest = (unquote(part, errors="strict") for part in link.fragment.split("/"))
    except ValueError:  # not a URL, or not text in UTF-8
        return None
    if not link.scheme or BROKEN_ESCAPE.search(link.fragment) or not SESSION_ID.fullmatch(session):
        return None
    return Invitation(session, rest[0] or None if rest else None)
