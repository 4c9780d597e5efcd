"""The clients' tables of languages, from chalicelib/languages.py."""

import json
from typing import Any

from chalicelib.languages import LANGUAGES, SAME_LANGUAGE
from operations.asyncapi.typescript import HEADER


def write_javascript() -> str:
    """Return a module with the languages and the other tags for them."""
    languages = "".join(
        f"  {{ code: {_text(code)}, name: {_text(name)}, hasVoice: {_text(bool(voices))} }},\n"
        for code, (name, voices) in LANGUAGES.items()
    )
    tags = "".join(f"  {_text(tag)}: {_text(code)},\n" for tag, code in SAME_LANGUAGE.items())
    return (
        f"{HEADER}\n\n"
        f"export const LANGUAGES = [\n{languages}];\n\n"
        "/** Other tags for these languages, in lower case. */\n"
        f"export const SAME_LANGUAGE = {{\n{tags}}};\n"
    )


def write_python() -> str:
    """Return a module with the languages and the other tags for them."""
    languages = "".join(
        f"    ({_text(code)}, {_text(name)}, {bool(voices)}),\n"
        for code, (name, voices) in LANGUAGES.items()
    )
    tags = "".join(f"    {_text(tag)}: {_text(code)},\n" for tag, code in SAME_LANGUAGE.items())
    return (
        '"""The service\'s languages. Generated from its code by `make asyncapi`."""\n\n'
        "from typing import Final\n\n"
        f"LANGUAGES: Final[tuple[tuple[str, str, bool], ...]] = (\n{languages})\n"
        '"""The code of each language, its name, and whether it has a voice."""\n\n'
        f"SAME_LANGUAGE: Final = {{\n{tags}}}\n"
        '"""Other tags for these languages, in lower case."""\n'
    )


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
