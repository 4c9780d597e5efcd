"""The cost of captions and speech: amounts multiplied by published prices; see session_cost.

test_caption_cost.py checks the amounts against the application.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

from chalicelib.models import QualityTier, Session
from chalicelib.store.caption_numbers import KEPT_IDS, MOST_OBSOLETE
from chalicelib.store.items import LANGUAGE_COUNT, LAST_NUMBER, encode_session, number
from chalicelib.store.number_updates import GIVEN, TRANSLATED
from tests.unit.session_cost import (
    GB,
    HANDLER_MS,
    HOURS_A_MONTH,
    LINE_BYTES,
    RUN_BYTES,
    Line,
    query,
)

CODES: Final = ("es", "fr", "de", "it", "pt", "pl", "nl", "sv", "ja", "ko")
"""Languages of an audience."""


def session_item(languages: int, more_ids: int = 0) -> dict[str, Any]:
    """Return the item of a session that has captions in its source language and in others.

    Args:
        languages: The languages besides the source language.
        more_ids: The obsolete caption IDs, besides the KEPT_IDS of each language.
    """
    session = Session(
        session_id="comfortable-hippopotamus-999",
        speaker_user_id="a" * 36,
        speaker_connection_id="L0SM9cOFvHcCIhw=",
        source_language="en",
        quality_tier=QualityTier.STANDARD,
        invite_code="a" * 16,
        created_at_ms=1_800_000_000_001,
        expires_at_seconds=1_800_007_201,
        listener_count=499,
        changes=999,
    )
    item = encode_session(session)
    item |= {"captionsUntil": number(1_800_000_000_799), "spoken:30000000": number(12)}
    item |= {"statusAt": number(1_800_000_000_001), "statusDue": {"S": "a" * 46}}
    for key in ("source", *CODES[:languages]):
        item[f"{LAST_NUMBER}{key}"] = number(9999)
        item |= {f"{GIVEN}{key}:{each:012}": number(9999) for each in range(KEPT_IDS)}
    for code in CODES[:languages]:
        item[f"{LANGUAGE_COUNT}{code}"] = number(99)
        item[f"{TRANSLATED}{code}"] = number(9999)
        item[f"active:{code}"] = {"S": "a" * 32}
    item |= {f"{GIVEN}es:{each:012}": number(9999) for each in range(KEPT_IDS, KEPT_IDS + more_ids)}
    return item


def item_bytes(item: dict[str, Any]) -> int:
    """Return the size of an item.

    Source: "DynamoDB item sizes and formats", Amazon DynamoDB Developer Guide: a number has about
    one byte for two digits, without zeros at its ends, and one more.
    """
    return sum(len(name) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return math.ceil(len(content.strip("0")) / 2) + 1
        case "SS":
            return sum(len(each.encode()) for each in content)
        case "M":
            return 3 + sum(len(name) + _value_bytes(each) + 1 for name, each in content.items())
        case _:
            return len(content.encode())


def number_units(languages: int, more_ids: int = 0) -> int:
    """Return the write units of one caption's number, whose write changes the session's item."""
    return math.ceil(item_bytes(session_item(languages, more_ids)) / 1024)


HEAD_UNITS: Final = 2 * 1 + 2 * 1
"""The write units of the alternative: a transaction that checks the session's item, without
captions below 1 KB, and updates an item for the language with its number and 20 IDs, below 1 KB.
Each item of a transaction costs two writes.
"""


def as_units_table() -> str:
    """Return the write units of numbers as the table in the docs."""
    rows = [
        "| translations | session's item, bytes | units of a number | units of a phrase"
        " | the same with a head item |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for languages in (1, 2, 5, 10):
        least, most = (number_units(languages, more) for more in (0, MOST_OBSOLETE))
        sizes = [item_bytes(session_item(languages, more)) for more in (0, MOST_OBSOLETE)]
        captions = languages + 1
        rows.append(
            f"| {languages} | {sizes[0]:,} to {sizes[1]:,} | {least} to {most}"
            f" | {captions * least} to {captions * most} | {captions * HEAD_UNITS} |"
        )
    return "\n".join(rows)


CAPTION_BYTES: Final = 330
"""A message with a caption of 60 characters, the URL of its speech, and its frame."""

PUBLISHED_BYTES: Final = 1650
"""The lines and the metrics of a publication and its fan-out."""

INTERPRETER_MEMORY_MB: Final = 512
TRANSLATE_MS: Final = 300
"""The time of a translation. Assumed."""

SPEAK_MS: Final = 700
"""The time of its speech with the storage. Assumed."""

LISTENER_MS: Final = 2
"""The time that each listener adds to a fan-out. Assumed, as for a session."""

CHARACTERS_A_SECOND: Final = 15
"""How fast speech is. Assumed."""

AUDIO_BYTES_A_SECOND: Final = 6000
"""MP3 of 48 kbit/s. Assumed for Polly's 24 kHz."""

