"""Comparison of a session's stored listener counts with its participants."""

from collections.abc import Mapping
from typing import Final

from chalicelib.models import IN_FLIGHT_SECONDS, Session

TOTAL: Final = "*"
"""The key of all listeners in a mapping of drifts; the other keys are target languages."""


def count_drifts(session: Session, listed: Mapping[str, int]) -> dict[str, int]:
    """Return how much each wrong count of a session is too high (negative if it is too low).

    Args:
        session: The session.
        listed: The number of its listener participants per target language.
    """
    stored = {TOTAL: session.listener_count, **session.language_counts}
    actual = {TOTAL: sum(listed.values()), **listed}
    drifts = {key: stored.get(key, 0) - actual.get(key, 0) for key in stored | actual}
    return {key: drift for key, drift in drifts.items() if drift}


def drifts_to_repair(
    session: Session, drifts: Mapping[str, int], now_seconds: float
) -> dict[str, int]:
    """Return how much each count of a session is certainly too high (negative if it is too low).

    A drift is certain if two sweeps find it, if no count changed and no listener refreshed in
    between, and if the time between the sweeps is longer than any event takes. These conditions are
    necessary because a count is also wrong for a moment in normal operation: a listener takes its
    seat before its item shows it as present, leaves before its seat is released, and changes its
    language before the counts change.
    """
    note = session.count_note
    if note is None or note.changes != session.changes:
        return {}
    if now_seconds * 1000 - note.seen_at_ms < IN_FLIGHT_SECONDS * 1000:
        return {}
    return {
        key: min(drift, note.drifts[key], key=abs)
        for key, drift in drifts.items()
        if drift * note.drifts.get(key, 0) > 0
    }
