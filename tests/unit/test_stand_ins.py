"""The stand-ins for Translate and Polly, by the SDK and by the interpreter's own clients."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.exceptions import ClientError

from chalicelib.aws.calls import find_code
from chalicelib.aws.http import SignedClient
from chalicelib.aws.signing import Credentials
from chalicelib.aws.wire import Answer
from chalicelib.interpreter import build_interpreter
from chalicelib.mp3 import duration_ms
from chalicelib.speech_settings import read_speech_settings
from chalicelib.voices import VOICES
from local_gateway.asgi import Message
from local_gateway.aws import embedded_aws
from local_gateway.aws_options import AwsOptions, read_options
from operations.stand_ins import developer, espeak, polly, translate
from operations.stand_ins.service import MAX_REQUEST_BYTES, StandIn
from tests.terraform.requirements import lacks
from tests.unit.test_interpreter import FakePublisher
from tests.unit.test_signed_http import PlayedServer
from tests.unit.test_spoken_events import EVENT

OPTIONS = read_options(Path(), json.loads(Path(".chalice/config.json").read_text()))
TRANSLATE = {"Text": "Hello", "SourceLanguageCode": "en", "TargetLanguageCode": "es"}
SPEAK = {
    "Engine": "neural",
    "OutputFormat": "mp3",
    "SampleRate": "24000",
    "Text": "Hola",
    "VoiceId": "Lucia",
}


@pytest.fixture
def espeak_ng() -> None:
    if not espeak.is_installed():
        lacks("espeak-ng and lame")


def ask(app: StandIn, body: bytes, path: str = "/", method: str = "POST", **headers: str) -> Answer:
    """Send a request in two parts, as an ASGI server does."""
    half = len(body) // 2
    parts = [(body[:half], True), (body[half:], False)]
    sent: list[Message] = []

    async def receive() -> Message:
        part, has_more = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": has_more}

    async def send(message: Message) -> None:
        sent.append(message)

    named = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": named}
    asyncio.run(app(scope, receive, send))
    start, content = sent
    received = {name.decode(): value.decode() for name, value in start["headers"]}
    assert received["content-length"] == str(len(content["body"]))
    return Answer(start["status"], content["body"], received)


def ask_translate(parameters: Any, target: str = translate.TARGET) -> Answer:
    return ask(translate.app, json.dumps(parameters).encode(), x_amz_target=target)


async def speak(text: str, language_code: str, sample_rate: int) -> bytes:
    return f"{language_code} {sample_rate} {text}".encode()


async def fail(text: str, language_code: str, sample_rate: int) -> bytes:
    raise espeak.SpeechFailed("lame has failed")


def ask_polly(parameters: Any, by: polly.Speak | None = speak, path: str = "/v1/speech") -> Answer:
    app = StandIn(polly.CONTENT_TYPE, polly.synthesizer(by))
    return ask(app, json.dumps(parameters).encode(), path)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Text": None}, "ValidationException"),
        ({"Text": ""}, "ValidationException"),
        ({"Text": 5}, "ValidationException"),
        ({"Text": "ä" * 5001}, "TextSizeLimitExceededException"),
        ({"SourceLanguageCode": None}, "ValidationException"),
        ({"SourceLanguageCode": "auto"}, "UnsupportedLanguagePairException"),
        ({"TargetLanguageCode": "xx"}, "UnsupportedLanguagePairException"),
    ],
)
def test_an_invalid_translation_is_refused_by_name(changes: dict[str, Any], code: str) -> None:
    answer = ask_translate({**TRANSLATE, **changes})
    assert (answer.status, find_code(answer)) == (400, code)


@pytest.mark.parametrize("target", ["", "AWSShineFrontendService_20170701.ListLanguages"])
def test_another_operation_of_translate_is_unknown(target: str) -> None:
    assert find_code(ask_translate(TRANSLATE, target)) == "UnknownOperationException"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000, b"\xff"])
def test_a_request_that_is_no_json_object_is_refused(body: bytes) -> None:
    answer = ask(translate.app, body, x_amz_target=translate.TARGET)
    assert (answer.status, find_code(answer)) == (400, "SerializationException")


def test_a_request_that_is_too_long_is_refused() -> None:
    answer = ask(translate.app, b"x" * (2 * MAX_REQUEST_BYTES + 2))
    assert (answer.status, find_code(answer)) == (413, "RequestEntityTooLargeException")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Text": ""}, "ValidationException"),
        ({"VoiceId": None}, "ValidationException"),
        ({"VoiceId": "Maxim"}, "ValidationException"),
        ({"Engine": "standard"}, "ValidationException"),
        ({"Engine": None}, "ValidationException"),
        ({"OutputFormat": "pcm"}, "ValidationException"),
        ({"TextType": "ssml"}, "ValidationException"),
        ({"SampleRate": "44100"}, "InvalidSampleRateException"),
        ({"SampleRate": 24000}, "InvalidSampleRateException"),
        ({"Text": "x" * 3001}, "TextLengthExceededException"),
    ],
)
def test_invalid_speech_is_refused_by_name(changes: dict[str, Any], code: str) -> None:
    answer = ask_polly({**SPEAK, **changes})
    assert (answer.status, find_code(answer)) == (400, code)


def test_without_a_synthesizer_no_voice_has_the_neural_engine() -> None:
    answer = ask_polly(SPEAK, None)
    assert (answer.status, find_code(answer)) == (400, "ValidationException")
    assert "does not support the selected engine: neural" in answer.body.decode()


def test_a_synthesizer_that_fails_is_a_failure_of_the_service() -> None:
    answer = ask_polly(SPEAK, fail)
    assert (answer.status, find_code(answer)) == (500, "ServiceFailureException")


@pytest.mark.parametrize("path", ["/", "/v1/voices", "/v1/speech/"])
def test_another_operation_of_polly_is_unknown(path: str) -> None:
    assert find_code(ask_polly(SPEAK, path=path)) == "UnknownOperationException"


def test_each_voice_speaks_its_language() -> None:
    for voice_id, language_code in VOICES.values():
        answer = ask_polly({**SPEAK, "VoiceId": voice_id})
        assert (answer.status, answer.headers["content-type"]) == (200, "audio/mpeg")
        assert answer.body == f"{language_code} 24000 Hola".encode()


def test_a_websocket_is_closed() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    asyncio.run(translate.app({"type": "websocket", "path": "/"}, receive, send))
    assert sent == [{"type": "websocket.close"}]


Programs = Callable[[str, str], None]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Return a function that puts scripts in place of espeak-ng and lame."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def put(espeak_ng: str, lame: str) -> None:
        for name, commands in (("espeak-ng", espeak_ng), ("lame", lame)):
            (tmp_path / name).write_text(f"#!/bin/sh\n{commands}\n")
            (tmp_path / name).chmod(0o755)

    return put


@pytest.mark.parametrize(
    ("espeak_ng", "lame", "named"),
    [
        ("exit 1", "cat", "espeak-ng"),
        ("cat > /dev/null", "cat", "espeak-ng"),
        ("cat", "echo half; exit 1", "lame"),
        ("exec sleep 60", "cat", "espeak-ng takes too long"),
    ],
)
def test_a_program_that_fails_is_named(
    programs: Programs,
    monkeypatch: pytest.MonkeyPatch,
    espeak_ng: str,
    lame: str,
    named: str,
) -> None:
    programs(espeak_ng, lame)
    monkeypatch.setattr(espeak, "SECONDS", 0.6 if "sleep" in espeak_ng else espeak.SECONDS)
    with pytest.raises(espeak.SpeechFailed, match=f"^{named}"):
        asyncio.run(espeak.speak("Hola", "es-ES", 24000))


def test_the_text_is_no_argument_of_a_program(programs: Programs) -> None:
    programs('echo "$@"; cat', 'echo "$@"; cat')
    said = asyncio.run(espeak.speak("--version\ud800", "pt-BR", 22050)).decode().splitlines()
    assert said == [
        "--quiet -t --resample 22.05 -m m -b 48 - -",
        "-v pt-br --stdin --stdout",
        "--version?",
    ]


@pytest.mark.usefixtures("espeak_ng")
@pytest.mark.parametrize("language", VOICES)
def test_espeak_has_each_language(language: str) -> None:
    mp3 = asyncio.run(espeak.speak("1 2 3", VOICES[language].language_code, 24000))
    assert 300 < duration_ms(mp3) < 10_000


@contextmanager
def played(answer: bytes) -> Iterator[PlayedServer]:
    """Run a server with one answer to one request."""
    server = PlayedServer([[answer]])
    yield server
    server.stop()


def ask_aws(server: PlayedServer, **headers: str) -> Answer:
    """Send a request to a stand-in that passes it on to a server in place of AWS."""
    keys = Credentials("AKIDME", "secret", "token")
    app = StandIn("application/json", developer.forward("polly", server.url, keys, "eu-west-1"))
    return ask(app, b'{"Text": "Hola"}', "/v1/speech", **headers)


def test_an_aws_that_does_not_answer_is_unavailable() -> None:
    with played(b"") as server:
        answer = ask_aws(server)
    assert (answer.status, find_code(answer)) == (503, "ServiceUnavailable")


def test_a_refusal_of_aws_is_passed_on() -> None:
    refusal = (
        b"HTTP/1.1 400 Bad Request\r\nx-amzn-ErrorType: ThrottlingException\r\n"
        b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"
    )
    with played(refusal) as server:
        answer = ask_aws(server)
    assert (answer.status, find_code(answer)) == (400, "ThrottlingException")


def test_a_request_is_passed_on_with_the_developers_credentials() -> None:
    success = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nConnection: close\r\n\r\nmp3"
    with played(success) as server:
        answer = ask_aws(
            server,
            content_type="application/json",
            authorization="AWS4-HMAC-SHA256 Credential=local/x",
            x_amz_security_token="local",
        )
    assert (answer.status, answer.body) == (200, b"mp3")
    assert answer.headers["content-type"] == "audio/mpeg"
    ((request,),) = server.requests
    head, _, body = request.decode().partition("\r\n\r\n")
    assert body == '{"Text": "Hola"}'
    assert head.startswith("POST /local/v1/speech HTTP/1.1\r\n")
    assert "\r\ncontent-type: application/json\r\n" in head
    assert "\r\nx-amz-security-token: token\r\n" in head
    assert "Credential=AKIDME/" in head
    assert "Credential=local/" not in head


@pytest.mark.parametrize("token", [None, "token"])
def test_credentials_reach_the_stand_ins(
    monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    assert not developer.is_given()
    given = developer.encode(Credentials("AKIDME", "secret", token), "eu-west-1")
    monkeypatch.setenv(developer.VARIABLE, given)
    assert developer.is_given()
    assert callable(developer.forward_to("translate"))


@pytest.fixture(scope="module")
def local() -> Iterator[dict[str, str]]:
    """Start the emulator with the stand-ins and buckets of .chalice/config.json."""
    assert OPTIONS
    options = AwsOptions(stand_ins=OPTIONS.stand_ins, buckets=OPTIONS.buckets)
    with embedded_aws(Path(), "broadcast-sessions-local", options) as environment:
        yield environment


def sdk(local: dict[str, str], service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=local[f"AWS_ENDPOINT_URL_{service.upper()}"],
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


def test_the_sdk_understands_an_error(local: dict[str, str]) -> None:
    client = sdk(local, "translate")
    with pytest.raises(client.exceptions.UnsupportedLanguagePairException):
        client.translate_text(Text="Hello", SourceLanguageCode="en", TargetLanguageCode="xx")
    with pytest.raises(ClientError) as refused:
        sdk(local, "polly").synthesize_speech(
            Engine="neural", Text="x", OutputFormat="mp3", VoiceId="Maxim"
        )
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_the_sdk_gets_a_marked_text(local: dict[str, str]) -> None:
    assert sdk(local, "translate").translate_text(**TRANSLATE)["TranslatedText"] == "[es] Hello"


def interpret(local: dict[str, str]) -> FakePublisher:
    """Interpret a phrase with real clients."""
    clients: list[SignedClient] = []

    def new_client(service: str, timeout_seconds: float) -> SignedClient:
        name = f"AWS_ENDPOINT_URL_{service.upper()}"
        clients.append(
            SignedClient(
                local.get(name, local["AWS_ENDPOINT_URL"]),
                service,
                "us-east-1",
                lambda: Credentials("local", "local"),
                connect_timeout_seconds=10,
                read_timeout_seconds=10 * timeout_seconds,
            )
        )
        return clients[-1]

    publisher = FakePublisher()
    settings = read_speech_settings({**local, "SPEECH": "on"})
    build_interpreter(publisher, new_client, settings).interpret(EVENT)
    for client in clients:
        client.close()
    return publisher


def test_a_phrase_goes_out_in_each_language(local: dict[str, str]) -> None:
    published = interpret(local).published
    assert {language: it[1].text for language, it in published.items()} == {
        "es": "[es] Good morning",
        "fr": "[fr] Good morning",
    }


@pytest.mark.usefixtures("espeak_ng")
def test_a_page_can_play_a_phrase(local: dict[str, str]) -> None:
    caption = interpret(local).published["es"][1]
    assert caption.audio
    assert caption.audio.url
    answer = fetch(caption.audio.url)
    assert duration_ms(answer) == caption.duration_ms


def fetch(url: str) -> bytes:
    request = Request(url, headers={"Origin": "https://pages.example"})
    with urlopen(request, timeout=10) as response:
        assert response.headers["Content-Type"] == "audio/mpeg"
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        content: bytes = response.read()
    return content
