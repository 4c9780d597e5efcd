"""The speech of captions: spoken by Polly, stored in S3, and fetched by URL."""

from collections.abc import Callable
from typing import Final, NamedTuple

from chalicelib.aws.polly import Polly
from chalicelib.aws.s3 import Bucket
from chalicelib.models import Audio
from chalicelib.mp3 import duration_ms
from chalicelib.voices import VOICES

KEY_BYTES: Final = 24
"""Random bytes of an object's key, because anyone who knows the key can listen.

A guess needs at least 16. Source: RFC 4086, section 8.2.
"""

CONTENT_TYPE: Final = "audio/mpeg"


class Spoken(NamedTuple):
    """The speech of one caption, and how long it takes."""

    audio: Audio
    duration_ms: int


class Speech:
    """Makes the speech of captions. Thread-safe."""

    def __init__(self, polly: Polly, bucket: Bucket, url: str, new_key: Callable[[], str]) -> None:
        """Create the speech of a stage.

        Args:
            polly: Speaks.
            bucket: Stores the audio.
            url: The URL under which the bucket's objects are public.
            new_key: Returns a key that can't be guessed.
        """
        self._polly = polly
        self._bucket = bucket
        self._url = url
        self._new_key = new_key

    def speak(self, text: str, language: str, ends_at: float) -> Spoken | None:
        """Return a text's speech.

        Args:
            text: The text.
            language: The code of its language.
            ends_at: The monotonic time at which to give up.

        Returns:
            None if the language has no voice, or the text nothing to speak.

        Raises:
            CallFailed: Polly or S3 has failed, or didn't answer in time.
            NotMp3: Polly's answer is no audio.
            NoVoice: The Region has no voice for the language.
        """
        voice = VOICES.get(language)
        if voice is None or not any(map(str.isalnum, text)):
            return None
        mp3 = self._polly.synthesize(text, voice.voice_id, voice.language_code, ends_at)
        spoken_ms = duration_ms(mp3)
        key = f"{self._new_key()}.mp3"
        self._bucket.put(key, mp3, CONTENT_TYPE, ends_at)
        return Spoken(Audio(url=f"{self._url}/{key}"), spoken_ms)