CAPTION_METRICS: Final = 4
"""CaptionsPublished, CaptionsDelivered, CaptionLatency and CharactersTranslated."""


@dataclass(frozen=True, slots=True)
class Speaking:
    """An hour of a speaker, whose listeners are spread evenly over the languages.

    Attributes:
        languages: The languages of the listeners, without the speaker's.
        phrases_a_minute: The captions that the speaker sends.
        characters: The length of a phrase in each language.
        is_spoken: Whether the translations are spoken.
    """

    languages: int
    is_spoken: bool = True
    listeners: int = 500
    phrases_a_minute: int = 12
    characters: int = 60

    @property
    def phrases(self) -> int:
        return self.phrases_a_minute * 60

    @property
    def translated(self) -> int:
        """The characters that are translated."""
        return self.phrases * self.characters * self.languages

    @property
    def delivered(self) -> int:
        """The captions that listeners receive."""
        return self.phrases * self.listeners


def count_writes(it: Speaking) -> int:
    """Count the write units: each caption has a number, and is stored in an item below 1 KB."""
    return it.phrases * (it.languages + 1) * (number_units(it.languages) + 1)


def count_reads(it: Speaking) -> float:
    """Count the read units: the speaker, and the listeners of each language."""
    listed = query(math.ceil(it.listeners / it.languages)).reads * it.languages
    return it.phrases * (1 + query(0).reads + listed)


def count_gb_seconds(it: Speaking) -> float:
    interpreter_ms = TRANSLATE_MS + it.is_spoken * SPEAK_MS + it.listeners * LISTENER_MS
    return it.phrases * (HANDLER_MS * 256 + interpreter_ms * INTERPRETER_MEMORY_MB) / 1024 / 1000


def of_hour(it: Speaking) -> list[Line]:
    """Return what captions add to an hour of a session."""
    captions = it.phrases * (it.languages + 1)
    log_bytes = it.phrases * 2 * RUN_BYTES + captions * (PUBLISHED_BYTES + 4 * LINE_BYTES)
    audio_bytes = it.characters / CHARACTERS_A_SECOND * AUDIO_BYTES_A_SECOND
    lines = [
        Line("Translate: characters", it.translated, "character translated"),
        Line("API Gateway: messages", it.delivered + 2 * it.phrases, "message"),
        Line("Lambda: runs", 2 * it.phrases, "run"),
        Line("Lambda: GB-seconds", count_gb_seconds(it), "GB-second"),
        Line("DynamoDB: write units", count_writes(it), "write unit"),
        Line("DynamoDB: read units", count_reads(it), "read unit"),
        Line("CloudWatch: GB of logs", log_bytes / GB, "GB of logs"),
        Line("CloudWatch: metrics, in months", 2 * CAPTION_METRICS / HOURS_A_MONTH, "metric"),
        Line("data out, in GB", it.delivered * CAPTION_BYTES / GB, "GB out"),
    ]
    if not it.is_spoken:
        return lines
    return [
        *lines,
        Line("Polly: characters", it.translated, "character spoken"),
        Line("S3: stored phrases", it.phrases * it.languages, "object stored"),
        Line("CloudFront: requests", it.delivered, "CloudFront request"),
        Line("CloudFront: GB out", it.delivered * audio_bytes / GB, "CloudFront GB out"),
    ]
