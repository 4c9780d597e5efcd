"""The settings of speech: off by default, and contradictions that name the setting."""

import pytest

from chalicelib.environment import SettingError
from chalicelib.settings import check_all
from chalicelib.speech_settings import SpeechSettings, read_speech_settings

ON = {"SPEECH": "on", "MEDIA_BUCKET": "media", "MEDIA_URL": "https://d111.cloudfront.net"}
EMULATED = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}


@pytest.mark.parametrize("value", ["On", "yes", "1", "true", " on"])
def test_an_unknown_value_is_named(value: str) -> None:
    with pytest.raises(SettingError, match=f"^SPEECH must be off or on, not '{value}'$"):
        read_speech_settings({**ON, "SPEECH": value})


@pytest.mark.parametrize("name", ["MEDIA_BUCKET", "MEDIA_URL"])
@pytest.mark.parametrize("missing", [{}, {"MEDIA_BUCKET": "", "MEDIA_URL": ""}])
def test_speech_without_a_place_is_refused(name: str, missing: dict[str, str]) -> None:
    environment = {key: value for key, value in ON.items() if key != name}
    if missing:
        environment[name] = ""
    with pytest.raises(SettingError, match=f"^{name} is not set, but SPEECH is on$"):
        read_speech_settings(environment)


@pytest.mark.parametrize(
    "url",
    [
        "http://d111.cloudfront.net",
        "http://127.0.0.1:4566/media",
        "d111.cloudfront.net",
        "https://",
        "https:///media",
        "https://d111.cloudfront.net:port",
        "https://d111.cloudfront.net?x=1",
        "https://d111.cloudfront.net#x",
        "https://me:secret@d111.cloudfront.net",
        "https://[::1",
        "ftp://d111.cloudfront.net",
    ],
)
def test_a_url_that_pages_cannot_use_is_refused(url: str) -> None:
    with pytest.raises(SettingError, match=r"^MEDIA_URL must be an https URL"):
        read_speech_settings({**ON, "MEDIA_URL": url})


@pytest.mark.parametrize("url", ["http://d111.cloudfront.net", "http://10.0.0.1/media"])
def test_an_emulator_allows_only_this_machine_without_https(url: str) -> None:
    with pytest.raises(SettingError, match="MEDIA_URL"):
        read_speech_settings({**ON, **EMULATED, "MEDIA_URL": url})


@pytest.mark.parametrize("speech", [{}, {"SPEECH": ""}, {"SPEECH": "off"}])
def test_speech_is_off_by_default_and_its_other_settings_are_then_ignored(
    speech: dict[str, str],
) -> None:
    assert read_speech_settings({**speech, "MEDIA_URL": "anything"}) is None


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://d111.cloudfront.net", "https://d111.cloudfront.net"),
        ("https://media.example.com/speech/", "https://media.example.com/speech"),
        ("http://127.0.0.1:4566/media", "http://127.0.0.1:4566/media"),
    ],
)
def test_speech_has_a_bucket_and_a_url(url: str, own: str) -> None:
    read = read_speech_settings({**ON, **EMULATED, "MEDIA_URL": url})
    assert read == SpeechSettings("media", own)


def test_the_local_server_checks_speech_when_it_starts() -> None:
    names = ("SESSIONS_TABLE", "CONNECTIONS_TABLE", "CAPTIONS_TABLE", "RATE_LIMITS_TABLE")
    others = ("OUTCOME_FUNCTION", "HASH_KEY", "COGNITO_USER_POOL_ID", "COGNITO_CLIENT_ID")
    valid = dict.fromkeys((*names, *others), "x")
    check_all({**valid, **ON})
    with pytest.raises(SettingError, match=r"^SPEECH must be off or on"):
        check_all({**valid, "SPEECH": "loud"})
