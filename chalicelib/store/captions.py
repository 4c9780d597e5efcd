"""The Captions table, which keeps captions for listeners that were away."""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from chalicelib.aws.dynamodb import ConditionFailed, DynamoDB, Item
from chalicelib.models import Audio, Caption
from chalicelib.store.items import find_text, number

KEPT_CAPTIONS: Final = 200
"""How many captions of a language a listener can get."""

FIRST_READ: Final = 4
"""The captions that are read first. Each further read has twice as many.

Most listeners miss a few. Of captions with 20 KB of audio, an answer holds one or two.
"""


class StoredCaption(NamedTuple):
    """A caption as it is stored.

    Attributes:
        seq: The caption's number.
        caption: The caption.
        stored_at_ms: When it was stored.
    """

    seq: int
    caption: Caption
    stored_at_ms: int


class CaptionStore:
    """Stores one item per caption and language, unless no captions are kept.

    Attributes:
        kept_seconds: How long a caption is kept; 0 if none are.
    """

    def __init__(
        self, dynamodb: DynamoDB, table: str, kept_seconds: int, clock: Callable[[], float]
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self.kept_seconds = kept_seconds
        self._clock = clock

    def put(self, session_id: str, language: str, seq: int, caption: Caption) -> None:
        """Store a caption unless it is stored already."""
        if not self.kept_seconds:
            return
        now = self._clock()
        item: Item = {
            "sessionLanguage": {"S": _key(session_id, language)},
            "seq": number(seq),
            "captionId": {"S": caption.caption_id},
            "text": {"S": caption.text},
            "startedAt": number(caption.started_at_ms),
            "storedAt": number(int(now * 1000)),
            "ttl": number(int(now) + self.kept_seconds),
        }
        if caption.duration_ms is not None:
            item["durationMs"] = number(caption.duration_ms)
        if caption.audio is not None:
            item["audio"] = {"M": _encode_audio(caption.audio)}
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(seq) OR storedAt < :expired",
                ExpressionAttributeValues={
                    ":expired": number(int((now - self.kept_seconds) * 1000))
                },
            )
        except ConditionFailed:
            return

    def list_after(self, session_id: str, language: str, seq: int) -> Iterator[StoredCaption]:
        """Read the captions after a number, in order, with consistent reads.

        Expired ones are included until DynamoDB has deleted them.
        """
        items = self._dynamodb.query(
            TableName=self._table,
            KeyConditionExpression="sessionLanguage = :key AND seq > :seq",
            ExpressionAttributeValues={
                ":key": {"S": _key(session_id, language)},
                ":seq": number(seq),
            },
            ConsistentRead=True,
            Limit=FIRST_READ,
        )
        return map(_parse, items)


def _key(session_id: str, language: str) -> str:
    return f"{session_id}#{language}"


def _encode_audio(audio: Audio) -> Item:
    fields = {"url": audio.url, "data": audio.data, "contentType": audio.content_type}
    return {name: {"S": value} for name, value in fields.items() if value is not None}


def _parse(item: Item) -> StoredCaption:
    audio = item["audio"]["M"] if "audio" in item else None
    return StoredCaption(
        int(item["seq"]["N"]),
        Caption(
            caption_id=item["captionId"]["S"],
            text=item["text"]["S"],
            started_at_ms=int(item["startedAt"]["N"]),
            duration_ms=int(item["durationMs"]["N"]) if "durationMs" in item else None,
            audio=None
            if audio is None
            else Audio(
                find_text(audio, "url"), find_text(audio, "data"), find_text(audio, "contentType")
            ),
        ),
        int(item["storedAt"]["N"]),
    )
