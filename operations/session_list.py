"""Describes the open sessions of a stage, as objects or as a table.

A description contains no ID of a connection or user, and no invite code.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from chalicelib import messages
from chalicelib.models import Session
from chalicelib.store.sessions import SessionStore

COLUMNS: Final = ("SESSION", "STATUS", "LISTENERS", "LANGUAGES", "AGE", "UNTIL", "SOURCE", "TIER")

Description = dict[str, Any]


def list_sessions(store: SessionStore, now_seconds: float) -> list[Description]:
    """Describe all open sessions, those with the most listeners first."""
    sessions = (session for session in store.list_all() if session.is_open(now_seconds))
    found = (describe(session, now_seconds) for session in sessions)
    return sorted(found, key=lambda it: (-it["listenerCount"], it["sessionId"]))


def describe(session: Session, now_seconds: float) -> Description:
    """Describe a session in the fields and units of the protocol's `sessionStatus`."""
    status = messages.session_status(session)
    return {
        **{field: value for field, value in status.items() if field != "type"},
        "ageSeconds": max(0, int(now_seconds - session.created_at_ms / 1000)),
        "sourceLanguage": session.source_language,
        "qualityTier": session.quality_tier,
    }


def table(found: Sequence[Description]) -> str:
    """Format descriptions as a table with aligned columns."""
    rows = [COLUMNS, *(_row(description) for description in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def _row(found: Description) -> tuple[str, ...]:
    languages = sorted(found["languages"].items(), key=lambda item: (-item[1], item[0]))
    hours, seconds = divmod(found["ageSeconds"], 3600)
    until = datetime.fromtimestamp(found["expiresAt"] / 1000, UTC)
    return (
        found["sessionId"],
        found["status"],
        str(found["listenerCount"]),
        ", ".join(f"{language} {count}" for language, count in languages) or "-",
        f"{hours} h {seconds // 60:02} min",
        f"{until:%Y-%m-%d %H:%M} UTC",
        found["sourceLanguage"],
        found["qualityTier"],
    )
