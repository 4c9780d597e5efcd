"""The voices, compared with the table of languages and with Polly's API."""

import botocore.session
import pytest

from chalicelib.languages import LANGUAGES
from chalicelib.voices import VOICES

POLLY = botocore.session.get_session().get_service_model("polly")


def test_exactly_the_languages_with_a_neural_voice_have_one() -> None:
    assert set(VOICES) == {code for code, (_, voices) in LANGUAGES.items() if voices}


@pytest.mark.parametrize("code", VOICES)
def test_a_voice_speaks_its_language(code: str) -> None:
    assert VOICES[code].language_code in LANGUAGES[code][1]


@pytest.mark.parametrize("code", VOICES)
def test_polly_knows_the_voice_and_its_language(code: str) -> None:
    assert VOICES[code].voice_id in POLLY.shape_for("VoiceId").enum
    assert VOICES[code].language_code in POLLY.shape_for("LanguageCode").enum
