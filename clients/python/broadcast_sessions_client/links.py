"""Links that invite listeners to a session."""

from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit


@dataclass(frozen=True)
class Invitation:
    """What a link says.

    Attributes:
        session: The session's ID.
        invite: The invite code, or None if the link has none.
    """

    session: str
    invite: str | None


def invite_link(page_url: str, session: str, invite_code: str) -> str:
    """Return the link of a page to a session: `https://listen.example.org/#golden-eagle-427/CODE`.

    No web server sees the part after `#`.
    """
    page = urlsplit(page_url)._replace(fragment="").geturl()
    return f"{page}#{quote(session, safe='')}/{quote(invite_code, safe='')}"


def read_invite_link(url: str) -> Invitation | None:
    """Return what a link says, or None if it names no session."""
    session, _, invite = urlsplit(url).fragment.partition("/")
    return Invitation(unquote(session), unquote(invite) or None) if session else None
