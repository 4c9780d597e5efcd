"""The requests of pipelines that publish captions."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib import publish_requests, telemetry
from chalicelib.assembly import UseCases
from chalicelib.dispatch import Dispatcher
from chalicelib.models import Audio, Caption
from chalicelib.publish_requests import PublishRequest
from chalicelib.store.stores import Stores
from tests.unit.fakes import FakeConnections, frame, join, scan, with_failing

CAPTION = {"captionId": "phrase-1", "text": "Buenos días.", "startedAt": 1_800_000_000_000}
DATA = {"data": "AAAA", "contentType": "audio/mpeg"}


def request(session_id: str = "golden-eagle-427", *captions: Any, **rest: Any) -> dict[str, Any]:
    listed = list(captions) or [CAPTION]
    return {"sessionId": session_id, "language": "es", "captions": listed, **rest}


def without(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


@pytest.fixture
def answer(use_cases: UseCases) -> Callable[[Any], dict[str, Any]]:
    """Return a function that publishes as the function `publish` does, over JSON both ways."""

    def answer(event: Any) -> dict[str, Any]:
        answered = publish_requests.answer(use_cases.publishing, json.loads(json.dumps(event)))
        parsed: dict[str, Any] = json.loads(json.dumps(answered))
        return parsed

    return answer


@pytest.mark.parametrize(
    ("event", "code", "field"),
    [
        ({}, "INVALID_PARAMETERS", "sessionId"),
        ([], "INVALID_PARAMETERS", "event"),
        (None, "INVALID_PARAMETERS", "event"),
        ("marked", "INVALID_PARAMETERS", "event"),
        (request(""), "INVALID_PARAMETERS", "sessionId"),
        (request("x"), "INVALID_SESSION_ID", "sessionId"),
        (request(sessionId=7), "INVALID_PARAMETERS", "sessionId"),
        (without("language", request()), "INVALID_PARAMETERS", "language"),
        (request(language="tlh"), "UNSUPPORTED_LANGUAGE", "language"),
        (request(language=None), "INVALID_PARAMETERS", "language"),
        (without("captions", request()), "INVALID_PARAMETERS", "captions"),
        (request(captions=None), "INVALID_PARAMETERS", "captions"),
        (request(captions={}), "INVALID_PARAMETERS", "captions"),
        (request(captions=[]), "INVALID_PARAMETERS", "captions"),
        (request(captions=[CAPTION] * 11), "INVALID_PARAMETERS", "captions"),
        (request(captions=[CAPTION, "x"]), "INVALID_PARAMETERS", "captions[1]"),
        (request(captions=[None]), "INVALID_PARAMETERS", "captions[0]"),
    ],
)
def test_a_malformed_request_is_refused(
    answer: Callable[[Any], dict[str, Any]], event: Any, code: str, field: str
) -> None:
    error = answer(event)["error"]
    assert (error["code"], error["details"]["field"]) == (code, field)
    assert error["temporary"] is False
    assert error["message"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"captionId": ""}, "captionId"),
        ({"captionId": 7}, "captionId"),
        ({"captionId": "x" * 129}, "captionId"),
        ({"captionId": "a\nb"}, "captionId"),
        ({"captionId": "\u202ea"}, "captionId"),
        ({"text": ""}, "text"),
        ({"text": "  "}, "text"),
        ({"text": None}, "text"),
        ({"text": "a" * 1001}, "text"),
        ({"text": "a\u0000b"}, "text"),
        ({"text": "\ud83d"}, "text"),
        ({"startedAt": -1}, "startedAt"),
        ({"startedAt": 0.5}, "startedAt"),
        ({"startedAt": "2026-11-27"}, "startedAt"),
        ({"startedAt": True}, "startedAt"),
        ({"startedAt": None}, "startedAt"),
        ({"startedAt": 2**53}, "startedAt"),
        ({"startedAt": 1e300}, "startedAt"),
        ({"startedAt": float("nan")}, "startedAt"),
        ({"startedAt": float("inf")}, "startedAt"),
        ({"durationMs": -1}, "durationMs"),
        ({"durationMs": "900"}, "durationMs"),
        ({"durationMs": None}, "durationMs"),
        ({"audio": None}, "audio"),
        ({"audio": "https://media.example/1.mp3"}, "audio"),
        ({"audio": {}}, "audio"),
        ({"audio": {"url": "https://media.example/1.mp3", **DATA}}, "audio"),
        ({"audio": {"data": "AAAA"}}, "audio.contentType"),
        ({"audio": {**DATA, "contentType": "text/html"}}, "audio.contentType"),
        ({"audio": {**DATA, "contentType": ""}}, "audio.contentType"),
        ({"audio": {**DATA, "data": ""}}, "audio.data"),
        ({"audio": {**DATA, "data": "AAA"}}, "audio.data"),
        ({"audio": {**DATA, "data": "A-_="}}, "audio.data"),
        ({"audio": {**DATA, "data": "AA AA"}}, "audio.data"),
        ({"audio": {**DATA, "data": 7}}, "audio.data"),
        *(
            ({"audio": {"url": url}}, "audio.url")
            for url in (
                "http://media.example/1.mp3",
                "ftp://media.example/1.mp3",
                "//media.example/1.mp3",
                "media.example/1.mp3",
                "https:///1.mp3",
                "https://",
                "https://[media/1.mp3",
                "https://media.example/a b.mp3",
                "javascript:alert(1)",
                "data:audio/mpeg;base64,AAAA",
            )
        ),
        ({"audio": {"url": ""}}, "audio.url"),
        ({"audio": {"url": "https://media.example/\n"}}, "audio.url"),
        ({"audio": {"url": "https://media.example/" + "x" * 2048}}, "audio.url"),
    ],
)
def test_an_error_names_the_caption_and_its_field(
    answer: Callable[[Any], dict[str, Any]], session_id: str, dynamodb: Any, change: Any, field: str
) -> None:
    error = answer(request(session_id, CAPTION, {**CAPTION, **change}))["error"]
    assert (error["code"], error["details"]["field"]) == (
        "INVALID_PARAMETERS",
        f"captions[1].{field}",
    )
    assert error["message"].startswith("captions[1].")
    assert scan(dynamodb, "captions") == []


@pytest.mark.parametrize("name", CAPTION)
def test_an_error_names_a_missing_field_of_a_caption(
    answer: Callable[[Any], dict[str, Any]], session_id: str, name: str
) -> None:
    error = answer(request(session_id, without(name, CAPTION)))["error"]
    assert error == {
        "code": "INVALID_PARAMETERS",
        "message": f"captions[0].{name} is missing.",
        "temporary": False,
        "details": {"field": f"captions[0].{name}"},
    }


@pytest.mark.parametrize("kilobytes", [33, 200])
def test_a_caption_that_is_too_large_is_refused(
    answer: Callable[[Any], dict[str, Any]], session_id: str, kilobytes: int
) -> None:
    large = {**CAPTION, "audio": {**DATA, "data": "A" * kilobytes * 1024}}
    assert answer(request(session_id, large))["error"]["code"] == "MESSAGE_TOO_LARGE"


def test_a_session_that_does_not_exist_or_has_ended_is_not_found(
    answer: Callable[[Any], dict[str, Any]], session_id: str, dispatcher: Dispatcher
) -> None:
    assert answer(request("golden-eagle-999"))["error"]["code"] == "SESSION_NOT_FOUND"
    dispatcher.message(frame("speaker=", "user-1", action="endSession"))
    assert answer(request(session_id))["error"]["code"] == "SESSION_NOT_FOUND"


def test_an_unavailable_store_asks_for_patience(
    build: Callable[..., UseCases], stores: Stores, session_id: str
) -> None:
    broken = build(stores=with_failing(stores, "caption_numbers.give")).publishing
    error = publish_requests.answer(broken, request(session_id))["error"]
    assert (error["code"], error["retryAfter"], error["temporary"]) == (
        "SERVICE_UNAVAILABLE",
        2,
        True,
    )


def test_an_unexpected_error_is_answered_and_logged_without_the_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Broken:
        def publish(self, *_: object) -> None:
            raise KeyError("marked")

    telemetry.configure("DEBUG", "dev", b"key")
    broken: Any = Broken()
    answered = publish_requests.answer(broken, request("golden-eagle-427", CAPTION))
    assert answered["error"]["code"] == "INTERNAL_ERROR"
    out = capsys.readouterr().out
    assert "KeyError" in out
    assert "marked" not in out
    assert "Buenos" not in out


def test_a_request_is_parsed_with_the_supported_code_of_its_language() -> None:
    captions = (
        {**CAPTION, "durationMs": 900.0, "audio": {"url": "https://media.example/1.mp3?x=1"}},
        {**CAPTION, "captionId": "phrase-2", "text": "<b>\u202e", "audio": DATA, "more": "ignored"},
    )
    parsed = publish_requests.parse(
        {**request("Golden Eagle 427", *captions), "language": "es-MX-x-y", "more": 1}
    )
    started = 1_800_000_000_000
    assert parsed == PublishRequest(
        "golden-eagle-427",
        "es-MX",
        (
            Caption(
                "phrase-1",
                "Buenos días.",
                started,
                900,
                Audio(url="https://media.example/1.mp3?x=1"),
            ),
            Caption("phrase-2", "<b>\u202e", started, None, Audio(None, "AAAA", "audio/mpeg")),
        ),
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://media.example/1.mp3",
        "HTTPS://media.example/1.mp3",
        "https://media.example/" + "x" * 2026,
    ],
)
def test_an_https_url_is_kept_as_it_is(url: str) -> None:
    parsed = publish_requests.parse(request("a-b-100", {**CAPTION, "audio": {"url": url}}))
    assert parsed.captions[0].audio == Audio(url=url)


def test_an_answer_counts_the_deliveries_of_all_captions(
    answer: Callable[[Any], dict[str, Any]],
    session_id: str,
    dispatcher: Dispatcher,
    phones: FakeConnections,
) -> None:
    for number, language in enumerate(("es", "es", "fr")):
        join(dispatcher, number, session_id, language)
    phones.throttled.add("listener-1=")
    two = [{**CAPTION, "captionId": f"phrase-{number}"} for number in (1, 2)]
    assert answer(request(session_id, *two)) == {
        "seqs": [1, 2],
        "reached": 2,
        "gone": 0,
        "failed": 2,
        "listeners": 2,
    }
    assert [each["seq"] for each in phones.inbox["listener-0="]] == [1, 2]
    again = answer(request(session_id, *two))
    assert again == {"seqs": [1, 2], "reached": 0, "gone": 0, "failed": 0, "listeners": 0}


def test_ten_captions_fit_into_one_request(
    answer: Callable[[Any], dict[str, Any]], session_id: str
) -> None:
    ten = [{**CAPTION, "captionId": f"phrase-{number}"} for number in range(10)]
    assert answer(request(session_id, *ten))["seqs"] == list(range(1, 11))


def test_an_event_is_logged_with_its_session(
    answer: Callable[[Any], dict[str, Any]], session_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.configure("INFO", "dev", b"key")
    answer(request(session_id))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (handled,) = [line for line in lines if line.get("message") == "event handled"]
    assert (handled["event"], handled["code"], handled["sessionId"]) == (
        "publish",
        "OK",
        session_id,
    )
