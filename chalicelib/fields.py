"""Readers of the parameters of frames, connect URLs and requests to publish.

All are read into `Fields`, with one reader for each kind of parameter.

Each reader raises:
    InvalidParameters: The parameter is missing or malformed.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from chalicelib import languages, session_ids
from chalicelib.errors import (
    InvalidAction,
    InvalidParameters,
    InvalidSessionId,
    MessageTooLarge,
    UnsupportedLanguage,
)

MAX_MESSAGE_BYTES: Final = 32 * 1024
"""The longest message that a client may send. API Gateway's limit is 128 KB, in frames of 32 KB."""

MAX_PARAMETER_CHARACTERS: Final = 128
"""Longer than every ID, code or language that the service issues."""

MAX_REQUEST_ID_CHARACTERS: Final = 64

MAX_CAPTION_CHARACTERS: Final = 1000

MAX_WHOLE_NUMBER: Final = 2**53 - 1
"""The highest whole number that JavaScript reads exactly."""

_NOT_IN_CAPTIONS: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Unicode's control characters (category Cc) and halves of surrogate pairs (Cs).

`unicodedata` would find them, too, but its import would slow each cold start.
"""

Fields = Mapping[str, object]
"""A client's parameters by name. A name that is given twice has the value `REPEATED`."""

REPEATED: Final = object()


def read_frame(text: str) -> Fields:
    """Read a frame's parameters.

    Raises:
        MessageTooLarge: The frame is longer than MAX_MESSAGE_BYTES.
        InvalidAction: The frame is not a JSON object.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_MESSAGE_BYTES:
        raise MessageTooLarge(f"A message may have {MAX_MESSAGE_BYTES} bytes at most.")
    try:
        fields = json.loads(text, object_pairs_hook=_fields, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidAction("The message is not valid JSON.") from None
    if not isinstance(fields, dict):
        raise InvalidAction("The message is not a JSON object.")
    return fields


def read_query(query: Mapping[str, list[str]]) -> Fields:
    """Read a connect URL's parameters. Each can have several values."""
    return _fields((name, value) for name, values in query.items() for value in values)


def _fields(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in pairs:
        fields[name] = REPEATED if name in fields else value
    return fields


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def read_text(fields: Fields, name: str, *, max_characters: int = MAX_PARAMETER_CHARACTERS) -> str:
    """Read a text that must be there; see `find_text`."""
    text = find_text(fields, name, max_characters=max_characters)
    if text is None:
        raise missing(name)
    return text


def missing(name: str) -> InvalidParameters:
    """Return the error for a missing parameter."""
    return InvalidParameters(f"{name} is missing.", field=name)


def find_text(
    fields: Fields, name: str, *, max_characters: int = MAX_PARAMETER_CHARACTERS
) -> str | None:
    """Read an optional text of printable characters."""
    text = _find_string(fields, name, max_characters=max_characters)
    if text is not None and not text.isprintable():
        raise InvalidParameters(f"{name} contains an unprintable character.", field=name)
    return text


def _find_string(fields: Fields, name: str, *, max_characters: int) -> str | None:
    if name not in fields:
        return None
    value = fields[name]
    if value is REPEATED:
        problem = "may be given only once"
    elif not isinstance(value, str):
        problem = "must be a string"
    elif not value.strip():
        problem = "is empty"
    elif len(value) > max_characters:
        problem = f"may have {max_characters} characters at most"
    else:
        return value
    raise InvalidParameters(f"{name} {problem}.", field=name)


def read_session_id(fields: Fields) -> str:
    """Read the session ID that a command must have.

    Raises:
        InvalidSessionId: The text can't be a session ID.
    """
    return _parse_session_id(read_text(fields, "sessionId"))


def _parse_session_id(text: str) -> str:
    if session_id := session_ids.parse(text):
        return session_id
    raise InvalidSessionId("A session ID looks like golden-eagle-427.", field="sessionId")


def find_session_id(fields: Fields) -> str | None:
    """Read the optional session ID of a command for the caller's own session."""
    text = find_text(fields, "sessionId")
    return None if text is None else _parse_session_id(text)


def read_language(fields: Fields, name: str) -> str:
    """Read a BCP 47 tag as the code of a supported language.

    Raises:
        UnsupportedLanguage: The tag matches no supported language.
    """
    code = languages.find(read_text(fields, name))
    if code is None:
        raise UnsupportedLanguage(field=name, supported=languages.LANGUAGES)
    return code


def read_caption_text(fields: Fields) -> str:
    """Read the words of a caption, which are kept as they are.

    Raises:
        InvalidParameters: The text is missing, empty or too long, or contains a control character
            or half of a surrogate pair, which is no character.
    """
    text = _find_string(fields, "text", max_characters=MAX_CAPTION_CHARACTERS)
    if text is None:
        raise missing("text")
    if _NOT_IN_CAPTIONS.search(text):
        raise InvalidParameters(
            "text contains a control character or an unpaired surrogate.", field="text"
        )
    return text


def find_whole_number(fields: Fields, name: str) -> int | None:
    """Read an optional whole number from 0 to MAX_WHOLE_NUMBER.

    Raises:
        InvalidParameters: It is something else.
    """
    if name not in fields:
        return None
    value = fields[name]
    if value is REPEATED:
        raise InvalidParameters(f"{name} may be given only once.", field=name)
    # JSON has one type of numbers, and Python's bool is an int.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_WHOLE_NUMBER:
        raise InvalidParameters(f"{name} must be a whole number, 0 or more.", field=name)
    return value
