"""Sessions and participants as DynamoDB items."""

import secrets
from collections.abc import Iterator
from typing import Any, Final

from chalicelib.aws.dynamodb import Item, Value
from chalicelib.models import (
    Admission,
    CountNote,
    EndReason,
    Participant,
    QualityTier,
    Role,
    Session,
    SessionStatus,
)

KEPT_AFTER_END_SECONDS: Final = 24 * 3600
"""When DynamoDB may delete an expired session's item, which the sweep needs to notify listeners."""

LANGUAGE_COUNT: Final = "listeners:"
"""The prefix of a session's attributes that count the listeners of a target language.

Each count is an attribute of its own, because ADD doesn't accept a path into a map. A missing one
counts from 0. Source: "Update expressions", Amazon DynamoDB Developer Guide.
"""

ACTIVE: Final = "active:"
"""The prefix of a session's attributes with the token of the write that made a language active."""

QUIET: Final = "quiet:"
"""The prefix of a session's attributes with the time at which an active language lost its last
listener.
"""

LAST_NUMBER: Final = "captions:"
"""The prefix of a session's attributes with the number of a language's last caption."""

TRANSLATED: Final = "translated:"
"""The prefix of a session's attributes with the number of the last spoken caption whose translation
into a language was published or has failed.
"""

NO_LANGUAGE: Final = "~"
"""The first character of a value of `targetLanguage` that isn't a language. It sorts after all
languages.
"""

ARRIVING: Final = f"{NO_LANGUAGE}arriving-"
"""The prefix of `targetLanguage` while a join is in progress. A token follows it.

Notices don't reach the joining connection, but the end of the session finds it.
"""


def number(value: int) -> Value:
    """Encode a number."""
    return {"N": str(value)}


def new_token() -> Value:
    """Return a token that identifies a write, because it may be sent twice."""
    return {"S": secrets.token_hex(16)}


def new_arrival() -> str:
    """Return a token for a new join."""
    return f"{ARRIVING}{secrets.token_hex(16)}"


def expiry_values(expires_at_seconds: int) -> Item:
    """Return the values `:end` and `:ttl` for a session's expiry."""
    return {
        ":end": number(expires_at_seconds),
        ":ttl": number(expires_at_seconds + KEPT_AFTER_END_SECONDS),
    }


def encode_session(session: Session) -> Item:
    """Encode a session that has just been created or is stored again after its end."""
    return {
        "sessionId": {"S": session.session_id},
        "speakerUserId": {"S": session.speaker_user_id},
        "speakerConnectionId": {"S": session.speaker_connection_id},
        "speakerConnectionIds": {"SS": [session.speaker_connection_id]},
        "sourceLanguage": {"S": session.source_language},
        "qualityTier": {"S": session.quality_tier},
        "inviteCode": {"S": session.invite_code},
        "admission": {"S": session.admission},
        "status": {"S": session.status},
        "listenerCount": number(session.listener_count),
        "changes": number(session.changes),
        "createdAt": number(session.created_at_ms),
        "expiresAt": number(session.expires_at_seconds),
        "ttl": number(session.expires_at_seconds + KEPT_AFTER_END_SECONDS),
    }


def parse_session(item: Item) -> Session:
    """Parse a session's item."""
    reason, note = item.get("endReason"), item.get("driftNote")
    return Session(
        session_id=item["sessionId"]["S"],
        speaker_user_id=item["speakerUserId"]["S"],
        speaker_connection_id=item["speakerConnectionId"]["S"],
        source_language=item["sourceLanguage"]["S"],
        quality_tier=QualityTier(item["qualityTier"]["S"]),
        invite_code=item["inviteCode"]["S"],
        status=SessionStatus(item["status"]["S"]),
        listener_count=int(item["listenerCount"]["N"]),
        changes=int(item["changes"]["N"]),
        created_at_ms=int(item["createdAt"]["N"]),
        expires_at_seconds=int(item["expiresAt"]["N"]),
        grace_ends_at_ms=_find_number(item, "graceEndsAt"),
        previous_speaker_connection_id=find_text(item, "previousSpeakerConnectionId"),
        speaker_connection_ids=frozenset(item["speakerConnectionIds"]["SS"]),
        has_unannounced_return=bool(_find_number(item, "untoldReturn")),
        status_token=find_text(item, "statusToken") or "",
        end_reason=None if reason is None else EndReason(reason["S"]),
        ended_at_ms=_find_number(item, "endedAt"),
        count_note=None if note is None else _parse_count_note(note["M"]),
        admission=Admission(find_text(item, "admission") or Admission.OPEN),
        invited_window=_find_number(item, "invitedWindow") or 0,
        invited_joins=_find_number(item, "invitedJoins") or 0,
        language_counts=_numbers_by_suffix(item, LANGUAGE_COUNT),
        caption_numbers=_numbers_by_suffix(item, LAST_NUMBER),
        captions_until_ms=max(
            _find_number(item, "captionsUntil") or 0, _find_number(item, "latePostsUntil") or 0
        ),
        active_tokens={name: str(value["S"]) for name, value in _by_suffix(item, ACTIVE)},
        quiet_since_ms=_numbers_by_suffix(item, QUIET),
        translated_numbers=_numbers_by_suffix(item, TRANSLATED),
        status_due=find_text(item, "statusDue"),
        status_at_ms=_find_number(item, "statusAt") or 0,
    )


