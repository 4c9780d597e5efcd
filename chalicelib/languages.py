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
LANGUAGES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "af": ("Afrikaans", ()),
    "sq": ("Albanian", ()),
    "am": ("Amharic", ()),
    "ar": ("Arabic", ("ar-AE",)),  # arb has a standard voice only
    "hy": ("Armenian", ()),
    "az": ("Azerbaijani", ()),
    "bn": ("Bengali", ()),
    "bs": ("Bosnian", ()),
    "bg": ("Bulgarian", ()),
    "ca": ("Catalan", ("ca-ES",)),
    "zh": ("Chinese (Simplified)", ("cmn-CN",)),
    "zh-TW": ("Chinese (Traditional)", ("cmn-CN",)),
    "hr": ("Croatian", ()),
    "cs": ("Czech", ("cs-CZ",)),
    "da": ("Danish", ("da-DK",)),
    "fa-AF": ("Dari", ()),
    "nl": ("Dutch", ("nl-NL", "nl-BE")),
    "en": ("English", ("en-US", "en-GB", "en-AU", "en-IE", "en-IN", "en-NZ", "en-SG", "en-ZA")),
    "et": ("Estonian", ()),
    "fa": ("Farsi", ()),
    "tl": ("Filipino", ()),
    "fi": ("Finnish", ("fi-FI",)),
    "fr": ("French", ("fr-FR", "fr-BE")),
    "fr-CA": ("French (Canada)", ("fr-CA",)),
    "ka": ("Georgian", ()),
    "de": ("German", ("de-DE", "de-AT", "de-CH")),
    "el": ("Greek", ()),
    "gu": ("Gujarati", ()),
    "ht": ("Haitian Creole", ()),
    "ha": ("Hausa", ()),
    "he": ("Hebrew", ()),
    "hi": ("Hindi", ("hi-IN",)),
    "hu": ("Hungarian", ()),
    "is": ("Icelandic", ()),  # is-IS has standard voices only
    "id": ("Indonesian", ()),
    "ga": ("Irish", ()),
    "it": ("Italian", ("it-IT",)),
    "ja": ("Japanese", ("ja-JP",)),
    "kn": ("Kannada", ()),
    "kk": ("Kazakh", ()),
    "ko": ("Korean", ("ko-KR",)),
    "lv": ("Latvian", ()),
    "lt": ("Lithuanian", ()),
    "mk": ("Macedonian", ()),
    "ms": ("Malay", ()),
    "ml": ("Malayalam", ()),
    "mt": ("Maltese", ()),
    "mr": ("Marathi", ()),
    "mn": ("Mongolian", ()),
    "no": ("Norwegian (Bokmål)", ("nb-NO",)),
    "ps": ("Pashto", ()),
    "pl": ("Polish", ("pl-PL",)),
    "pt": ("Portuguese (Brazil)", ("pt-BR",)),
    "pt-PT": ("Portuguese (Portugal)", ("pt-PT",)),
    "pa": ("Punjabi", ()),
    "ro": ("Romanian", ()),  # ro-RO has standard voices only
    "ru": ("Russian", ()),  # ru-RU has standard voices only
    "sr": ("Serbian", ()),
    "si": ("Sinhala", ()),
    "sk": ("Slovak", ()),
    "sl": ("Slovenian", ()),
    "so": ("Somali", ()),
    "es": ("Spanish", ("es-ES", "es-US")),
    "es-MX": ("Spanish (Mexico)", ("es-MX",)),
    "sw": ("Swahili", ()),
    "sv": ("Swedish", ("sv-SE",)),
    "ta": ("Tamil", ()),
    "te": ("Telugu", ()),
    "th": ("Thai", ()),
    "tr": ("Turkish", ("tr-TR",)),
    "uk": ("Ukrainian", ()),
    "ur": ("Urdu", ()),
    "uz": ("Uzbek", ()),
    "vi": ("Vietnamese", ()),
    "cy": ("Welsh", ()),  # cy-GB has standard voices only
}
"""For each Translate code, its name and the Polly language codes with a neural voice. No code means
text only.
"""

_BY_LOWER_CASE: Final[Mapping[str, str]] = {code.lower(): code for code in LANGUAGES}

_TAG: Final = re.compile("[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
"""The approximate syntax of a language tag. Source: RFC 5646, section 2.1."""

SAME_LANGUAGE: Final[Mapping[str, str]] = {
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


def has_voice(code: str) -> bool:
    """Return whether a language of the table has a neural voice, and can be heard as well."""
    return bool(LANGUAGES[code][1])


def find(tag: str) -> str | None:
    """Return a supported language's code for a BCP 47 tag, or None.

    Subtags are removed from the end of the tag until it matches a code.

    Source: RFC 4647, section 3.4 (Lookup).
    """
    if not _TAG.fullmatch(tag):
        return None
    subtags = tag.lower().split("-")
    while subtags:
        range_ = "-".join(subtags)
        code = SAME_LANGUAGE.get(range_) or _BY_LOWER_CASE.get(range_)
        if code is not None:
            return code
        subtags.pop()
        if subtags and len(subtags[-1]) == 1:
            subtags.pop()  # A single letter such as "x" only introduces the removed subtag.
    return None
