"""The reading of captions, whose fields can contain anything."""

import base64
from collections.abc import Iterator
from typing import Any, NamedTuple

from broadcast_sessions_client import messages
from broadcast_sessions_client.events import Audio, Caption
from broadcast_sessions_client.messages import Message


class Answer(NamedTuple):
    """The answer to `getCaptions`.

    Attributes:
        captions: The captions that the service still has.
        last_seq: The number up to which other captions are missed.
    """

    captions: list[Caption]
    last_seq: int


def read_caption(message: Message) -> Caption | None:
    """Return the caption in a message, or None if a required field is missing."""
    seq = messages.whole_number(message, "seq", least=1)
    language = messages.text(message, "language")
    caption_id = messages.text(message, "captionId")
    text = messages.text(message, "text")
    started_at = messages.whole_number(message, "startedAt")
    if seq is None or started_at is None or not (language and caption_id and text):
        return None
    return Caption(
        session_id=messages.text(message, "sessionId"),
        language=language,
        seq=seq,
        caption_id=caption_id,
        text=text,
        started_at=started_at,
        duration_ms=messages.whole_number(message, "durationMs"),
        audio=read_audio(message),
    )


def read_audio(message: Message) -> Audio | None:
    """Return a caption's audio, or None if there is none that can be played."""
    value = message.get("audio")
    audio = value if isinstance(value, dict) else {}
    if url := messages.text(audio, "url"):
        return Audio(url=url)
    try:
        data = base64.b64decode(messages.text(audio, "data"), validate=True)
    except ValueError:
        return None
    content_type = messages.text(audio, "contentType")
    return Audio(data=data, content_type=content_type) if data and content_type else None


def read_answer(message: Message, language: str) -> Answer | None:
    """Return an answer, or None if it has no items or last number, or is in another language."""
    items = message.get("items")
    last_seq = messages.whole_number(message, "lastSeq")
    if not isinstance(items, list) or last_seq is None:
        return None
    if messages.text(message, "targetLanguage") != language:
        return None
    return Answer(list(_read_items(items)), last_seq)


def _read_items(items: list[Any]) -> Iterator[Caption]:
    for item in items:
        if isinstance(item, dict) and (caption := read_caption(item)):
            yield caption
