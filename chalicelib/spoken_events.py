"""The pipeline's event `captionSpoken`, checked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chalicelib.errors import InvalidParameters
from chalicelib.fields import MAX_WHOLE_NUMBER, read_caption_text
from chalicelib.languages import LANGUAGES

TYPE: Final = "captionSpoken"
"""The type of the event."""

VERSION: Final = 1
"""The version of the pipeline's events that this module reads."""

_ID_CHARACTERS: Final = 256


class InvalidEvent(Exception):
    """An event isn't valid. The text is the name of the member at fault, never its value."""


@dataclass(frozen=True, slots=True)
class SpokenCaption:
    """A caption in the speaker's words.

    Attributes:
        session_id: The session's ID.
        language: The code of the speaker's language.
        caption_id: The caption's ID, which its translations share.
        text: The words.
        started_at_ms: When the speaker began the phrase.
        languages: The codes of the languages to translate into, each once, without the speaker's.
        seq: The caption's number, which is the order of its translations; None if they have none.
    """

    session_id: str
    language: str
    caption_id: str
    text: str
    started_at_ms: int
    languages: tuple[str, ...]
    seq: int | None


def parse(event: Any) -> SpokenCaption | None:
    """Return the spoken caption of an event, or None for an event of another type.

    Raises:
        InvalidEvent: A member is missing or invalid.
    """
    if not isinstance(event, dict):
        raise InvalidEvent("event")
    if event.get("type") != TYPE:
        return None
    _take(event, "version", lambda value: value == VERSION)
    source = _take(event, "language", _is_language)
    languages = _take(event, "languages", _is_languages)
    return SpokenCaption(
        session_id=_take(event, "sessionId", _is_id),
        language=source,
        caption_id=_take(event, "captionId", _is_id),
        text=_take(event, "text", _is_text),
        started_at_ms=_take(event, "startedAt", _is_whole),
        languages=tuple(each for each in dict.fromkeys(languages) if each != source),
        seq=_take(event, "seq", lambda value: value is None or (_is_whole(value) and value > 0)),
    )


def _take(event: Mapping[str, Any], name: str, is_valid: Callable[[Any], bool]) -> Any:
    value = event.get(name)
    if not is_valid(value):
        raise InvalidEvent(name)
    return value


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _ID_CHARACTERS and value.isprintable()


def _is_text(value: Any) -> bool:
    try:
        return bool(read_caption_text({"text": value}))
    except InvalidParameters:
        return False


def _is_whole(value: Any) -> bool:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return is_number and 0 <= value <= MAX_WHOLE_NUMBER


def _is_language(value: Any) -> bool:
    return isinstance(value, str) and value in LANGUAGES


def _is_languages(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_language, value))
