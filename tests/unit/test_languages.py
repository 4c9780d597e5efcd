"""Language tags, and the table of supported languages."""

import botocore.session
import pytest
from botocore.model import StringShape

from chalicelib import languages

STANDARD_VOICES_ONLY = {"arb", "cy-GB", "en-GB-WLS", "is-IS", "ro-RO", "ru-RU"}
LEFT_OUT = {"yue-CN"}


@pytest.mark.parametrize(
    "tag",
    ["", "auto", "xx", "x-en", "i-enochian", " en", "en\n", "english", "es_MX", "en-", "-en", "én"],
)
def test_an_unsupported_tag_finds_nothing(tag: str) -> None:
    assert languages.find(tag) is None


@pytest.mark.parametrize(
    "tag", ["he", "iw-IL", "sw", "uk-UA", "vi", "fa-AF", "prs", "fil-PH", "cy", "is", "ro-RO", "ru"]
)
def test_a_language_without_a_neural_voice_is_only_read(tag: str) -> None:
    code = languages.find(tag)
    assert code is not None
    assert not languages.has_voice(code)


@pytest.mark.parametrize("code", ["en", "es", "fr-CA", "zh-TW"])
def test_a_language_with_a_neural_voice_is_heard(code: str) -> None:
    assert languages.has_voice(code)


@pytest.mark.parametrize("code", sorted(languages.LANGUAGES))
def test_each_code_finds_itself_in_any_case(code: str) -> None:
    for tag in (code, code.lower(), code.upper()):
        assert languages.find(tag) == code


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("en-US", "en"),
        ("fr-FR", "fr"),
        ("FR-ca", "fr-CA"),
        ("fr-CA-u-hc-h12", "fr-CA"),
        ("pt-BR", "pt"),
        ("pt-PT", "pt-PT"),
        ("de-CH-1996", "de"),
        ("es-419", "es"),
        ("es-MX", "es-MX"),
        ("nb-NO", "no"),
        ("nn", "no"),
        ("zh-CN", "zh"),
        ("zh-Hans", "zh"),
        ("zh-Hans-TW", "zh"),
        ("zh-SG", "zh"),
        ("zh-Hant", "zh-TW"),
        ("zh-Hant-HK", "zh-TW"),
        ("zh-HK", "zh-TW"),
        ("zh-MO", "zh-TW"),
        ("zh-TW", "zh-TW"),
        ("cmn-Hant-TW", "zh-TW"),
        ("en-x-fr", "en"),
    ],
)
def test_a_browsers_tag_finds_the_closest_code(tag: str, code: str) -> None:
    assert languages.find(tag) == code


@pytest.mark.parametrize(("tag", "code"), [("iw", "he"), ("in-ID", "id"), ("fil", "tl")])
def test_an_older_tag_finds_its_language(tag: str, code: str) -> None:
    assert languages.find(tag) == code


def test_the_table_has_the_75_languages_of_translate_and_24_with_a_voice() -> None:
    assert len(languages.LANGUAGES) == 75
    assert sum(map(languages.has_voice, languages.LANGUAGES)) == 24


def test_the_table_has_every_language_with_a_neural_voice() -> None:
    # botocore is pinned, so a language that Polly adds fails this test when botocore is updated.
    model = botocore.session.get_session().get_service_model("polly")
    shape = model.shape_for("LanguageCode")
    assert isinstance(shape, StringShape)
    of_polly = set(shape.enum)
    named = {code for _, voices in languages.LANGUAGES.values() for code in voices}

    assert named == of_polly - STANDARD_VOICES_ONLY - LEFT_OUT
