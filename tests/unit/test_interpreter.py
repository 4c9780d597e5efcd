"""The interpreter: languages side by side, each of which can fail alone."""

import io
import json
import re
import threading
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib import telemetry
from chalicelib.aws.translate import Translate
from chalicelib.aws.wire import Answer, Steps, Unreachable
from chalicelib.errors import ServiceUnavailable, SessionNotFound
from chalicelib.interpreter import (
    ATTEMPT_SECONDS,
    SPEAK_SECONDS,
    TRANSLATE_SECONDS,
    Interpreter,
    build_interpreter,
    shorten,
)
from chalicelib.models import Audio, Caption
from chalicelib.speech_settings import SpeechSettings
from tests.unit.test_mp3 import SECOND as MP3
from tests.unit.test_spoken_events import EVENT

WAIT_SECONDS = 10
SECRET = "Good morning"
SETTINGS = SpeechSettings("media", "https://d111.cloudfront.net")
THROTTLED = Answer(400, b'{"__type": "ThrottlingException"}', {})
NO_VOICE = Answer(400, b"{}", {"x-amzn-errortype": "ValidationException"})
SILENT = Unreachable("timeout", was_sent=True, is_timeout=True)


@dataclass
class FakePublisher:
    """A publisher that keeps the captions, and fails for some languages."""

    failing: dict[str, Exception] = field(default_factory=dict)
    published: dict[str, tuple[str, Caption, int | None]] = field(default_factory=dict)
    skipped: list[tuple[str, str, int]] = field(default_factory=list)
    failing_skips: Exception | None = None

    def publish_translation(
        self, session_id: str, language: str, caption: Caption, order: int | None
    ) -> None:
        if language in self.failing:
            raise self.failing[language]
        self.published[language] = (session_id, caption, order)

    def skip_translation(self, session_id: str, language: str, order: int) -> None:
        self.skipped.append((session_id, language, order))
        if self.failing_skips:
            raise self.failing_skips


@dataclass
class FakeAws:
    """Translate, Polly and S3.

    Attributes:
        translations: The answers of Translate by target language, instead of a translation.
        speech: The answer of Polly.
        storing: The answer of S3.
        meeting: Translations wait here for each other.
    """

    translations: dict[str, Answer | Exception] = field(default_factory=dict)
    speech: Answer | Exception = field(default_factory=lambda: Answer(200, MP3, {}))
    storing: Answer | Exception = field(default_factory=lambda: Answer(200, b"", {}))
    meeting: threading.Barrier | None = None
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    timeouts: dict[str, float] = field(default_factory=dict)

    def new_client(self, service: str, timeout_seconds: float) -> "FakeClient":
        self.timeouts[service] = timeout_seconds
        return FakeClient(self, service)

    def translate(self, body: bytes) -> Answer | Exception:
        if self.meeting:
            self.meeting.wait(WAIT_SECONDS)
        request = json.loads(body)
        target = request["TargetLanguageCode"]
        translated = json.dumps({"TranslatedText": f"[{target}] {request['Text']}"}).encode()
        return self.translations.get(target, Answer(200, translated, {}))

    def respond(self, service: str, body: bytes) -> Answer | Exception:
        if service == "translate":
            return self.translate(body)
        return self.speech if service == "polly" else self.storing

    def bodies(self, service: str) -> list[dict[str, Any]]:
        return [json.loads(body) for name, _, body in self.requests if name == service]


class FakeClient:
    def __init__(self, aws: FakeAws, service: str) -> None:
        self._aws = aws
        self._service = service

    def steps(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,
    ) -> Steps[Answer]:
        self._aws.requests.append((self._service, path, body))
        end = self._aws.respond(self._service, body)
        if isinstance(end, Exception):
            raise end
        yield from ()
        return end


@pytest.fixture
def aws() -> FakeAws:
    return FakeAws()


@pytest.fixture
def publisher() -> FakePublisher:
    return FakePublisher()


