"""The parser of the commands in docs/reference/protocol.md.

Frames and URLs are both read into `Fields`, which one parser converts to a command.
"""

import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from chalicelib import languages, session_ids
from chalicelib.errors import (
    InvalidAction,
    InvalidParameters,
    InvalidSessionId,
    MessageTooLarge,
    UnsupportedLanguage,
)
from chalicelib.models import Admission, QualityTier, Role

MAX_MESSAGE_BYTES: Final = 32 * 1024
"""The longest message that a client may send. API Gateway's limit is 128 KB, in frames of 32 KB."""

MAX_PARAMETER_CHARACTERS: Final = 128
"""Longer than every ID, code or language that the service issues."""

MAX_REQUEST_ID_CHARACTERS: Final = 64

MAX_CAPTION_CHARACTERS: Final = 1000

MAX_WHOLE_NUMBER: Final = 2**53 - 1
"""The highest whole number that JavaScript reads exactly."""

_NOT_IN_CAPTIONS: Final = frozenset({"Cc", "Cs"})
"""Unicode's categories of control characters and of halves of surrogate pairs."""

Fields = Mapping[str, object]
"""A client's parameters by name. A name that is given twice has the value `REPEATED`."""

REPEATED: Final = object()


@dataclass(frozen=True, slots=True)
class CreateSession:
    """Create a session, whose speaker is the caller."""

    source_language: str
    quality_tier: QualityTier
    admission: Admission = Admission.OPEN


@dataclass(frozen=True, slots=True)
class JoinSession:
    """Join a session as a listener."""

    session_id: str
    target_language: str
    invite_code: str | None


@dataclass(frozen=True, slots=True)
class RefreshSpeaker:
    """Make the caller's connection the speaker of its session."""

    session_id: str


@dataclass(frozen=True, slots=True)
class RefreshListener:
    """Move the seat of another connection to the caller's, or let the caller join.

    Attributes:
        session_id: The session's ID.
        target_language: The listener's target language.
        connection_id: The connection to replace; None makes it a join.
        invite_code: The invite code for a join.
    """

    session_id: str
    target_language: str
    connection_id: str | None
    invite_code: str | None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Show that a participant is present."""


@dataclass(frozen=True, slots=True)
class ChangeLanguage:
    """Change a listener's target language."""

    target_language: str
    session_id: str | None


@dataclass(frozen=True, slots=True)
class GetSessionStatus:
    """Get the status of the speaker's session."""

    session_id: str | None


@dataclass(frozen=True, slots=True)
class PauseSession:
    """Pause the speaker's session."""

    session_id: str | None


@dataclass(frozen=True, slots=True)
class ResumeSession:
    """Resume the speaker's session."""

    session_id: str | None


@dataclass(frozen=True, slots=True)
class RotateInviteCode:
    """Replace the invite code of the speaker's session."""

    session_id: str | None


@dataclass(frozen=True, slots=True)
class EndSession:
    """End the speaker's session."""

    session_id: str | None


@dataclass(frozen=True, slots=True)
class SendCaption:
    """Publish a phrase in the speaker's own words.

    Attributes:
        text: The phrase.
        caption_id: The client's ID for it, with which the command can be repeated, or None.
        session_id: The session's ID, or None.
    """

    text: str
    caption_id: str | None
    session_id: str | None


@dataclass(frozen=True, slots=True)
class GetCaptions:
    """Get the captions that a listener has missed.

    Attributes:
        after_seq: The number of the last caption that the listener has.
        session_id: The session's ID, or None.
    """

    after_seq: int
    session_id: str | None


Command = (
    CreateSession
    | JoinSession
    | RefreshSpeaker
    | RefreshListener
    | Heartbeat
    | ChangeLanguage
    | GetSessionStatus
    | PauseSession
    | ResumeSession
    | RotateInviteCode
    | EndSession
    | SendCaption
    | GetCaptions
)


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


def parse_request_id(fields: Fields) -> str | None:
    """Return the ID with which a client matches an answer to its command.

    Raises:
        InvalidParameters: The ID is malformed.
    """
    return _optional_text(fields, "requestId", max_characters=MAX_REQUEST_ID_CHARACTERS)


def parse_connect_command(fields: Fields) -> Command | None:
    """Parse a connect URL's command; None if it has none.

    Raises:
        InvalidAction: The action is missing or unknown.
        InvalidParameters: A parameter is missing or malformed.
        InvalidSessionId: The session ID is malformed.
        UnsupportedLanguage: A language is not supported.
    """
    return _parse(fields, _CONNECT_PARSERS) if "action" in fields else None


def find_invitation(fields: Fields) -> tuple[str, str] | None:
    """Find the session ID and the invite code of a connect URL without a command.

    Malformed values count as missing, because they don't refuse the connection.
    """
    try:
        return _session_id(_text(fields, "sessionId")), _text(fields, "inviteCode")
    except (InvalidParameters, InvalidSessionId):
        return None


def parse_command(fields: Fields) -> Command:
    """Parse a frame's command.

    Raises:
        InvalidAction: The action is missing or unknown.
        InvalidParameters: A parameter is missing or malformed.
        InvalidSessionId: The session ID is malformed.
        UnsupportedLanguage: A language is not supported.
    """
    return _parse(fields, _PARSERS)


def find_action(fields: Fields) -> str | None:
    """Return a command's action, or None if it is missing or unknown."""
    action = fields.get("action")
    return action if isinstance(action, str) and action in ACTIONS else None


