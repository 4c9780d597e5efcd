"""Amazon Polly's neural voices, one for each language that has any."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Voice(NamedTuple):
    """A neural voice.

    Attributes:
        voice_id: Polly's ID.
        language_code: Polly's code of the language in which it speaks.
    """

    voice_id: str
    language_code: str


VOICES: Final[Mapping[str, Voice]] = {
    "ar": Voice("Hala", "ar-AE"),
    "ca": Voice("Arlet", "ca-ES"),
    "zh": Voice("Zhiyu", "cmn-CN"),
    "zh-TW": Voice("Zhiyu", "cmn-CN"),
    "cs": Voice("Jitka", "cs-CZ"),
    "da": Voice("Sofie", "da-DK"),
    "nl": Voice("Laura", "nl-NL"),
    "en": Voice("Joanna", "en-US"),
    "fi": Voice("Suvi", "fi-FI"),
    "fr": Voice("Lea", "fr-FR"),
    "fr-CA": Voice("Gabrielle", "fr-CA"),
    "de": Voice("Vicki", "de-DE"),
    "hi": Voice("Kajal", "hi-IN"),  # bilingual: en-IN without the code
    "it": Voice("Bianca", "it-IT"),
    "ja": Voice("Kazuha", "ja-JP"),
    "ko": Voice("Seoyeon", "ko-KR"),
    "no": Voice("Ida", "nb-NO"),
    "pl": Voice("Ola", "pl-PL"),
    "pt": Voice("Camila", "pt-BR"),
    "pt-PT": Voice("Ines", "pt-PT"),
    "es": Voice("Lucia", "es-ES"),
    "es-MX": Voice("Mia", "es-MX"),
    "sv": Voice("Elin", "sv-SE"),
    "tr": Voice("Burcu", "tr-TR"),
}
"""The voice of each language, by Amazon Translate's code.

Source: "Available voices" (columns "Name/ID" and "Neural voice") and "Bilingual voices", Amazon
Polly Developer Guide.
"""
