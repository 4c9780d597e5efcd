"""The clients' tables of languages, from chalicelib/languages.py."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from string import Template
from typing import Final

from chalicelib.languages import LANGUAGES, SAME_LANGUAGE
from operations.asyncapi.typescript import HEADER


@dataclass(frozen=True)
class Table:
    """A module with the languages and the other tags for them, in a programming language.

    Attributes:
        module: The template of the module.
        language: The template of a line with a language.
        tag: The template of a line with another tag.
        encode_boolean: Returns the literal of a boolean.
    """

    module: str
    language: str
    tag: str
    encode_boolean: Callable[[bool], str]

    def write(self) -> str:
        """Return the module."""
        languages = (
            Template(self.language).substitute(
                code=_text(code), name=_text(name), has_voice=self.encode_boolean(bool(voices))
            )
            for code, (name, voices) in LANGUAGES.items()
        )
        tags = (
            Template(self.tag).substitute(tag=_text(tag), code=_text(code))
            for tag, code in SAME_LANGUAGE.items()
        )
        return Template(self.module).substitute(languages="".join(languages), tags="".join(tags))


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


JAVASCRIPT: Final = Table(
    module=f"""\
{HEADER}

export const LANGUAGES = [
$languages];

/** Other tags for these languages, in lower case. */
export const SAME_LANGUAGE = {{
$tags}};
""",
    language="  { code: $code, name: $name, hasVoice: $has_voice },\n",
    tag="  $tag: $code,\n",
    encode_boolean=json.dumps,
)

PYTHON: Final = Table(
    module='''\
"""The service's languages. Generated from its code by `make asyncapi`."""

from typing import Final

LANGUAGES: Final[tuple[tuple[str, str, bool], ...]] = (
$languages)
"""The code of each language, its name, and whether it has a voice."""

SAME_LANGUAGE: Final = {
$tags}
"""Other tags for these languages, in lower case."""
''',
    language="    ($code, $name, $has_voice),\n",
    tag="    $tag: $code,\n",
    encode_boolean=str,
)