def _numbers_by_suffix(item: Item, prefix: str) -> dict[str, int]:
    return {name: int(value["N"]) for name, value in _by_suffix(item, prefix)}


def _by_suffix(item: Item, prefix: str) -> Iterator[tuple[str, Value]]:
    """Return the attributes whose names begin with a prefix, without it."""
    for name, value in item.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), value


def encode_count_note(note: CountNote) -> Value:
    """Encode the counts that a sweep found wrong."""
    return {
        "M": {
            "changes": number(note.changes),
            "drifts": {"M": {key: number(drift) for key, drift in note.drifts.items()}},
            "seenAt": number(note.seen_at_ms),
        }
    }


def _parse_count_note(fields: Any) -> CountNote:
    drifts = {key: int(drift["N"]) for key, drift in fields["drifts"]["M"].items()}
    return CountNote(int(fields["changes"]["N"]), drifts, int(fields["seenAt"]["N"]))


def encode_participant(participant: Participant) -> Item:
    """Encode a participant that has just taken its seat, or is arriving."""
    item: Item = {
        "connectionId": {"S": participant.connection_id},
        "sessionId": {"S": participant.session_id},
        "role": {"S": participant.role},
        "takenAt": number(participant.joined_at_ms),
        "correlation": {"S": participant.correlation},
        "ttl": number(participant.expires_at_seconds),
    }
    language = participant.arrival if participant.is_arriving else participant.target_language
    if language is not None:
        item["targetLanguage"] = {"S": language}
    times = {
        "listeningSince": participant.listening_since_ms,
        "lostAt": participant.lost_at_ms,
        "settledLostAt": participant.settled_lost_at_ms,
    }
    item |= {name: number(at_ms) for name, at_ms in times.items() if at_ms is not None}
    return item


def parse_participant(item: Item) -> Participant:
    """Parse a participant's item."""
    is_present = not (names_no_language(item) or "leftAt" in item or "supersededBy" in item)
    language = find_text(item, "targetLanguage")
    is_arriving = language is not None and language.startswith(ARRIVING)
    return Participant(
        connection_id=item["connectionId"]["S"],
        session_id=item["sessionId"]["S"],
        role=Role(item["role"]["S"]),
        joined_at_ms=int(item["takenAt"]["N"]),
        target_language=language if is_present else None,
        is_present=is_present,
        superseded_by=find_text(item, "supersededBy"),
        correlation=item.get("correlation", item["connectionId"])["S"],
        listening_since_ms=_find_number(item, "listeningSince"),
        left_at_ms=_find_number(item, "leftAt"),
        heard_at_ms=_find_number(item, "t0"),
        lost_at_ms=_find_number(item, "lostAt"),
        settled_lost_at_ms=_find_number(item, "settledLostAt"),
        is_arriving=is_arriving,
        arrival=language if is_arriving else find_text(item, "arrival"),
        refusals=parse_refusals(item),
        is_closed_by_service="closedByService" in item,
    )


def find_participant(item: Item) -> Participant | None:
    """Parse a connection's item; None if it doesn't exist or only counts refused commands."""
    return parse_participant(item) if "sessionId" in item else None


def names_no_language(item: Item) -> bool:
    """Return whether an item's `targetLanguage` isn't a language."""
    return (find_text(item, "targetLanguage") or "").startswith(NO_LANGUAGE)


def parse_refusals(item: Item) -> int:
    """Parse the number of refused commands in a row of a connection's item."""
    return _find_number(item, "refusals") or 0


def find_text(item: Item, name: str) -> str | None:
    """Return a text attribute, or None if there is none."""
    return str(item[name]["S"]) if name in item else None


def _find_number(item: Item, name: str) -> int | None:
    return int(item[name]["N"]) if name in item else None
