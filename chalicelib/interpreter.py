"""The use case of the function `interpreter`, which translates what the speaker says."""

import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final, Protocol

from chalicelib import telemetry
from chalicelib.aws.calls import CallFailed, Client
from chalicelib.aws.polly import NoVoice, Polly
from chalicelib.aws.s3 import Bucket
from chalicelib.aws.translate import Translate
from chalicelib.errors import ServiceError, SessionNotFound
from chalicelib.fields import MAX_CAPTION_CHARACTERS
from chalicelib.models import Caption
from chalicelib.mp3 import NotMp3
from chalicelib.speech import KEY_BYTES, Speech, Spoken
from chalicelib.speech_settings import SpeechSettings
from chalicelib.spoken_events import InvalidEvent, SpokenCaption, parse

TRANSLATE_SECONDS: Final = 5.0
"""Time for one translation with its retry. Later, the phrase is no longer live."""

SPEAK_SECONDS: Final = 8.0
"""Time for the speech of one caption, with its storage.

With the translation and the waits of its publication, a language is done before the function's time
is over.
"""

ATTEMPT_SECONDS: Final[Mapping[str, float]] = {"translate": 2.5, "polly": 5.0, "s3": 2.0}
"""Time for the answer to one attempt, by service. It leaves time for another one."""

_ELLIPSIS: Final = "…"

_LONGEST_WORD: Final = 60
"""Characters in which a cut looks for a space. Some languages have none."""


class TranslationPublisher(Protocol):
    """Publishes translations in the order of the spoken captions, as publishing.Publishing does."""

    def publish_translation(
        self, session_id: str, language: str, caption: Caption, order: int | None
    ) -> object:
        """Publish the translation of a spoken caption, after those of earlier ones.

        Without an order, it is published at once.

        Raises:
            ServiceError: It can't be published.
        """

    def skip_translation(self, session_id: str, language: str, order: int) -> None:
        """Let later phrases go ahead, because the translation of this one has failed.

        Raises:
            ServiceError: The state can't be written.
        """


class Interpreter:
    """Translates spoken captions into the languages of the audience, and publishes them.

    A language that fails doesn't affect the others. Handling an event twice publishes its captions
    once, because a translation has the ID of the spoken caption.
    """

    def __init__(
        self,
        publisher: TranslationPublisher,
        translate: Translate,
        speech: Speech | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create the interpreter.

        Args:
            publisher: Publishes the translations.
            translate: Translates.
            speech: Speaks the translations; None for text only.
            clock: A monotonic clock in seconds.
        """
        self._publisher = publisher
        self._translate = translate
        self._speech = speech
        self._clock = clock
        self._reported_voiceless: set[str] = set()

    def interpret(self, event: Mapping[str, Any]) -> None:
        """Handle an event of the pipeline. Events that aren't spoken captions are ignored.

        The languages are done side by side, each in its own thread.
        """
        with telemetry.handled("interpreter", is_clients=False):
            try:
                spoken = parse(event)
            except InvalidEvent as error:
                telemetry.log_warning("event not valid", field=str(error))
                return
            if spoken is None or not spoken.languages:
                return
            telemetry.follow(spoken.session_id, spoken.session_id)
            telemetry.follow_caption(spoken.caption_id)
            with ThreadPoolExecutor(len(spoken.languages)) as threads:
                for language in spoken.languages:
                    threads.submit(copy_context().run, self._interpret_into, spoken, language)

    def _interpret_into(self, spoken: SpokenCaption, language: str) -> None:
        """Translate, speak and publish one caption in one language. Never raises."""
        try:
            caption = self._translated(spoken, language)
            self._publisher.publish_translation(spoken.session_id, language, caption, spoken.seq)
        except SessionNotFound:
            return  # It has ended in the meantime.
        except Exception as error:
            _count_failure("not translated", language, error, TranslationFailures=1)
            self._skip(spoken, language)

    def _translated(self, spoken: SpokenCaption, language: str) -> Caption:
        ends_at = self._clock() + TRANSLATE_SECONDS
        text = self._translate.translate(spoken.text, spoken.language, language, ends_at)
        telemetry.put_metrics(CharactersTranslated=len(spoken.text))
        text = shorten(text)
        speech = self._speak(text, language)
        return Caption(
            caption_id=spoken.caption_id,
            text=text,
            started_at_ms=spoken.started_at_ms,
            duration_ms=speech.duration_ms if speech else None,
            audio=speech.audio if speech else None,
        )

    def _speak(self, text: str, language: str) -> Spoken | None:
        """Return a translation's speech, or None if it has none."""
        if self._speech is None:
            return None
        try:
            return self._speech.speak(text, language, self._clock() + SPEAK_SECONDS)
        except NoVoice:
            if language not in self._reported_voiceless:
                self._reported_voiceless.add(language)
                telemetry.log_warning("no voice in this Region", language=language)
        except Exception as error:
            _count_failure("not spoken", language, error, SpeechFailures=1)
        return None

    def _skip(self, spoken: SpokenCaption, language: str) -> None:
        if spoken.seq is None:
            return
        try:
            self._publisher.skip_translation(spoken.session_id, language, spoken.seq)
        except Exception as error:
            # Later phrases then wait for this one for a few seconds.
            telemetry.log_warning(
                "translation not skipped", language=language, cause=type(error).__name__
            )


def shorten(text: str) -> str:
    """Return a text with at most MAX_CAPTION_CHARACTERS, cut between words if possible.

    A translation can be longer than its original.
    """
    if len(text) <= MAX_CAPTION_CHARACTERS:
        return text
    cut = text[: MAX_CAPTION_CHARACTERS - len(_ELLIPSIS)]
    space = cut.rfind(" ", len(cut) - _LONGEST_WORD)
    return (cut[:space] if space >= 0 else cut).rstrip() + _ELLIPSIS


def _count_failure(message: str, language: str, error: Exception, **metric: float) -> None:
    """Log and count the failure of one language, in the handler of its exception."""
    if isinstance(error, CallFailed | ServiceError):
        telemetry.log_warning(message, language=language, cause=error.code)
    elif isinstance(error, NotMp3):
        telemetry.log_warning(message, language=language, cause="NotMp3")
    else:
        telemetry.log_failure(language=language)
    telemetry.put_metrics("", **metric)


def build_interpreter(
    publisher: TranslationPublisher,
    new_client: Callable[[str, float], Client],
    speech_settings: SpeechSettings | None,
) -> Interpreter:
    """Build the interpreter.

    Args:
        publisher: Publishes the translations.
        new_client: Returns a client that signs for a service (`translate`, `polly`, `s3`) and waits
            for an answer for a number of seconds.
        speech_settings: Where speech is stored; None for text only.
    """
    translate = Translate(new_client("translate", ATTEMPT_SECONDS["translate"]))
    if speech_settings is None:
        return Interpreter(publisher, translate, None)
    polly = Polly(new_client("polly", ATTEMPT_SECONDS["polly"]))
    bucket = Bucket(new_client("s3", ATTEMPT_SECONDS["s3"]), speech_settings.bucket)
    speech = Speech(polly, bucket, speech_settings.url, lambda: secrets.token_urlsafe(KEY_BYTES))
    return Interpreter(publisher, translate, speech)