@pytest.fixture
def lines() -> "Lines":
    lines = Lines()
    with redirect_stdout(lines.out):
        telemetry.configure("INFO")
    return lines


class Lines:
    """What was logged. Nothing spoken may be in it."""

    def __init__(self) -> None:
        self.out = io.StringIO()

    def read(self) -> list[dict[str, Any]]:
        assert SECRET not in self.out.getvalue()
        return [json.loads(line) for line in self.out.getvalue().splitlines()]


def found(lines: list[dict[str, Any]], message: str) -> list[dict[str, Any]]:
    return [line for line in lines if line.get("message") == message]


def total(lines: list[dict[str, Any]], metric: str) -> float:
    return sum(line.get(metric, 0) for line in lines)


def text_only(publisher: FakePublisher, aws: FakeAws) -> Interpreter:
    return build_interpreter(publisher, aws.new_client, None)


def speaking(publisher: FakePublisher, aws: FakeAws) -> Interpreter:
    return build_interpreter(publisher, aws.new_client, SETTINGS)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (Answer(400, b'{"__type": "X#UnsupportedLanguagePairException"}', {}), "Unsupported"),
        (THROTTLED, "ThrottlingException"),
        (SILENT, "NoAnswer"),
        (Answer(200, b"{}", {}), "InvalidAnswer"),
    ],
)
def test_a_language_that_fails_is_counted_and_skipped_and_the_others_go_out(
    publisher: FakePublisher, aws: FakeAws, lines: Lines, answer: Answer | Exception, cause: str
) -> None:
    aws.translations["es"] = answer
    text_only(publisher, aws).interpret(EVENT)
    assert publisher.published.keys() == {"fr"}
    assert publisher.skipped == [("golden-eagle-427", "es", 7)]
    logged = lines.read()
    (line,) = found(logged, "not translated")
    assert line["cause"].startswith(cause)
    assert (line["language"], line["event"]) == ("es", "interpreter")
    assert line["sessionId"] == "golden-eagle-427"
    assert total(logged, "TranslationFailures") == 1
    assert total(logged, "CharactersTranslated") == len(SECRET)


def test_an_unexpected_error_in_one_language_is_logged_without_its_message(
    publisher: FakePublisher, aws: FakeAws, lines: Lines
) -> None:
    aws.translations["es"] = RuntimeError(SECRET)
    text_only(publisher, aws).interpret(EVENT)
    assert publisher.published.keys() == {"fr"}
    assert publisher.skipped == [("golden-eagle-427", "es", 7)]
    logged = lines.read()
    (line,) = found(logged, "failure")
    assert line["error"].endswith("RuntimeError")
    assert total(logged, "TranslationFailures") == 1


def test_a_publication_that_fails_is_counted_as_well(
    publisher: FakePublisher, aws: FakeAws, lines: Lines
) -> None:
    publisher.failing["es"] = ServiceUnavailable("busy")
    text_only(publisher, aws).interpret(EVENT)
    assert publisher.published.keys() == {"fr"}
    logged = lines.read()
    assert [it["cause"] for it in found(logged, "not translated")] == ["SERVICE_UNAVAILABLE"]
    assert total(logged, "TranslationFailures") == 1


def test_a_session_that_has_ended_is_no_failure(
    publisher: FakePublisher, aws: FakeAws, lines: Lines
) -> None:
    publisher.failing["es"] = publisher.failing["fr"] = SessionNotFound()
    text_only(publisher, aws).interpret(EVENT)
    assert publisher.skipped == []
    logged = lines.read()
    assert total(logged, "TranslationFailures") == 0
    assert [line["level"] for line in logged if "level" in line] == ["INFO"]


def test_a_skip_that_fails_affects_no_other_language(
    publisher: FakePublisher, aws: FakeAws, lines: Lines
) -> None:
    aws.translations["es"] = SILENT
    publisher.failing_skips = ServiceUnavailable("busy")
    text_only(publisher, aws).interpret(EVENT)
    assert publisher.published.keys() == {"fr"}
    (line,) = found(lines.read(), "translation not skipped")
    assert (line["language"], line["cause"]) == ("es", "ServiceUnavailable")


