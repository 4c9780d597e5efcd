"""The wire: text to command, outcome and notice to text. Pure.

Source: docs/reference/protocol.md.

Both ways of giving a command end in the same `Fields`, so that one parser serves them.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chalicelib import languages, session_ids
from chalicelib.errors import (
    InvalidAction,
    InvalidParameters,
    InvalidSessionId,
    MessageTooLarge,
    ServiceError,
    UnsupportedLanguage,
)
from chalicelib.models import Admission, Connection, EndReason, QualityTier, Role, Session

MAX_MESSAGE_BYTES: Final = 32 * 1024
"""Of one message, either way. API Gateway itself takes up to 128 KB in frames of 32 KB."""

MAX_PARAMETER_CHARACTERS: Final = 128
"""Longer than any id, code or language that is ever given out."""

MAX_REQUEST_ID_CHARACTERS: Final = 64

Message = dict[str, Any]
"""A message to a client, before `encode` adds its timestamp."""

Fields = Mapping[str, object]
"""What a client gave, by name. A name that was given twice holds `REPEATED`."""

REPEATED: Final = object()


@dataclass(frozen=True, slots=True)
class CreateSession:
    source_language: str
    quality_tier: QualityTier
    admission: Admission = Admission.OPEN


@dataclass(frozen=True, slots=True)
class JoinSession:
    session_id: str
    target_language: str
    invite_code: str | None


@dataclass(frozen=True, slots=True)
class RefreshSpeaker:
    session_id: str


@dataclass(frozen=True, slots=True)
class RefreshListener:
    """`connection_id` is that of the connection to replace; without one it is a join."""

    session_id: str
    target_language: str
    connection_id: str | None
    invite_code: str | None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    pass


@dataclass(frozen=True, slots=True)
class ChangeLanguage:
    target_language: str
    session_id: str | None


@dataclass(frozen=True, slots=True)
class GetSessionStatus:
    session_id: str | None


@dataclass(frozen=True, slots=True)
class PauseSession:
    session_id: str | None


@dataclass(frozen=True, slots=True)
class ResumeSession:
    session_id: str | None


@dataclass(frozen=True, slots=True)
class RotateInviteCode:
    session_id: str | None


@dataclass(frozen=True, slots=True)
class EndSession:
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
)


def read_frame(text: str) -> Fields:
    """Read a frame's fields.

    Raises: MessageTooLarge; InvalidAction for what is no JSON object, since no action can be
    read from it.
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
    """Read a connect URL's fields from all values of each of its parameters."""
    return _fields((name, value) for name, values in query.items() for value in values)


def parse_request_id(fields: Fields) -> str | None:
    """Raises: InvalidParameters."""
    return _optional_text(fields, "requestId", max_characters=MAX_REQUEST_ID_CHARACTERS)


def parse_connect_command(fields: Fields) -> Command | None:
    """Parse the command that a connect URL carries; None if it carries none.

    Raises: InvalidAction, InvalidParameters, InvalidSessionId, UnsupportedLanguage.
    """
    return _parse(fields, _CONNECT_PARSERS) if "action" in fields else None


def find_invitation(fields: Fields) -> tuple[str, str] | None:
    """Find the session ID and the invite code of a connect URL that carries no command.

    Malformed values are no invitation: a connection without a command has no parameters to refuse.
    """
    try:
        return _session_id(_text(fields, "sessionId")), _text(fields, "inviteCode")
    except (InvalidParameters, InvalidSessionId):
        return None


def parse_command(fields: Fields) -> Command:
    """Parse a frame's command.

    Raises: InvalidAction, InvalidParameters, InvalidSessionId, UnsupportedLanguage.
    """
    return _parse(fields, _PARSERS)


def find_action(fields: Fields) -> str | None:
    """Return the action that a command asks for, if there is such an action."""
    action = fields.get("action")
    return action if isinstance(action, str) and action in _PARSERS else None


def _parse(fields: Fields, parsers: Mapping[str, Callable[[Fields], Command]]) -> Command:
    action = fields.get("action")
    if not isinstance(action, str) or action not in parsers:
        raise InvalidAction("The action is missing or unknown.", field="action")
    return parsers[action](fields)


