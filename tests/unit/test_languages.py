import botocore.session
import pytest
from botocore.model import StringShape

from chalicelib import languages

STANDARD_VOICES_ONLY = {"arb", "cy-GB", "en-GB-WLS", "is-IS", "ro-RO", "ru-RU"}
LEFT_OUT = {"yue-CN"}


@pytest.mark.parametrize(
    "code",
    ["", "auto", "xx", "EN", "En", "zh-tw", "fr-ca", " en", "en\n", "english", "nb", "es_MX"],
)
def test_what_is_no_code_of_translate_is_refused(code: str) -> None:
    assert not languages.is_source(code)
    assert not languages.is_target(code)


@pytest.mark.parametrize("code", ["en-US", "cmn-CN", "yue-CN", "nb-NO", "pt-BR", "arb"])
def test_a_code_of_polly_is_not_one_of_translate(code: str) -> None:
    assert not languages.is_source(code)
    assert not languages.is_target(code)


@pytest.mark.parametrize("code", ["he", "sw", "uk", "vi", "fa-AF"])
def test_a_language_without_a_voice_can_be_spoken_but_not_listened_to(code: str) -> None:
    assert languages.is_source(code)
    assert not languages.is_target(code)


@pytest.mark.parametrize("code", ["cy", "is", "ro", "ru"])
def test_a_language_with_a_standard_voice_only_cannot_be_listened_to(code: str) -> None:
    assert languages.is_source(code)
    assert not languages.is_target(code)


@pytest.mark.parametrize("code", ["en", "es", "es-MX", "fr-CA", "zh", "zh-TW", "no", "pt-PT", "ar"])
def test_a_language_with_a_neural_voice_can_be_spoken_and_listened_to(code: str) -> None:
    assert languages.is_source(code)
    assert languages.is_target(code)


def test_every_target_can_be_a_source() -> None:
    assert languages.TARGET_LANGUAGES < languages.SOURCE_LANGUAGES


def test_the_table_has_the_75_languages_of_translate_and_24_with_a_voice() -> None:
    assert len(languages.SOURCE_LANGUAGES) == 75
    assert len(languages.TARGET_LANGUAGES) == 24


def test_the_table_names_every_language_of_polly_with_a_neural_voice() -> None:
    # botocore is pinned: a language that Polly adds shows here when the pin moves.
    model = botocore.session.get_session().get_service_model("polly")
    shape = model.shape_for("LanguageCode")
    assert isinstance(shape, StringShape)
    of_polly = set(shape.enum)
    named = {code for voices in languages.NEURAL_VOICES.values() for code in voices}

    assert named == of_polly - STANDARD_VOICES_ONLY - LEFT_OUT
