"""Captions as the service sends them, and what a listener gets of them."""

from collections.abc import Iterable
from typing import Any

from broadcast_sessions_client import Caption, Event, Gap
from client_support.members import SESSION

STARTED_AT = 1795708802000


def message(seq: int, language: str = "es") -> dict[str, Any]:
    return {
        "type": "caption",
        "sessionId": SESSION,
        "language": language,
        "seq": seq,
        "captionId": f"c{seq}",
        "text": f"Frase {seq}",
        "startedAt": STARTED_AT + seq,
    }


def caption(seq: int, language: str = "es") -> Caption:
    return Caption(SESSION, language, seq, f"c{seq}", f"Frase {seq}", STARTED_AT + seq)


def answer(
    seqs: Iterable[int], last_seq: int, missed: int = 0, *, language: str = "es", more: bool = False
) -> dict[str, Any]:
    return {
        "type": "captions",
        "targetLanguage": language,
        "items": [message(seq, language) for seq in seqs],
        "lastSeq": last_seq,
        "missed": missed,
        "hasMore": more,
    }


def covered(events: Iterable[Event]) -> list[int]:
    """Return the numbers of the captions and gaps, in the order of the events."""
    numbers: list[int] = []
    for event in events:
        if isinstance(event, Caption):
            numbers.append(event.seq)
        elif isinstance(event, Gap):
            numbers += range(event.after_seq + 1, event.after_seq + 1 + event.count)
    return numbers
