"""The languages of the service, and the lookup of language tags."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broadcast_sessions_client import language_table


@dataclass(frozen=True)
class Language:
    """A language of speakers and listeners.

    Attributes:
        code: Amazon Translate's code.
        name: The English name.
        has_voice: Whether listeners can hear it, and not only read it.
    """

    code: str
    name: str
    has_voice: bool


LANGUAGES: Final = tuple(Language(*row) for row in language_table.LANGUAGES)

_BY_TAG: Final[Mapping[str, Language]] = {it.code.lower(): it for it in LANGUAGES}
_SAME_LANGUAGE: Final[Mapping[str, str]] = language_table.SAME_LANGUAGE
_TAG: Final = re.compile("[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def find_language(tag: str, *, with_voice: bool = False) -> str | None:
    """Return the code for a BCP 47 tag, or None if the service doesn't support the language.

    Args:
        tag: A tag, such as `zh-Hant-HK`.
        with_voice: Whether listeners must be able to hear the language, and not only read it.

    Source: RFC 4647, section 3.4 (Lookup).
    """
    if not _TAG.fullmatch(tag):
        return None
    subtags = tag.lower().split("-")
    while subtags:
        range_ = "-".join(subtags)
        language = _BY_TAG.get(_SAME_LANGUAGE.get(range_, range_).lower())
        if language and (language.has_voice or not with_voice):
            return language.code
        subtags.pop()
        if subtags and len(subtags[-1]) == 1:
            subtags.pop()  # A single letter such as "x" only introduces the removed subtag.
    return None
