"""Amazon Polly's SynthesizeSpeech."""

import json
from typing import Final

from chalicelib.aws.calls import CallFailed, Calls, Client

SAMPLE_RATE: Final = 24_000
"""Samples per second of MP3 from a neural voice, which is mono."""

_NO_VOICE: Final = frozenset(
    {"EngineNotSupportedException", "LanguageNotSupportedException", "ValidationException"}
)
"""Errors for a voice that the Region doesn't have with this engine.

In practice, it is a ValidationException: "This voice does not support the selected engine".
Source: SynthesizeSpeech, Amazon Polly API Reference; awslabs/amazon-polly-tts-for-windows, issue
19.
"""

_HEADERS: Final = {"content-type": "application/json"}


class NoVoice(Exception):
    """Polly has no such neural voice in this Region."""


class Polly:
    """Speaks texts with neural voices. Thread-safe.

    Source: SynthesizeSpeech, Amazon Polly API Reference.
    """

    def __init__(self, client: Client) -> None:
        """Send requests through this client."""
        self._calls = Calls(client)

    def synthesize(self, text: str, voice_id: str, language_code: str, ends_at: float) -> bytes:
        """Return a text's speech as MP3.

        Args:
            text: The plain text, of at most 3,000 characters.
            voice_id: A neural voice.
            language_code: The language in which a bilingual voice speaks.
            ends_at: The monotonic time at which to give up.

        Raises:
            CallFailed: There is no speech in time.
            NoVoice: Polly has no such voice.
        """
        request = {
            "Engine": "neural",
            "LanguageCode": language_code,
            "OutputFormat": "mp3",
            "SampleRate": str(SAMPLE_RATE),
            "Text": text,
            "TextType": "text",
            "VoiceId": voice_id,
        }
        body = json.dumps(request).encode()
        try:
            return self._calls.call("POST", "/v1/speech", body, _HEADERS, ends_at).body
        except CallFailed as error:
            if error.code in _NO_VOICE:
                raise NoVoice from error
            raise
