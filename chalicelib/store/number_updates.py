"""The update expressions that give captions their numbers."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Final

from chalicelib.aws.dynamodb import Item
from chalicelib.store.items import LAST_NUMBER, TRANSLATED, find_text, number

GIVEN: Final = "id:"
"""The prefix of the attributes with the number that was given to a caption ID."""

SPOKEN: Final = "spoken:"
"""The prefix of the attributes that count a speaker's captions in a minute."""

REPEATED: Final = "repeated:"
"""The prefix of the attributes that count the captions that a speaker repeats in a minute."""

GIVER: Final = "giver:"
"""The prefix of the attributes with a token of the write that gave a language's last number.

A write that is repeated because its answer was lost finds its own token.
"""


class NumberUpdate:
    """An update that gives the next number in a language to a caption.

    Attributes:
        given: The name of the attribute with the number that the caption has.
        names: The attribute names, by their placeholders.
        values: The values, by their placeholders, without those that all updates share.
        conditions: The conditions, all of which must hold.
        sets: The assignments.
    """

    def __init__(self, key: str, caption_id: str) -> None:
        """Give a number to a caption ID.

        Args:
            key: The key of the language; see Session.number_key.
            caption_id: The caption's ID.
        """
        digest = hashlib.sha256(caption_id.encode()).digest()[:9]
        self.given = f"{GIVEN}{key}:{urlsafe_b64encode(digest).decode()}"
        self._giver, self._token = f"{GIVER}{key}", secrets.token_hex(6)
        next_number = "if_not_exists(#last, :zero) + :one"
        self.names = {"#last": LAST_NUMBER + key, "#given": self.given, "#giver": self._giver}
        self.values: Item = {":giver": {"S": self._token}}
        self.conditions = [
            "attribute_not_exists(#given)",
            "(attribute_not_exists(captionAt) OR captionAt <= :given_at)",
        ]
        # DynamoDB reads everything on the right side before it writes.
        self.sets = [
            f"#last = {next_number}",
            f"#given = {next_number}",
            "#giver = :giver",
            "captionAt = :given_at",
            "captionsUntil = :until + listenerCount",
        ]

    def has_given(self, item: Item) -> bool:
        """Return whether this update gave the last number in the language of a session's item."""
        return find_text(item, self._giver) == self._token

    def by_speaker(self, connection_id: str, minute: int, most_a_minute: int) -> None:
        """Require that the connection is the speaker's, and count the caption in its minute."""
        self.names["#spoken"] = f"{SPOKEN}{minute}"
        self.values |= {":speaker": {"S": connection_id}, ":most": number(most_a_minute)}
        self.conditions += [
            "speakerConnectionId = :speaker",
            "(attribute_not_exists(#spoken) OR #spoken < :most)",
        ]
        self.sets.append("#spoken = if_not_exists(#spoken, :zero) + :one")

    def begin_translations(self, languages: Sequence[str], before: int) -> None:
        """Let translations into languages begin after a spoken caption, unless they have begun."""
        self.values[":before"] = number(before)
        for key, language in enumerate(languages):
            begun = f"#begun{key}"
            self.names[begun] = TRANSLATED + language
            self.sets.append(f"{begun} = if_not_exists({begun}, :before)")

    def in_order(self, language: str, order: int, *, is_late: bool) -> None:
        """Require that the translations before this one are done, and note this one.

        A late one only requires that no later one is done.
        """
        self.names["#translated"] = TRANSLATED + language
        self.values[":order"] = number(order)
        if is_late:
            condition = "#translated < :order"
        else:
            self.values[":before"] = number(order - 1)
            condition = "#translated = :before"
        self.conditions.append(f"(attribute_not_exists(#translated) OR {condition})")
        self.sets.append("#translated = :order")
