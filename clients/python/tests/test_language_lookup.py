"""The lookup of language tags, which must agree with the service's."""

import pytest

from broadcast_sessions_client import LANGUAGES, find_language
from chalicelib import languages as of_service

TAGS = [
    *of_service.LANGUAGES,
    *of_service.SAME_LANGUAGE,
    *(f"{code}-x-private" for code in of_service.LANGUAGES),
    *("fr-FR", "FR-ca", "fr-CA-x-a", "nb-NO", "zh-Hant-HK", "zh-Hans-SG", "zh-TW-u-co-pinyin"),
    *("es-419", "pt-BR", "en-a-b-c", "sr-Latn-RS", "cmn-Hant-TW", "iw-IL", "x-klingon"),
    *("", "e", "tlh", "en_US", "en-", "-en", "en--US", "english-language", "é", "en ", "123"),
]


def test_tags_find_the_codes_that_the_service_finds() -> None:
    tags = [*TAGS, *(tag.upper() for tag in TAGS)]
    assert {it: find_language(it) for it in tags} == {it: of_service.find(it) for it in tags}


@pytest.mark.parametrize(
    ("tag", "code"),
    [("es-419", "es"), ("fr-CA-x-a", "fr-CA"), ("uk", None), ("ru-RU", None), ("zh-HK", "zh-TW")],
)
def test_a_tag_finds_the_closest_code_with_a_voice(tag: str, code: str | None) -> None:
    assert find_language(tag, with_voice=True) == code


def test_the_table_is_the_services() -> None:
    table = {language.code: (language.name, language.has_voice) for language in LANGUAGES}
    of_the_service = {
        code: (name, bool(voices)) for code, (name, voices) in of_service.LANGUAGES.items()
    }
    assert table == of_the_service