def _parse_create(fields: Fields) -> CreateSession:
    source_language = languages.find_source(_text(fields, "sourceLanguage"))
    if source_language is None:
        raise UnsupportedLanguage(field="sourceLanguage", supported=languages.SOURCE_LANGUAGES)
    tier = _optional_text(fields, "qualityTier") or QualityTier.STANDARD
    if tier not in set(QualityTier):
        raise InvalidParameters("qualityTier is standard or premium.", field="qualityTier")
    admission = _optional_text(fields, "admission") or Admission.OPEN
    if admission not in set(Admission):
        raise InvalidParameters("admission is open or invited.", field="admission")
    return CreateSession(source_language, QualityTier(tier), Admission(admission))


def _parse_join(fields: Fields) -> JoinSession:
    return JoinSession(
        session_id=_session_id(_text(fields, "sessionId")),
        target_language=_target_language(fields),
        invite_code=_optional_text(fields, "inviteCode"),
    )


def _parse_refresh(fields: Fields) -> RefreshSpeaker | RefreshListener:
    session_id = _session_id(_text(fields, "sessionId"))
    role = _text(fields, "role")
    if role == Role.SPEAKER:
        return RefreshSpeaker(session_id)
    if role != Role.LISTENER:
        raise InvalidParameters("role is speaker or listener.", field="role")
    return RefreshListener(
        session_id=session_id,
        target_language=_target_language(fields),
        connection_id=_optional_text(fields, "connectionId"),
        invite_code=_optional_text(fields, "inviteCode"),
    )


def _target_language(fields: Fields) -> str:
    code = languages.find_target(_text(fields, "targetLanguage"))
    if code is None:
        raise UnsupportedLanguage(field="targetLanguage", supported=languages.TARGET_LANGUAGES)
    return code


def _own_session_id(fields: Fields) -> str | None:
    """Read the session that a command for one's own session may name, to be safe."""
    text = _optional_text(fields, "sessionId")
    return None if text is None else _session_id(text)


def _session_id(text: str) -> str:
    if session_id := session_ids.parse(text):
        return session_id
    raise InvalidSessionId("A session id looks like golden-eagle-427.", field="sessionId")


_CONNECT_PARSERS: Final[Mapping[str, Callable[[Fields], Command]]] = {
    "createSession": _parse_create,
    "joinSession": _parse_join,
    "refreshConnection": _parse_refresh,
}

_PARSERS: Final[Mapping[str, Callable[[Fields], Command]]] = {
    **_CONNECT_PARSERS,
    "heartbeat": lambda _: Heartbeat(),
    "changeLanguage": lambda fields: ChangeLanguage(
        _target_language(fields), _own_session_id(fields)
    ),
    "getSessionStatus": lambda fields: GetSessionStatus(_own_session_id(fields)),
    "pauseSession": lambda fields: PauseSession(_own_session_id(fields)),
    "resumeSession": lambda fields: ResumeSession(_own_session_id(fields)),
    "rotateInviteCode": lambda fields: RotateInviteCode(_own_session_id(fields)),
    "endSession": lambda fields: EndSession(_own_session_id(fields)),
}

ACTIONS: Final = frozenset(_PARSERS)
"""The actions that a frame can carry."""


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
        raise InvalidParameters(f"{name} is missing.", field=name)
    return text


def _optional_text(
    fields: Fields, name: str, *, max_characters: int = MAX_PARAMETER_CHARACTERS
) -> str | None:
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
    elif not value.isprintable():
        problem = "holds a character that cannot be printed"
    else:
        return value
    raise InvalidParameters(f"{name} {problem}.", field=name)


def encode(message: Message, timestamp_ms: int, request_id: str | None = None) -> str:
    """Write a message as the text of a frame."""
    stamped = {**message, "timestamp": timestamp_ms}
    if request_id is not None:
        stamped["requestId"] = request_id
    return json.dumps(stamped, separators=(",", ":"))


def error(refusal: ServiceError) -> Message:
    message: Message = {
        "type": "error",
        "code": refusal.code,
        "message": refusal.message,
        "temporary": refusal.temporary,
    }
    if refusal.details:
        message["details"] = refusal.details
    if refusal.retry_after_seconds is not None:
        message["retryAfter"] = refusal.retry_after_seconds
    return message


