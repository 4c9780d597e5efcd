"""A stand-in for Amazon Polly, which speaks with espeak-ng if that is installed."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from chalicelib.voices import VOICES
from operations.stand_ins import developer, espeak
from operations.stand_ins.service import Request, Response, ServiceError, StandIn, check_text

CONTENT_TYPE: Final = "application/json"

MAX_CHARACTERS: Final = 3000
"""Source: "Quotas in Amazon Polly", Amazon Polly Developer Guide (billed characters)."""

SAMPLE_RATES: Final = ("8000", "16000", "22050", "24000")
"""Source: SynthesizeSpeech, Amazon Polly API Reference (mp3)."""

_CODES: Final = {voice.voice_id: voice.language_code for voice in VOICES.values()}

Speak = Callable[[str, str, int], Awaitable[bytes]]


def synthesizer(speak: Speak | None) -> Callable[[Request], Awaitable[Response]]:
    """Return a function that answers SynthesizeSpeech with MP3.

    Args:
        speak: Returns the MP3 of a text, for Polly's code of the language and a sample rate. None
            if there is no synthesizer. All voices are then refused, as in a Region without them.
    """

    async def synthesize(request: Request) -> Response:
        if (request.method, request.path) != ("POST", "/v1/speech"):
            raise ServiceError("UnknownOperationException", "Only SynthesizeSpeech is supported")
        parameters = request.parse()
        text, voice_id = check_text(parameters, "Text"), check_text(parameters, "VoiceId")
        rate = _check(parameters)
        if len(text) > MAX_CHARACTERS:
            raise ServiceError(
                "TextLengthExceededException", "Maximum text length has been exceeded"
            )
        if speak is None or voice_id not in _CODES:
            raise ServiceError(
                "ValidationException", "This voice does not support the selected engine: neural"
            )
        try:
            mp3 = await speak(text, _CODES[voice_id], rate)
        except espeak.SpeechFailed as error:
            raise ServiceError("ServiceFailureException", str(error), 500) from None
        return Response(200, "audio/mpeg", mp3)

    return synthesize


def _check(parameters: Mapping[str, Any]) -> int:
    """Check the output's format, and return its sample rate."""
    for name, value in (("Engine", "neural"), ("OutputFormat", "mp3"), ("TextType", "text")):
        if parameters.get(name, "text" if name == "TextType" else None) != value:
            raise ServiceError("ValidationException", f"The stand-in's only {name} is {value}")
    rate = parameters.get("SampleRate", "24000")
    if rate not in SAMPLE_RATES:
        raise ServiceError("InvalidSampleRateException", "The sample rate is not valid for mp3")
    return int(rate)


app = StandIn(
    CONTENT_TYPE,
    developer.forward_to("polly")
    if developer.is_given()
    else synthesizer(espeak.speak if espeak.is_installed() else None),
)
