"""What Translate and Polly can do: which languages a speaker may speak and a listener may hear.

Pure: a table that is shipped with the code, so that a join asks no service. Codes are matched
exactly, as Amazon Translate writes them. `auto` is none: a session's source is named.

Source: Amazon Translate Developer Guide, "Supported languages and language codes" (75 codes);
Amazon Polly Developer Guide, "Available voices" (column "Neural voice"). Table of 2026-11-21.
"""

from collections.abc import Mapping
from typing import Final

# zh-TW: Polly documents its Mandarin voice (Zhiyu) for UTF-8 text and says nothing of traditional
# characters; nothing contradicts them either, and applications in use send them to it.
# yue-CN stands nowhere: Translate writes Mandarin, and a Cantonese voice is not what was asked for.
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
"""By Translate code, the Polly language codes that have a neural voice. Empty: none, text only."""

SOURCE_LANGUAGES: Final[frozenset[str]] = frozenset(NEURAL_VOICES)
TARGET_LANGUAGES: Final[frozenset[str]] = frozenset(
    code for code, voices in NEURAL_VOICES.items() if voices
)


def is_source(code: str) -> bool:
    """Whether Amazon Translate takes this code; `auto` is not one."""
    return code in SOURCE_LANGUAGES


def is_target(code: str) -> bool:
    """Whether Amazon Translate takes this code and Amazon Polly has a neural voice for it."""
    return code in TARGET_LANGUAGES
