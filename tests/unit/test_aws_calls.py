"""The clients of Translate, Polly and S3, compared with botocore."""

import json
import socket
import time
from collections.abc import Mapping
from typing import Any

import botocore.session
import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from chalicelib.aws.calls import ATTEMPTS, RETRY_DELAY_SECONDS, CallFailed, Calls, find_code
from chalicelib.aws.http import SignedClient
from chalicelib.aws.polly import NoVoice, Polly
from chalicelib.aws.s3 import Bucket
from chalicelib.aws.signing import Credentials
from chalicelib.aws.translate import Translate
from chalicelib.aws.wire import Answer, Steps, Unreachable
from tests.unit.fakes import Clock

SESSION = botocore.session.get_session()
LATER = time.monotonic() + 1000
TRANSLATED = Answer(200, json.dumps({"TranslatedText": "Hola"}).encode(), {})
SILENT = Unreachable("timeout", was_sent=True, is_timeout=True)


class PlayedClient:
    """A client that returns or raises its results in order, and repeats the last."""

    def __init__(self, *results: Answer | Unreachable) -> None:
        self.results = list(results)
        self.requests: list[tuple[str, str, bytes, Mapping[str, str]]] = []

    def steps(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,
    ) -> Steps[Answer]:
        assert is_idempotent
        self.requests.append((method, path, body, headers or {}))
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Unreachable):
            raise result
        yield from ()
        return result


def answer(status: int, code: str = "", **headers: str) -> Answer:
    return Answer(status, json.dumps({"__type": code, "message": "secret"}).encode(), headers)


def s3_error(status: int, code: str) -> Answer:
    xml = f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>m</Message></Error>'
    return Answer(status, xml.encode(), {})


def call(client: PlayedClient, clock: Clock, seconds: float = 5) -> Answer:
    calls = Calls(client, clock, clock.sleep)
    return calls.call("POST", "/", b"{}", {}, clock.now + seconds)


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (answer(400, "UnsupportedLanguagePairException"), "UnsupportedLanguagePairException"),
        (answer(403, "com.amazon.coral.service#AccessDenied"), "AccessDenied"),
        (s3_error(404, "NoSuchBucket"), "NoSuchBucket"),
        (Answer(400, b"<html>", {}), "Status400"),
        (Answer(301, b"", {}), "Status301"),
        (Answer(201, b"{}", {}), "Status201"),
    ],
)
def test_a_refusal_is_not_repeated_and_named(refusal: Answer, code: str, clock: Clock) -> None:
    client = PlayedClient(refusal)
    with pytest.raises(CallFailed) as failed:
        call(client, clock)
    assert (failed.value.code, str(failed.value)) == (code, code)
    assert len(client.requests) == 1


TROUBLE = [
    (SILENT, "NoAnswer"),
    (answer(500, "InternalServerException"), "InternalServerException"),
    (answer(400, "TooManyRequestsException"), "TooManyRequestsException"),
    (answer(400, "ThrottlingException"), "ThrottlingException"),
    (Answer(429, b"", {}), "Status429"),
    (s3_error(503, "SlowDown"), "SlowDown"),
]


@pytest.mark.parametrize(("trouble", "code"), TROUBLE)
def test_a_call_is_repeated_once_at_most(
    trouble: Answer | Unreachable, code: str, clock: Clock
) -> None:
    client, began_at = PlayedClient(trouble), clock.now
    with pytest.raises(CallFailed) as failed:
        call(client, clock)
    assert failed.value.code == code
    assert len(client.requests) == ATTEMPTS == 2
    assert clock.now - began_at == pytest.approx(RETRY_DELAY_SECONDS)


@pytest.mark.parametrize(("trouble", "_code"), TROUBLE)
def test_the_second_attempt_can_succeed(
    trouble: Answer | Unreachable, _code: str, clock: Clock
) -> None:
    assert call(PlayedClient(trouble, TRANSLATED), clock) == TRANSLATED


@pytest.mark.parametrize(("seconds", "attempts"), [(0, 0), (-1, 0), (RETRY_DELAY_SECONDS / 2, 1)])
def test_no_attempt_starts_after_the_time_limit(
    seconds: float, attempts: int, clock: Clock
) -> None:
    client = PlayedClient(answer(500))
    with pytest.raises(CallFailed):
        call(client, clock, seconds)
    assert len(client.requests) == attempts


