"""Messages to clients, as docs/reference/protocol.md defines them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib import languages
from chalicelib.errors import ServiceError, SessionNotFound, UnsupportedLanguage
from chalicelib.models import Audio, Caption, EndReason, Participant, Role, Session

if TYPE_CHECKING:
    from chalicelib import protocol

Message = Mapping[str, Any]
"""A message before `encode` adds its timestamp. `protocol.py` has the form of each."""


class Reply(NamedTuple):
    """The result of a command.

    Attributes:
        message: The answer to the command.
        follow_ups: Notices to the same connection that follow the answer.
    """

    message: Message
    follow_ups: tuple[Message, ...] = ()


def encode(message: Message, timestamp_ms: int) -> str:
    """Encode a message as the text of a frame."""
    return json.dumps({**message, "timestamp": timestamp_ms}, separators=(",", ":"))


def error(refusal: ServiceError) -> protocol.ErrorMessage:
    """Return the message for a refusal."""
    message: protocol.ErrorMessage = {
        "type": "error",
        "code": refusal.code,
        "message": refusal.message,
        "temporary": refusal.temporary,
    }
    if details := _error_details(refusal):
        message["details"] = details
    if refusal.retry_after_seconds is not None:
        message["retryAfter"] = refusal.retry_after_seconds
    return message


def _error_details(refusal: ServiceError) -> protocol.ErrorDetails:
    details: protocol.ErrorDetails = {}
    if refusal.field is not None:
        details["field"] = refusal.field
    if isinstance(refusal, UnsupportedLanguage):
        details["supported"] = sorted(refusal.supported)
    return details


def session_created(
    session: Session, max_listeners: int, heartbeat_seconds: int
) -> protocol.SessionCreated:
    """Return the answer to `createSession`."""
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
) -> protocol.SessionJoined:
    """Return the answer to `joinSession`."""
    return {
        "type": "sessionJoined",
        "sessionId": session.session_id,
        "connectionId": connection_id,
        "sourceLanguage": session.source_language,
        "targetLanguage": target_language,
        "qualityTier": session.quality_tier,
        "status": session.shown_status,
        **_captions_in(session, target_language),
        "heartbeatSeconds": heartbeat_seconds,
    }


def _captions_in(session: Session, language: str) -> protocol.CaptionsInLanguage:
    return {"lastSeq": session.last_seq(language), "hasVoice": languages.has_voice(language)}


def speaker_refreshed(
    session: Session, connection_id: str, heartbeat_seconds: int
) -> protocol.SpeakerRefreshed:
    """Return the answer to a speaker's `refreshConnection`."""
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
) -> protocol.ListenerRefreshed:
    """Return the answer to a listener's `refreshConnection`."""
    return {
        "type": "connectionRefreshComplete",
        "sessionId": session.session_id,
        "connectionId": connection_id,
        "role": Role.LISTENER,
        "status": session.shown_status,
        "sourceLanguage": session.source_language,
        "targetLanguage": target_language,
        **_captions_in(session, target_language),
        "heartbeatSeconds": heartbeat_seconds,
    }


def refresh_required(
    participant: Participant, remaining_seconds: int
) -> protocol.ConnectionRefreshRequired:
    """Return the notice that asks a connection to refresh."""
    message: protocol.ConnectionRefreshRequired = {
        "type": "connectionRefreshRequired",
        "sessionId": participant.session_id,
        "connectionId": participant.connection_id,
        "role": participant.role,
        "remainingSeconds": remaining_seconds,
    }
    if participant.target_language is not None:
        message["targetLanguage"] = participant.target_language
    return message


def connection_warning(remaining_seconds: int) -> protocol.ConnectionWarning:
    """Return the notice that API Gateway will soon close a connection."""
    return {"type": "connectionWarning", "remainingSeconds": remaining_seconds}


def heartbeat_ack(connected_seconds: int, heartbeat_seconds: int) -> protocol.HeartbeatAck:
    """Return the answer to the heartbeat of a connection that isn't in a session."""
    return {
        "type": "heartbeatAck",
        "connectedSeconds": connected_seconds,
        "heartbeatSeconds": heartbeat_seconds,
    }


def listeners_heartbeat_ack(
    ack: protocol.HeartbeatAck, session_id: str
) -> protocol.ListenersHeartbeatAck:
    """Return the answer to a listener's `heartbeat`."""
    return {**ack, "sessionId": session_id}