def session_created(session: Session, max_listeners: int, heartbeat_seconds: int) -> Message:
    return {
        "type": "sessionCreated",
        "sessionId": session.session_id,
        "connectionId": session.speaker_connection_id,
        "sourceLanguage": session.source_language,
        "qualityTier": session.quality_tier,
        "admission": session.admission,
        "maxListeners": max_listeners,
        "inviteCode": session.invite_code,
        "expiresAt": session.expires_at_seconds * 1000,
        "heartbeatSeconds": heartbeat_seconds,
    }


def session_joined(
    session: Session, connection_id: str, target_language: str, heartbeat_seconds: int
) -> Message:
    return {
        "type": "sessionJoined",
        "sessionId": session.session_id,
        "connectionId": connection_id,
        "sourceLanguage": session.source_language,
        "targetLanguage": target_language,
        "qualityTier": session.quality_tier,
        "status": session.shown_status,
        "heartbeatSeconds": heartbeat_seconds,
    }


def speaker_refreshed(session: Session, connection_id: str, heartbeat_seconds: int) -> Message:
    return {
        "type": "connectionRefreshComplete",
        "sessionId": session.session_id,
        "connectionId": connection_id,
        "role": Role.SPEAKER,
        "status": session.shown_status,
        "inviteCode": session.invite_code,
        "heartbeatSeconds": heartbeat_seconds,
    }


def listener_refreshed(
    session: Session, connection_id: str, target_language: str, heartbeat_seconds: int
) -> Message:
    return {
        "type": "connectionRefreshComplete",
        "sessionId": session.session_id,
        "connectionId": connection_id,
        "role": Role.LISTENER,
        "status": session.shown_status,
        "sourceLanguage": session.source_language,
        "targetLanguage": target_language,
        "heartbeatSeconds": heartbeat_seconds,
    }


def refresh_required(connection: Connection, remaining_seconds: int) -> Message:
    message: Message = {
        "type": "connectionRefreshRequired",
        "sessionId": connection.session_id,
        "connectionId": connection.connection_id,
        "role": connection.role,
        "remainingSeconds": remaining_seconds,
    }
    if connection.target_language is not None:
        message["targetLanguage"] = connection.target_language
    return message


def connection_warning(remaining_seconds: int) -> Message:
    return {"type": "connectionWarning", "remainingSeconds": remaining_seconds}


def heartbeat_ack(connected_seconds: int, heartbeat_seconds: int) -> Message:
    return {
        "type": "heartbeatAck",
        "connectedSeconds": connected_seconds,
        "heartbeatSeconds": heartbeat_seconds,
    }


def in_session(session: Session) -> Message:
    """Write what a speaker's `heartbeatAck` says of the session."""
    return {
        "sessionId": session.session_id,
        "status": session.shown_status,
        "listenerCount": session.listener_count,
        "languages": session.languages,
    }


def language_changed(target_language: str) -> Message:
    return {"type": "languageChanged", "targetLanguage": target_language}


def session_status(session: Session) -> Message:
    return {
        "type": "sessionStatus",
        "sessionId": session.session_id,
        "status": session.shown_status,
        "listenerCount": session.listener_count,
        "languages": session.languages,
        "createdAt": session.created_at_ms,
        "expiresAt": session.expires_at_seconds * 1000,
    }


def session_paused(session_id: str) -> Message:
    return {"type": "sessionPaused", "sessionId": session_id}


def session_resumed(session_id: str) -> Message:
    return {"type": "sessionResumed", "sessionId": session_id}


def invite_code_rotated(session_id: str, invite_code: str) -> Message:
    return {"type": "inviteCodeRotated", "sessionId": session_id, "inviteCode": invite_code}


def session_interrupted(session_id: str, grace_seconds: float) -> Message:
    seconds = int(grace_seconds) if grace_seconds == int(grace_seconds) else grace_seconds
    return {"type": "sessionInterrupted", "sessionId": session_id, "graceSeconds": seconds}


def session_ended(session_id: str, reason: EndReason) -> Message:
    return {"type": "sessionEnded", "sessionId": session_id, "reason": reason}