def test_an_invalid_event_is_logged_without_its_text(
    publisher: FakePublisher, aws: FakeAws, lines: Lines
) -> None:
    text_only(publisher, aws).interpret({**EVENT, "seq": SECRET})
    assert (publisher.published, publisher.skipped, aws.requests) == ({}, [], [])
    (line,) = found(lines.read(), "event not valid")
    assert line["field"] == "seq"


@pytest.mark.parametrize(
    "event",
    [
        {"version": 1, "type": "languageActive", "sessionId": "x", "language": "es"},
        {"version": 1, "type": "unheard"},
        {},
        {**EVENT, "languages": []},
        {**EVENT, "languages": ["en"]},
    ],
)
def test_an_event_with_nothing_to_translate_is_ignored(
    publisher: FakePublisher, aws: FakeAws, lines: Lines, event: dict[str, Any]
) -> None:
    text_only(publisher, aws).interpret(event)
    assert (publisher.published, publisher.skipped, aws.requests) == ({}, [], [])
    assert [line["level"] for line in lines.read()] == ["INFO"]


def test_languages_are_translated_side_by_side(publisher: FakePublisher, aws: FakeAws) -> None:
    aws.meeting = threading.Barrier(3)
    text_only(publisher, aws).interpret({**EVENT, "languages": ["de", "es", "fr"]})
    assert publisher.published.keys() == {"de", "es", "fr"}


def test_without_a_number_translations_have_no_order_and_none_is_skipped(
    publisher: FakePublisher, aws: FakeAws
) -> None:
    aws.translations["es"] = Answer(500, b"", {})
    text_only(publisher, aws).interpret({it: EVENT[it] for it in EVENT if it != "seq"})
    assert publisher.published["fr"][2] is None
    assert publisher.skipped == []


def test_a_translation_has_the_spoken_captions_id_and_order(
    publisher: FakePublisher, aws: FakeAws
) -> None:
    text_only(publisher, aws).interpret(EVENT)
    caption = Caption("a1", "[es] Good morning", 1_800_000_000_000)
    assert publisher.published["es"] == ("golden-eagle-427", caption, 7)
    assert {it["SourceLanguageCode"] for it in aws.bodies("translate")} == {"en"}
    assert aws.timeouts == {"translate": ATTEMPT_SECONDS["translate"]}


@pytest.mark.parametrize(
    ("speech", "storing", "cause"),
    [
        (SILENT, Answer(200, b"", {}), "NoAnswer"),
        (THROTTLED, Answer(200, b"", {}), "ThrottlingException"),
        (Answer(200, b"no mp3", {}), Answer(200, b"", {}), "NotMp3"),
        (Answer(200, MP3, {}), Answer(403, b"<Code>AccessDenied</Code>", {}), "AccessDenied"),
    ],
)
def test_a_caption_whose_speech_fails_goes_out_as_text(
    publisher: FakePublisher,
    aws: FakeAws,
    lines: Lines,
    speech: Answer | Exception,
    storing: Answer,
    cause: str,
) -> None:
    aws.speech, aws.storing = speech, storing
    speaking(publisher, aws).interpret({**EVENT, "languages": ["es"]})
    assert publisher.published["es"][1] == Caption("a1", "[es] Good morning", 1_800_000_000_000)
    assert publisher.skipped == []
    logged = lines.read()
    assert [it["cause"] for it in found(logged, "not spoken")] == [cause]
    assert (total(logged, "SpeechFailures"), total(logged, "TranslationFailures")) == (1, 0)


def test_an_unexpected_error_of_speech_leaves_the_text(
    publisher: FakePublisher, aws: FakeAws, lines: Lines
) -> None:
    aws.speech = RuntimeError(SECRET)
    speaking(publisher, aws).interpret(EVENT)
    assert publisher.published.keys() == {"es", "fr"}
    assert total(lines.read(), "SpeechFailures") == 2


