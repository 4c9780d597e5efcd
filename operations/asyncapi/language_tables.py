"""The clients' tables of languages, from chalicelib/languages.py."""

import json
from collections.abc import Callable
from string import Template

from chalicelib.languages import LANGUAGES, SAME_LANGUAGE
from operations.asyncapi.typescript import HEADER

_JAVASCRIPT = f"""\
{HEADER}

export const LANGUAGES = [
$languages];

/** Other tags for these languages, in lower case. */
export const SAME_LANGUAGE = {{
$tags}};
"""

_PYTHON = '''\
"""The service's languages. Generated from its code by `make asyncapi`."""

from typing import Final

LANGUAGES: Final[tuple[tuple[str, str, bool], ...]] = (
$languages)
"""The code of each language, its name, and whether it has a voice."""

SAME_LANGUAGE: Final = {
$tags}
"""Other tags for these languages, in lower case."""
'''


def write_javascript() -> str:
    """Return a module with the languages and the other tags for them."""
    language = "  { code: $code, name: $name, hasVoice: $has_voice },\n"
    return _fill(_JAVASCRIPT, language, "  $tag: $code,\n", json.dumps)


def write_python() -> str:
    """Return a module with the languages and the other tags for them."""
    return _fill(_PYTHON, "    ($code, $name, $has_voice),\n", "    $tag: $code,\n", str)


def _fill(module: str, language: str, tag: str, encode_boolean: Callable[[bool], str]) -> str:
    """Fill the template of a module with a line for each language and for each other tag."""
    languages = (
        Template(language).substitute(
            code=_text(code), name=_text(name), has_voice=encode_boolean(bool(voices))
        )
        for code, (name, voices) in LANGUAGES.items()
    )
    tags = (
        Template(tag).substitute(tag=_text(other), code=_text(code))
        for other, code in SAME_LANGUAGE.items()
    )
    return Template(module).substitute(languages="".join(languages), tags="".join(tags))


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
