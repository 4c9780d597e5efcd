"""Messages of the service, and the reading of their fields, which can contain anything."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

Message = dict[str, Any]

LARGEST: Final = 2**53 - 1
"""The largest whole number that all clients read alike. Source: RFC 8259, section 6."""

OUTCOMES: Final[Mapping[str, str]] = {
    "createSession": "sessionCreated",
    "joinSession": "sessionJoined",
    "refreshConnection": "connectionRefreshComplete",
    "heartbeat": "heartbeatAck",
    "changeLanguage": "languageChanged",
    "getSessionStatus": "sessionStatus",
    "pauseSession": "sessionPaused",
    "resumeSession": "sessionResumed",
    "rotateInviteCode": "inviteCodeRotated",
    "sendCaption": "captionAccepted",
    "getCaptions": "captions",
    "endSession": "sessionEnded",
}
"""The type of each command's outcome."""


def parse(frame: str | bytes) -> Message | None:
    """Return the message in a frame, or None if the frame isn't a JSON object in text."""
    if isinstance(frame, bytes):
        return None
    try:
        message = _DECODER.decode(frame)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _refuse(constant: str) -> None:
    """Refuse NaN and Infinity, which aren't JSON. Source: RFC 8259, section 6."""
    raise ValueError(constant)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse)


def text(message: Message, key: str) -> str:
    """Return a field's text, or an empty text if the field is missing or isn't text."""
    value = message.get(key)
    return value if isinstance(value, str) else ""


def number(
    message: Message, key: str, least: float = -math.inf, most: float = math.inf
) -> float | None:
    """Return a field's number, or None if it is missing, isn't finite or is out of bounds."""
    value = message.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        is_usable = math.isfinite(value) and least <= value <= most
    except OverflowError:  # The integer is larger than all floating-point numbers.
        return None
    return value if is_usable else None


def integer(message: Message, key: str) -> int:
    """Return a field's whole number, or 0 if the field is missing or isn't a usable number."""
    return int(number(message, key, 0, LARGEST) or 0)


def whole_number(message: Message, key: str, least: int = 0) -> int | None:
    """Return a field's whole number, or None if it is missing, has a fraction or is too large."""
    value = number(message, key, least, LARGEST)
    return int(value) if value is not None and value == int(value) else None


def counts(message: Message, key: str) -> dict[str, int]:
    """Return a field's numbers by name, without those that aren't usable numbers."""
    value = message.get(key)
    fields = value if isinstance(value, dict) else {}
    return {
        name: integer(fields, name)
        for name in fields
        if number(fields, name, 0, LARGEST) is not None
    }
