"""The rules that decide whether a listener gets a seat in a session."""

from typing import Final, NamedTuple

from chalicelib.errors import (
    Forbidden,
    RateLimitExceeded,
    ServiceError,
    SessionFull,
    SessionNotFound,
)
from chalicelib.models import Admission, Session

INVITED_WINDOW_SECONDS: Final = 60
"""Length of the window in which a session's joins with its invite code are limited."""


class Invitation(NamedTuple):
    """An invite code that a listener joins with, and the limit that applies to it.

    Attributes:
        code: The invite code, which may be wrong.
        window: The present window: Unix time divided by INVITED_WINDOW_SECONDS.
        max_joins: The number of joins with the code that a session allows per window.
    """

    code: str
    window: int
    max_joins: int


def refusal_to_join(
    session: Session | None,
    invitation: Invitation | None,
    max_listeners: int,
    now_seconds: float,
    *,
    is_return: bool = False,
) -> ServiceError | None:
    """Return why a listener can't join, or None if it can.

    Args:
        session: The session at the time of the join; None if it doesn't exist.
        invitation: The invitation, if the listener has given an invite code.
        max_listeners: The number of a session's seats.
        now_seconds: Unix time.
        is_return: Whether the listener had a seat before and returns.
    """
    if session is None or not session.is_open(now_seconds):
        return SessionNotFound()
    if invitation is not None:
        if not session.has_invite_code(invitation.code):
            return Forbidden("The invite code is not valid for this session.", field="inviteCode")
        window = max(session.invited_window, invitation.window)
        if window == session.invited_window and session.invited_joins >= invitation.max_joins:
            return RateLimitExceeded((window + 1) * INVITED_WINDOW_SECONDS - now_seconds)
    elif session.admission is Admission.INVITED and not is_return:
        return Forbidden("Joining this session requires its invite code.", field="inviteCode")
    if session.listener_count >= max_listeners:
        return SessionFull("The session is full.")
    return None
