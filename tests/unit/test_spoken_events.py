"""The check of the pipeline's event `captionSpoken`."""

from typing import Any

import pytest

from chalicelib.spoken_events import InvalidEvent, SpokenCaption, parse

EVENT = {
    "version": 1,
    "type": "captionSpoken",
    "sessionId": "golden-eagle-427",
    "timestamp": 1_800_000_000_500,
    "language": "en",
    "captionId": "a1",
    "text": "Good morning",
    "startedAt": 1_800_000_000_000,
    "languages": ["es", "fr"],
    "seq": 7,
}


@pytest.mark.parametrize(
    ("member", "values"),
    [
        ("version", [None, 2, "1"]),
        ("sessionId", [None, "", 5, "x" * 257]),
        ("language", [None, "", "xx", ["en"], {}]),
        ("captionId", [None, "", 5, "x" * 257, "\ud800"]),
        ("text", [None, "", " \n", 5, ["x"], "x" * 1001]),
        ("startedAt", [None, "1", 1.5, True, -1]),
        ("languages", [None, "es", {"es": 1}, ["es", "xx"], ["es", None], [["es"]]]),
        ("seq", [0, -1, True, "7", 7.0, 2**53]),
    ],
)
def test_a_missing_or_invalid_member_is_named_without_its_value(
    member: str, values: list[Any]
) -> None:
    for value in values:
        with pytest.raises(InvalidEvent) as refused:
            parse({**EVENT, member: value})
        assert str(refused.value) == member
    if member != "seq":
        with pytest.raises(InvalidEvent, match=f"^{member}$"):
            parse({name: value for name, value in EVENT.items() if name != member})


@pytest.mark.parametrize("event", [None, [], "captionSpoken", 5])
def test_an_event_that_is_no_object_is_refused(event: Any) -> None:
    with pytest.raises(InvalidEvent):
        parse(event)


@pytest.mark.parametrize("type_", ["sessionStarted", "languageActive", "unheard", None, 5, []])
def test_events_of_other_types_are_ignored(type_: Any) -> None:
    assert parse({"version": 1, "type": type_}) is None


def test_a_spoken_caption_is_read() -> None:
    assert parse(EVENT) == SpokenCaption(
        "golden-eagle-427", "en", "a1", "Good morning", 1_800_000_000_000, ("es", "fr"), 7
    )


def test_a_spoken_caption_can_come_without_a_number() -> None:
    spoken = parse({name: value for name, value in EVENT.items() if name != "seq"})
    assert spoken
    assert spoken.seq is None


def test_each_language_is_named_once_and_the_speakers_own_never() -> None:
    spoken = parse({**EVENT, "languages": ["fr", "en", "es", "fr"]})
    assert spoken
    assert spoken.languages == ("fr", "es")
