"""Captions with fields of any kind."""

import base64
import math
from typing import Any

import pytest

from broadcast_sessions_client import Audio, Caption
from broadcast_sessions_client.caption_messages import Answer, read_answer, read_caption
from broadcast_sessions_client.messages import LARGEST
from client_support.captions import answer, caption, message

SOUND = b"\xff\xf3\x44\xc4"
IN_BASE64 = base64.b64encode(SOUND).decode()
ODD_NUMBERS: list[Any] = [None, True, "7", -1, 7.5, math.inf, math.nan, 10**400, LARGEST + 1, [7]]
ODD_TEXTS: list[Any] = [None, True, 7, "", ["x"], {}]


def test_a_caption_has_the_fields_of_its_message() -> None:
    fields = message(7) | {"durationMs": 2500, "timestamp": 1795708803000}
    expected = Caption(
        session_id="golden-eagle-427",
        language="es",
        seq=7,
        caption_id="c7",
        text="Frase 7",
        started_at=1795708802007,
        duration_ms=2500,
    )
    assert read_caption(fields) == expected


@pytest.mark.parametrize(
    ("field", "value"),
    [("seq", 0)]
    + [(field, value) for field in ("seq", "startedAt") for value in ODD_NUMBERS]
    + [(field, value) for field in ("language", "captionId", "text") for value in ODD_TEXTS],
)
def test_a_caption_with_an_odd_field_is_none(field: str, value: Any) -> None:
    fields = message(7)
    assert read_caption(fields | {field: value}) is None
    del fields[field]
    assert read_caption(fields) is None


@pytest.mark.parametrize("value", ODD_NUMBERS)
def test_an_odd_duration_is_missing(value: Any) -> None:
    assert read_caption(message(7) | {"durationMs": value}) == caption(7)


def test_a_whole_number_can_be_written_with_a_point() -> None:
    read = read_caption(message(7) | {"seq": 7.0})
    assert read == caption(7)
    assert isinstance(read, Caption)
    assert isinstance(read.seq, int)


@pytest.mark.parametrize(
    ("field", "audio"),
    [
        ({"url": "https://m.example/a.mp3"}, Audio(url="https://m.example/a.mp3")),
        (
            {"data": IN_BASE64, "contentType": "audio/mpeg"},
            Audio(data=SOUND, content_type="audio/mpeg"),
        ),
        ({"data": IN_BASE64}, None),
        ({"contentType": "audio/mpeg"}, None),
        ({"data": "no base64", "contentType": "audio/mpeg"}, None),
        ({"data": "ñ", "contentType": "audio/mpeg"}, None),
        ({"data": 7, "contentType": ["audio/mpeg"]}, None),
        ({"url": 7}, None),
        ({}, None),
        ("https://m.example/a.mp3", None),
        (None, None),
    ],
)
def test_audio_is_a_url_or_data_with_its_type(field: Any, audio: Audio | None) -> None:
    read = read_caption(message(7) | {"audio": field})
    assert isinstance(read, Caption)
    assert read.audio == audio


def test_an_answer_has_the_valid_ones_of_its_items() -> None:
    fields = answer([5, 7], 8, missed=2)
    fields["items"] += [None, 7, "x", [], {}, {"seq": 6}, message(6) | {"seq": "6"}]
    assert read_answer(fields, "es") == Answer([caption(5), caption(7)], 8)


@pytest.mark.parametrize("items", [None, 7, "x", {}, {"seq": 6}])
def test_an_answer_without_a_list_of_items_is_none(items: Any) -> None:
    assert read_answer(answer([], 8) | {"items": items}, "es") is None


@pytest.mark.parametrize("last_seq", ODD_NUMBERS)
def test_an_answer_without_a_last_number_is_none(last_seq: Any) -> None:
    assert read_answer(answer([5], 5) | {"lastSeq": last_seq}, "es") is None


def test_an_answer_about_another_language_is_none() -> None:
    assert read_answer(answer([5], 5, language="fr"), "es") is None
    assert read_answer(answer([5], 5) | {"targetLanguage": None}, "es") is None
