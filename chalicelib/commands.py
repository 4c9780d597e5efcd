"""The parser of the commands in docs/reference/protocol.md.

`fields.py` reads frames and URLs into `Fields`, which one parser converts to a command.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from chalicelib.errors import InvalidAction, InvalidParameters, InvalidSessionId
from chalicelib.fields import (
    MAX_REQUEST_ID_CHARACTERS,
    Fields,
    find_session_id,
    find_text,
    find_whole_number,
    missing,
    read_caption_text,
    read_language,
    read_session_id,
    read_text,
)
from chalicelib.models import Admission, QualityTier, Role


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
        caption_id: The client's ID for the phrase, or None. With it, the client can repeat the
            command.
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


def parse_request_id(fields: Fields) -> str | None:
    """Return the ID with which a client matches an answer to its command.

    Raises:
        InvalidParameters: The ID is malformed.
    """
    return find_text(fields, "requestId", max_characters=MAX_REQUEST_ID_CHARACTERS)


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
        return read_session_id(fields), read_text(fields, "inviteCode")
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
    source_language = read_language(fields, "sourceLanguage")
    tier = find_text(fields, "qualityTier") or QualityTier.STANDARD
    if tier not in set(QualityTier):
        raise InvalidParameters("qualityTier must be standard or premium.", field="qualityTier")
    admission = find_text(fields, "admission") or Admission.OPEN
    if admission not in set(Admission):
        raise InvalidParameters("admission must be open or invited.", field="admission")
    return CreateSession(source_language, QualityTier(tier), Admission(admission))


def _parse_join(fields: Fields) -> JoinSession:
    return JoinSession(
        session_id=read_session_id(fields),
        target_language=read_language(fields, "targetLanguage"),
        invite_code=find_text(fields, "inviteCode"),
    )


def _parse_refresh(fields: Fields) -> RefreshSpeaker | RefreshListener:
    session_id = read_session_id(fields)
    role = read_text(fields, "role")
    if role == Role.SPEAKER:
        return RefreshSpeaker(session_id)
    if role != Role.LISTENER:
        raise InvalidParameters("role must be speaker or listener.", field="role")
    return RefreshListener(
        session_id=session_id,
        target_language=read_language(fields, "targetLanguage"),
        connection_id=find_text(fields, "connectionId"),
        invite_code=find_text(fields, "inviteCode"),
    )


def _parse_send_caption(fields: Fields) -> SendCaption:
    return SendCaption(
        text=read_caption_text(fields),
        caption_id=find_text(fields, "captionId"),
        session_id=find_session_id(fields),
    )


def _parse_get_captions(fields: Fields) -> GetCaptions:
    after_seq = find_whole_number(fields, "afterSeq")
    if after_seq is None:
        raise missing("afterSeq")
    return GetCaptions(after_seq, find_session_id(fields))


_CONNECT_PARSERS: Final[Mapping[str, Callable[[Fields], Command]]] = {
    "createSession": _parse_create,
    "joinSession": _parse_join,
    "refreshConnection": _parse_refresh,
}

_PARSERS: Final[Mapping[str, Callable[[Fields], Command]]] = {
    **_CONNECT_PARSERS,
    "heartbeat": lambda _: Heartbeat(),
    "changeLanguage": lambda fields: ChangeLanguage(
        read_language(fields, "targetLanguage"), find_session_id(fields)
    ),
    "getSessionStatus": lambda fields: GetSessionStatus(find_session_id(fields)),
    "pauseSession": lambda fields: PauseSession(find_session_id(fields)),
    "resumeSession": lambda fields: ResumeSession(find_session_id(fields)),
    "rotateInviteCode": lambda fields: RotateInviteCode(find_session_id(fields)),
    "endSession": lambda fields: EndSession(find_session_id(fields)),
    "sendCaption": _parse_send_caption,
    "getCaptions": _parse_get_captions,
}


ACTIONS: Final = frozenset(_PARSERS)
"""The actions that a frame can carry."""

CONNECT_ACTIONS: Final = tuple(_CONNECT_PARSERS)
"""The actions that a connect URL can carry."""
