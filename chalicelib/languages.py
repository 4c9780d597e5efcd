"""The languages that the service supports, by Amazon Translate's codes.

The table is part of the code, so no request depends on a service. Amazon Translate's `auto` is
missing because a session must name its source language.

Source: Amazon Translate Developer Guide, "Supported languages and language codes" (75 codes);
Amazon Polly Developer Guide, "Available voices" (column "Neural voice"). Table of 2026-11-21.
"""

import re
from collections.abc import Mapping
from typing import Final

# zh-TW: Polly documents its Mandarin voice (Zhiyu) for UTF-8 text and does not mention traditional
# characters. Applications in production send them to it.
# yue-CN is missing: Translate writes Mandarin, which a Cantonese voice would read wrongly.
NEURAL_VOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "af": (),  # Afrikaans
    "sq": (),  # Albanian
    "am": (),  # Amharic
    "ar": ("ar-AE",),  # Arabic; arb has a standard voice only
    "hy": (),  # Armenian
    "az": (),  # Azerbaijani
    "bn": (),  # Bengali
    "bs": (),  # Bosnian
    "bg": (),  # Bulgarian
    "ca": ("ca-ES",),  # Catalan
    "zh": ("cmn-CN",),  # Chinese (Simplified)
    "zh-TW": ("cmn-CN",),  # Chinese (Traditional)
    "hr": (),  # Croatian
    "cs": ("cs-CZ",),  # Czech
    "da": ("da-DK",),  # Danish
    "fa-AF": (),  # Dari
    "nl": ("nl-NL", "nl-BE"),  # Dutch
    "en": (  # English
        "en-US",
        "en-GB",
        "en-AU",
        "en-IE",
        "en-IN",
        "en-NZ",
        "en-SG",
        "en-ZA",
    ),
    "et": (),  # Estonian
    "fa": (),  # Farsi
    "tl": (),  # Filipino
    "fi": ("fi-FI",),  # Finnish
    "fr": ("fr-FR", "fr-BE"),  # French
    "fr-CA": ("fr-CA",),  # French (Canada)
    "ka": (),  # Georgian
    "de": ("de-DE", "de-AT", "de-CH"),  # German
    "el": (),  # Greek
    "gu": (),  # Gujarati
    "ht": (),  # Haitian Creole
    "ha": (),  # Hausa
    "he": (),  # Hebrew
    "hi": ("hi-IN",),  # Hindi
    "hu": (),  # Hungarian
    "is": (),  # Icelandic; is-IS has standard voices only
    "id": (),  # Indonesian
    "ga": (),  # Irish
    "it": ("it-IT",),  # Italian
    "ja": ("ja-JP",),  # Japanese
    "kn": (),  # Kannada
    "kk": (),  # Kazakh
    "ko": ("ko-KR",),  # Korean
    "lv": (),  # Latvian
    "lt": (),  # Lithuanian
    "mk": (),  # Macedonian
    "ms": (),  # Malay
    "ml": (),  # Malayalam
    "mt": (),  # Maltese
    "mr": (),  # Marathi
    "mn": (),  # Mongolian
    "no": ("nb-NO",),  # Norwegian (Bokmål)
    "ps": (),  # Pashto
    "pl": ("pl-PL",),  # Polish
    "pt": ("pt-BR",),  # Portuguese (Brazil)
    "pt-PT": ("pt-PT",),  # Portuguese (Portugal)
    "pa": (),  # Punjabi
    "ro": (),  # Romanian; ro-RO has standard voices only
    "ru": (),  # Russian; ru-RU has standard voices only
    "sr": (),  # Serbian
    "si": (),  # Sinhala
    "sk": (),  # Slovak
    "sl": (),  # Slovenian
    "so": (),  # Somali
    "es": ("es-ES", "es-US"),  # Spanish
    "es-MX": ("es-MX",),  # Spanish (Mexico)
    "sw": (),  # Swahili
    "sv": ("sv-SE",),  # Swedish
    "ta": (),  # Tamil
    "te": (),  # Telugu
    "th": (),  # Thai
    "tr": ("tr-TR",),  # Turkish
    "uk": (),  # Ukrainian
    "ur": (),  # Urdu
    "uz": (),  # Uzbek
    "vi": (),  # Vietnamese
    "cy": (),  # Welsh; cy-GB has standard voices only
}
"""For each Translate code, the Polly language codes with a neural voice. Empty means text only."""

SOURCE_LANGUAGES: Final[frozenset[str]] = frozenset(NEURAL_VOICES)
"""Codes that a speaker can speak."""

TARGET_LANGUAGES: Final[frozenset[str]] = frozenset(
    code for code, voices in NEURAL_VOICES.items() if voices
)
"""Codes that a listener can hear."""

_BY_LOWER_CASE: Final[Mapping[str, str]] = {code.lower(): code for code in NEURAL_VOICES}

_TAG: Final = re.compile("[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
"""The approximate syntax of a language tag. Source: RFC 5646, section 2.1."""

_SAME_LANGUAGE: Final[Mapping[str, str]] = {
    "arb": "ar",
    "cmn": "zh",
    "cmn-hans": "zh",
    "cmn-hant": "zh-TW",
    "fil": "tl",
    "in": "id",
    "iw": "he",
    "nb": "no",
    "nn": "no",
    "prs": "fa-AF",
    "zh-hans": "zh",
    "zh-hant": "zh-TW",
    "zh-hk": "zh-TW",
    "zh-mo": "zh-TW",
}
"""Other tags for languages of the table, in lower case.

`nb` and `nn` map to `no`, the closest code.
Source: IANA Language Subtag Registry (macrolanguages, deprecated subtags); Unicode CLDR, "Likely
Subtags" (scripts of Hong Kong and Macao).
"""


def find_source(tag: str) -> str | None:
    """Return the source language's code for a BCP 47 tag, or None if it is not supported."""
    return _find(tag, SOURCE_LANGUAGES)


def find_target(tag: str) -> str | None:
    """Return the target language's code for a BCP 47 tag, or None if it is not supported."""
    return _find(tag, TARGET_LANGUAGES)


def _find(tag: str, codes: frozenset[str]) -> str | None:
    """Remove subtags from the end of a tag until it matches one of the codes.

    Source: RFC 4647, section 3.4 (Lookup).
    """
    if not _TAG.fullmatch(tag):
        return None
    subtags = tag.lower().split("-")
    while subtags:
        range_ = "-".join(subtags)
        code = _SAME_LANGUAGE.get(range_) or _BY_LOWER_CASE.get(range_)
        if code in codes:
            return code
        subtags.pop()
        if subtags and len(subtags[-1]) == 1:
            subtags.pop()  # A single letter such as "x" only introduces the removed subtag.
    return None