def test_a_voice_that_the_region_lacks_is_reported_once_and_is_no_failure(
    publisher: FakePublisher, aws: FakeAws, lines: Lines
) -> None:
    aws.speech = NO_VOICE
    interpreter = speaking(publisher, aws)
    for _ in range(2):
        interpreter.interpret({**EVENT, "languages": ["es"]})
    assert publisher.published["es"][1].audio is None
    logged = lines.read()
    assert len(found(logged, "no voice in this Region")) == 1
    assert total(logged, "SpeechFailures") == 0


@pytest.mark.parametrize(("language", "text"), [("is", SECRET), ("es", "…!?")])
def test_a_language_without_a_voice_or_a_text_without_words_is_text_only(
    publisher: FakePublisher, aws: FakeAws, language: str, text: str
) -> None:
    aws.translations[language] = Answer(200, json.dumps({"TranslatedText": text}).encode(), {})
    speaking(publisher, aws).interpret({**EVENT, "languages": [language]})
    assert publisher.published[language][1].audio is None
    assert aws.bodies("polly") == []


def test_a_spoken_translation_has_a_url_and_a_duration(
    publisher: FakePublisher, aws: FakeAws
) -> None:
    speaking(publisher, aws).interpret({**EVENT, "languages": ["es"]})
    caption = publisher.published["es"][1]
    (path, body), *others = [(path, body) for name, path, body in aws.requests if name == "s3"]
    assert (body, others) == (MP3, [])
    key = path.removeprefix("/media/")
    assert caption.audio == Audio(url=f"https://d111.cloudfront.net/{key}")
    assert caption.duration_ms == 1200
    (spoken,) = aws.bodies("polly")
    assert (spoken["VoiceId"], spoken["Text"]) == ("Lucia", "[es] Good morning")


def test_keys_are_long_and_never_the_same(publisher: FakePublisher, aws: FakeAws) -> None:
    interpreter = speaking(publisher, aws)
    for _ in range(20):
        interpreter.interpret(EVENT)
    keys = [path for name, path, _ in aws.requests if name == "s3"]
    assert len(set(keys)) == len(keys) == 40
    assert all(re.fullmatch(r"/media/[\w-]{32}\.mp3", key) for key in keys)


def test_a_language_is_done_within_the_functions_time() -> None:
    """The rest of the 29 s is for the publication, which waits up to 3 s for earlier phrases."""
    assert TRANSLATE_SECONDS + SPEAK_SECONDS <= 29 - 10
    assert 2 * ATTEMPT_SECONDS["translate"] <= TRANSLATE_SECONDS
    assert ATTEMPT_SECONDS["polly"] + ATTEMPT_SECONDS["s3"] <= SPEAK_SECONDS


def test_no_translation_starts_after_its_time_limit(
    publisher: FakePublisher, aws: FakeAws, lines: Lines
) -> None:
    translate = Translate(aws.new_client("translate", 1))
    late = Interpreter(publisher, translate, None, lambda: time.monotonic() - TRANSLATE_SECONDS)
    late.interpret({**EVENT, "languages": ["es"]})
    assert aws.requests == []
    assert total(lines.read(), "TranslationFailures") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x" * 1000, "x" * 1000),
        ("x" * 1001, "x" * 999 + "…"),
        ("word " * 300, ("word " * 200)[:-6] + "…"),
        ("word, " + "x" * 1000, "word, " + "x" * 993 + "…"),
    ],
)
def test_a_translation_is_cut_to_the_length_of_a_caption(text: str, expected: str) -> None:
    assert shorten(text) == expected
    assert len(expected) <= 1000


def test_a_long_translation_is_spoken_as_it_is_shown(
    publisher: FakePublisher, aws: FakeAws
) -> None:
    aws.translations["es"] = Answer(200, json.dumps({"TranslatedText": "x" * 2000}).encode(), {})
    speaking(publisher, aws).interpret({**EVENT, "languages": ["es"]})
    (spoken,) = aws.bodies("polly")
    assert spoken["Text"] == publisher.published["es"][1].text == "x" * 999 + "…"
