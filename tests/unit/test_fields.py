"""The readers of a caption's text and of whole numbers."""

import json
from typing import Any

import pytest

from chalicelib.errors import InvalidAction, InvalidParameters
from chalicelib.fields import MAX_WHOLE_NUMBER, find_whole_number, read_caption_text, read_frame


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "is missing"),
        ({"text": None}, "must be a string"),
        ({"text": 7}, "must be a string"),
        ({"text": ["a"]}, "must be a string"),
        ({"text": ""}, "is empty"),
        ({"text": " \t\n"}, "is empty"),
        ({"text": "\u2003"}, "is empty"),
        ({"text": "a" * 1001}, "may have 1000 characters at most"),
        *(
            ({"text": f"a{each}b"}, "contains a control character or an unpaired surrogate")
            for each in ("\x00", "\t", "\n", "\r", "\x1b", "\x7f", "\x85", "\ud800", "\udfff")
        ),
    ],
)
def test_the_words_of_a_caption_are_refused(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        read_caption_text(fields)
    assert refusal.value.field == "text"
    assert refusal.value.message == f"text {problem}."


def test_repeated_words_are_refused() -> None:
    with pytest.raises(InvalidParameters, match="only once"):
        read_caption_text(read_frame('{"text": "a", "text": "a"}'))


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a" * 1000,
        "\U0001f600" * 1000,
        " Good  morning. ",
        "<script>alert('&amp;')</script>",
        "\u202eright to left\u202c",
        "\u2066isolated\u2069 \u200f\u200e",
        "e\u0301 \u00e9 \u200d\ufeff",
        "line\u2028separator",
    ],
)
def test_the_words_of_a_caption_are_kept_as_they_are(text: str) -> None:
    assert read_caption_text(read_frame(json.dumps({"text": text}))) == text


@pytest.mark.parametrize(
    "text",
    [
        *("-1", "0.5", "-0.1", "1e-9", "9007199254740992", "9007199254740993", "1e16", "1e308"),
        *("1e999", "-1e999", "1" * 4000, "true", "false", "null", '"1"', "[1]", "{}"),
    ],
)
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameters, match="must be a whole number") as refusal:
        find_whole_number(read_frame(f'{{"afterSeq": {text}}}'), "afterSeq")
    assert refusal.value.field == "afterSeq"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(InvalidParameters):
        find_whole_number({"startedAt": value}, "startedAt")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_a_frame_with_a_number_that_json_does_not_have_is_refused(text: str) -> None:
    with pytest.raises(InvalidAction):
        read_frame(f'{{"afterSeq": {text}}}')


def test_a_repeated_number_is_refused() -> None:
    with pytest.raises(InvalidParameters, match="only once"):
        find_whole_number(read_frame('{"afterSeq": 1, "afterSeq": 1}'), "afterSeq")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("7", 7),
        ("7.0", 7),
        ("1e3", 1000),
        ("9007199254740991", MAX_WHOLE_NUMBER),
        ("9007199254740991.0", MAX_WHOLE_NUMBER),
    ],
)
def test_a_whole_number_is_read_however_it_is_written(text: str, number: int) -> None:
    found = find_whole_number(read_frame(f'{{"afterSeq": {text}}}'), "afterSeq")
    assert found == number
    assert isinstance(found, int)


def test_a_missing_number_is_none() -> None:
    assert find_whole_number({}, "afterSeq") is None