def speakers_heartbeat_ack(
    ack: protocol.HeartbeatAck, session: Session
) -> protocol.SpeakersHeartbeatAck:
    """Return the answer to a speaker's `heartbeat`."""
    return {**ack, **_audience(session)}


def _audience(session: Session) -> protocol.Audience:
    return {
        "sessionId": session.session_id,
        "status": session.shown_status,
        "listenerCount": session.listener_count,
        "languages": session.languages,
    }


def language_changed(session: Session, target_language: str) -> protocol.LanguageChanged:
    """Return the answer to `changeLanguage`."""
    return {
        "type": "languageChanged",
        "targetLanguage": target_language,
        **_captions_in(session, target_language),
    }


def session_status(session: Session) -> protocol.SessionStatusAnswer:
    """Return the answer to `getSessionStatus`, which is also the notice to the speaker."""
    return {
        "type": "sessionStatus",
        **_audience(session),
        "createdAt": session.created_at_ms,
        "expiresAt": session.expires_at_seconds * 1000,
    }


def session_paused(session_id: str) -> protocol.SessionPaused:
    """Return the answer to `pauseSession`, which is also the notice to listeners."""
    return {"type": "sessionPaused", "sessionId": session_id}


def session_resumed(session_id: str) -> protocol.SessionResumed:
    """Return the answer to `resumeSession`, which is also the notice to listeners."""
    return {"type": "sessionResumed", "sessionId": session_id}


def invite_code_rotated(session_id: str, invite_code: str) -> protocol.InviteCodeRotated:
    """Return the answer to `rotateInviteCode`."""
    return {"type": "inviteCodeRotated", "sessionId": session_id, "inviteCode": invite_code}


def session_interrupted(session_id: str, grace_seconds: float) -> protocol.SessionInterrupted:
    """Return the notice that the speaker's connection is lost or closed."""
    seconds = int(grace_seconds) if grace_seconds == int(grace_seconds) else grace_seconds
    return {"type": "sessionInterrupted", "sessionId": session_id, "graceSeconds": seconds}


def session_ended(session_id: str, reason: EndReason) -> protocol.SessionEnded:
    """Return the answer to `endSession`, which is also the notice to participants."""
    return {"type": "sessionEnded", "sessionId": session_id, "reason": reason}


def caption_accepted(session_id: str, caption_id: str, seq: int) -> protocol.CaptionAccepted:
    """Return the answer to `sendCaption`."""
    return {
        "type": "captionAccepted",
        "sessionId": session_id,
        "captionId": caption_id,
        "seq": seq,
    }


def caption(session_id: str, language: str, seq: int, caption: Caption) -> protocol.Caption:
    """Return a caption as its listeners receive it."""
    message: protocol.Caption = {
        "type": "caption",
        "sessionId": session_id,
        "language": language,
        "seq": seq,
        "captionId": caption.caption_id,
        "text": caption.text,
        "startedAt": caption.started_at_ms,
    }
    if caption.duration_ms is not None:
        message["durationMs"] = caption.duration_ms
    if caption.audio is not None:
        message["audio"] = _audio(caption.audio)
    return message


def _audio(audio: Audio) -> protocol.AudioLink | protocol.AudioClip:
    if audio.url is not None:
        return {"url": audio.url}
    return {"data": audio.data or "", "contentType": audio.content_type or ""}


def captions(
    target_language: str,
    items: Sequence[protocol.Caption],
    last_seq: int,
    missed: int,
    *,
    has_more: bool,
) -> protocol.CaptionsAnswer:
    """Return the answer to `getCaptions`."""
    return {
        "type": "captions",
        "targetLanguage": target_language,
        "items": list(items),
        "lastSeq": last_seq,
        "missed": missed,
        "hasMore": has_more,
    }


def up_to_date(outcome: Message, session: Session | None, connection_id: str) -> Message:
    """Return an outcome with its session's current status.

    A client doesn't receive notices that were sent before its connection opened.

    Args:
        outcome: The outcome of a command in the connect URL.
        session: The session as it is now; None if it has ended.
        connection_id: The connection that sent the command.

    Returns:
        The outcome, or an error if the session has ended or another connection has superseded its
        speaker.
    """
    is_speakers = outcome["type"] == "sessionCreated" or outcome.get("role") == Role.SPEAKER
    if session is None or (is_speakers and session.speaker_connection_id != connection_id):
        answered = {"requestId": outcome["requestId"]} if "requestId" in outcome else {}
        return {**error(SessionNotFound()), **answered}
    return {**outcome, "status": session.shown_status} if "status" in outcome else outcome