def test_a_silent_service_ends_the_call_at_its_time_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = SignedClient(
            f"http://127.0.0.1:{listener.getsockname()[1]}",
            "translate",
            "eu-west-1",
            lambda: Credentials("key", "secret"),
            connect_timeout_seconds=10,
            read_timeout_seconds=10,
        )
        began_at = time.monotonic()
        with pytest.raises(CallFailed, match="NoAnswer"):
            Translate(client).translate("Hello", "en", "es", began_at + 0.05)
        assert time.monotonic() - began_at < 2


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"__type": "TooManyRequestsException"}', {}),
        (b'{"__type": "com.amazonaws.translate#InternalServerException"}', {}),
        (b"{}", {"x-amzn-errortype": "ValidationException"}),
        (b"{}", {"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/coral/"}),
    ],
)
def test_an_error_has_the_name_that_botocore_reads(body: bytes, headers: dict[str, str]) -> None:
    parser = create_parser("rest-json")
    shape = SESSION.get_service_model("polly").operation_model("SynthesizeSpeech").output_shape
    response = {"status_code": 400, "headers": headers, "body": body}
    expected = parser.parse(response, shape)["Error"]["Code"]
    assert find_code(Answer(400, body, headers)) == expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"__type": 5}',
        b'{"__type": "a caption, <b>spoken</b>"}',
        b'["x"]',
        b"[" * 100_000,
        b"\xff\xfe",
        b"<Code>not a name!</Code>",
    ],
)
def test_a_text_that_is_no_name_is_not_passed_on(body: bytes) -> None:
    assert find_code(Answer(400, body, {})) == "Status400"


@pytest.mark.parametrize(
    "body", [b"", b"x", b"[]", b"{}", b'{"TranslatedText": 5}', b'{"TranslatedText": " "}']
)
def test_a_translation_without_a_text_has_failed(body: bytes) -> None:
    with pytest.raises(CallFailed, match="InvalidAnswer"):
        Translate(PlayedClient(Answer(200, body, {}))).translate("Hello", "en", "es", LATER)


def serialize(service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return botocore's request."""
    model = SESSION.get_service_model(service)
    serializer = create_serializer(model.metadata["protocol"])
    request: dict[str, Any] = serializer.serialize_to_request(
        parameters, model.operation_model(operation)
    )
    return request


def headers_of(request: Mapping[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in request["headers"].items()}


def test_a_translation_is_requested_as_botocore_does() -> None:
    client = PlayedClient(TRANSLATED)
    assert Translate(client).translate("Hello “you”", "en", "es", LATER) == "Hola"
    expected = serialize(
        "translate",
        "TranslateText",
        {"Text": "Hello “you”", "SourceLanguageCode": "en", "TargetLanguageCode": "es"},
    )
    ((method, path, body, headers),) = client.requests
    assert (method, path) == (expected["method"], expected["url_path"])
    assert json.loads(body) == json.loads(expected["body"])
    assert headers == headers_of(expected)


def test_speech_is_requested_as_botocore_does() -> None:
    client = PlayedClient(Answer(200, b"mp3", {}))
    assert Polly(client).synthesize("नमस्ते", "Kajal", "hi-IN", LATER) == b"mp3"
    expected = serialize(
        "polly",
        "SynthesizeSpeech",
        {
            "Engine": "neural",
            "LanguageCode": "hi-IN",
            "OutputFormat": "mp3",
            "SampleRate": "24000",
            "Text": "नमस्ते",
            "TextType": "text",
            "VoiceId": "Kajal",
        },
    )
    ((method, path, body, headers),) = client.requests
    assert (method, path) == (expected["method"], expected["url_path"])
    assert json.loads(body) == json.loads(expected["body"])
    assert headers == headers_of(expected)


@pytest.mark.parametrize(
    "code",
    ["ValidationException", "EngineNotSupportedException", "LanguageNotSupportedException"],
)
def test_a_voice_that_the_region_lacks_is_no_failure(code: str) -> None:
    client = PlayedClient(answer(400, code))
    with pytest.raises(NoVoice):
        Polly(client).synthesize("Hola", "Lucia", "es-ES", LATER)
    assert len(client.requests) == 1


def test_another_refusal_of_polly_is_a_failure() -> None:
    with pytest.raises(CallFailed, match="AccessDeniedException"):
        Polly(PlayedClient(answer(403, "AccessDeniedException"))).synthesize("x", "v", "l", LATER)


def test_an_object_is_stored_as_botocore_does() -> None:
    client = PlayedClient(Answer(200, b"", {}))
    Bucket(client, "the-media").put("a_b-1.mp3", b"mp3", "audio/mpeg", LATER)
    expected = serialize(
        "s3",
        "PutObject",
        {
            "Bucket": "the-media",
            "Key": "a_b-1.mp3",
            "Body": b"mp3",
            "ContentType": "audio/mpeg",
            "CacheControl": "public, max-age=31536000, immutable",
        },
    )
    assert client.requests == [
        (
            expected["method"],
            expected["url_path"],
            expected["body"],
            headers_of(expected),
        )
    ]