def _parse(fields: Fields, parsers: Mapping[str, Callable[[Fields], Command]]) -> Command:
    action = fields.get("action")
    if not isinstance(action, str) or action not in parsers:
        raise InvalidAction("The action is missing or unknown.", field="action")
    return parsers[action](fields)


def _parse_create(fields: Fields) -> CreateSession:
    source_language = _language(fields, "sourceLanguage")
    tier = _optional_text(fields, "qualityTier") or QualityTier.STANDARD
    if tier not in set(QualityTier):
        raise InvalidParameters("qualityTier must be standard or premium.", field="qualityTier")
    admission = _optional_text(fields, "admission") or Admission.OPEN
    if admission not in set(Admission):
        raise InvalidParameters("admission must be open or invited.", field="admission")
    return CreateSession(source_language, QualityTier(tier), Admission(admission))


def _parse_join(fields: Fields) -> JoinSession:
    return JoinSession(
        session_id=_session_id(_text(fields, "sessionId")),
        target_language=_language(fields, "targetLanguage"),
        invite_code=_optional_text(fields, "inviteCode"),
    )


def _parse_refresh(fields: Fields) -> RefreshSpeaker | RefreshListener:
    session_id = _session_id(_text(fields, "sessionId"))
    role = _text(fields, "role")
    if role == Role.SPEAKER:
        return RefreshSpeaker(session_id)
    if role != Role.LISTENER:
        raise InvalidParameters("role must be speaker or listener.", field="role")
    return RefreshListener(
        session_id=session_id,
        target_language=_language(fields, "targetLanguage"),
        connection_id=_optional_text(fields, "connectionId"),
        invite_code=_optional_text(fields, "inviteCode"),
    )


def _language(fields: Fields, name: str) -> str:
    code = languages.find(_text(fields, name))
    if code is None:
        raise UnsupportedLanguage(field=name, supported=languages.LANGUAGES)
    return code


def _parse_send_caption(fields: Fields) -> SendCaption:
    return SendCaption(
        text=caption_text(fields),
        caption_id=_optional_text(fields, "captionId"),
        session_id=_own_session_id(fields),
    )


def caption_text(fields: Fields) -> str:
    """Read the words of a caption, which are kept as they are.

    Raises:
        InvalidParameters: The text is missing, empty or too long, or contains a control character
            or half of a surrogate pair, which is no character.
    """
    text = _optional_string(fields, "text", max_characters=MAX_CAPTION_CHARACTERS)
    if text is None:
        raise _missing("text")
    if any(unicodedata.category(character) in _NOT_IN_CAPTIONS for character in text):
        raise InvalidParameters(
            "text contains a control character or an unpaired surrogate.", field="text"
        )
    return text


def _parse_get_captions(fields: Fields) -> GetCaptions:
    after_seq = whole_number(fields, "afterSeq")
    if after_seq is None:
        raise _missing("afterSeq")
    return GetCaptions(after_seq, _own_session_id(fields))


def whole_number(fields: Fields, name: str) -> int | None:
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


def _own_session_id(fields: Fields) -> str | None:
    """Read the optional session ID of a command for the caller's own session."""
    text = _optional_text(fields, "sessionId")
    return None if text is None else _session_id(text)


def _session_id(text: str) -> str:
    if session_id := session_ids.parse(text):
        return session_id
    raise InvalidSessionId("A session ID looks like golden-eagle-427.", field="sessionId")


_CONNECT_PARSERS: Final[Mapping[str, Callable[[Fields], Command]]] = {
    "createSession": _parse_create,
    "joinSession": _parse_join,
    "refreshConnection": _parse_refresh,
}

_PARSERS: Final[Mapping[str, Callable[[Fields], Command]]] = {
    **_CONNECT_PARSERS,
    "heartbeat": lambda _: Heartbeat(),
    "changeLanguage": lambda fields: ChangeLanguage(
        _language(fields, "targetLanguage"), _own_session_id(fields)
    ),
    "getSessionStatus": lambda fields: GetSessionStatus(_own_session_id(fields)),
    "pauseSession": lambda fields: PauseSession(_own_session_id(fields)),
    "resumeSession": lambda fields: ResumeSession(_own_session_id(fields)),
    "rotateInviteCode": lambda fields: RotateInviteCode(_own_session_id(fields)),
    "endSession": lambda fields: EndSession(_own_session_id(fields)),
    "sendCaption": _parse_send_caption,
    "getCaptions": _parse_get_captions,
}


ACTIONS: Final = frozenset(_PARSERS)
"""The actions that a frame can carry."""

CONNECT_ACTIONS: Final = tuple(_CONNECT_PARSERS)
"""The actions that a connect URL can carry."""


def _fields(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in pairs:
        fields[name] = REPEATED if name in fields else value
    return fields


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _text(fields: Fields, name: str, *, max_characters: int = MAX_PARAMETER_CHARACTERS) -> str:
    text = _optional_text(fields, name, max_characters=max_characters)
    if text is None:
        raise _missing(name)
    return text


def _missing(name: str) -> InvalidParameters:
    return InvalidParameters(f"{name} is missing.", field=name)


def _optional_text(
    fields: Fields, name: str, *, max_characters: int = MAX_PARAMETER_CHARACTERS
) -> str | None:
    text = _optional_string(fields, name, max_characters=max_characters)
    if text is not None and not text.isprintable():
        raise InvalidParameters(f"{name} contains an unprintable character.", field=name)
    return text


def _optional_string(fields: Fields, name: str, *, max_characters: int) -> str | None:
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
