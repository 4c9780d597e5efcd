"""The duration of MP3 data, made of frames as ISO/IEC 11172-3 describes them."""

import pytest

from chalicelib.mp3 import NotMp3, duration_ms

MPEG_1, MPEG_2, MPEG_2_5 = 3, 2, 0
STEREO, MONO = 0, 3


def frame(
    version: int = MPEG_2,
    bitrate: int = 4,
    rate: int = 1,
    padding: int = 0,
    mode: int = MONO,
    size: int = 0,
    content: bytes = b"",
) -> bytes:
    """Return a frame; by default of 96 bytes and 24 ms: MPEG-2, 32 kbit/s, 24 kHz, mono."""
    header = 0x7FF << 21 | version << 19 | 1 << 17 | 1 << 16
    header |= bitrate << 12 | rate << 10 | padding << 9 | mode << 6
    return (header.to_bytes(4) + content).ljust(size or 96 + padding, b"\0")


SECOND = frame() * 50
"""1,200 ms."""


def id3(content: bytes, flags: int = 0) -> bytes:
    size = len(content)
    synchsafe = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    footer = b"3DI" + bytes(7) if flags & 0x10 else b""
    return b"ID3\x04\x00" + bytes([flags]) + synchsafe + content + footer


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 500,
        b"<html>an error page</html>",
        b"RIFF\0\0\0\0WAVEfmt ",
        SECOND[1:],
        SECOND[:-1],
        SECOND + b"garbage",
        SECOND[:-94],
        frame(bitrate=0),
        frame(bitrate=15),
        frame(rate=3),
        frame(version=1),
        b"\xff\xfd" + frame()[2:],  # layer II
        b"ID3",
        b"ID3\x04\x00\x00\xff\xff\xff\xff" + SECOND,
        b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + SECOND,
        id3(b"title"),
        b"TAG" + bytes(125),
    ],
)
def test_data_that_is_not_complete_mp3_is_refused(data: bytes) -> None:
    with pytest.raises(NotMp3):
        duration_ms(data)


def test_every_cut_of_a_frame_is_refused() -> None:
    for length in range(1, 96):
        with pytest.raises(NotMp3):
            duration_ms(frame() + frame()[:length])


@pytest.mark.parametrize(
    ("data", "expected_ms"),
    [
        (frame(), 24),
        (SECOND, 1200),
        (frame(MPEG_1, bitrate=9, rate=0, size=417), 26),
        (frame(MPEG_1, bitrate=9, rate=0, padding=1, size=418), 26),
        (frame(MPEG_1, bitrate=14, rate=1, size=960), 24),
        (frame(MPEG_1, bitrate=1, rate=2, size=144), 36),
        (frame(MPEG_2, bitrate=8, rate=0, size=208), 26),
        (frame(MPEG_2_5, bitrate=1, rate=2, size=72), 72),
        (frame(bitrate=4) + frame(bitrate=8, size=192) + frame(bitrate=1, size=24), 72),
    ],
    ids=["one", "many", "44.1 kHz", "padded", "48 kHz", "32 kHz", "22.05 kHz", "8 kHz", "variable"],
)
def test_the_duration_is_that_of_the_frames(data: bytes, expected_ms: int) -> None:
    assert duration_ms(data) == expected_ms


def test_tags_do_not_count() -> None:
    tagged = id3(b"title" * 40) + SECOND + b"TAG" + bytes(125)
    assert duration_ms(tagged) == 1200
    assert duration_ms(id3(b"title", flags=0x10) + SECOND) == 1200


@pytest.mark.parametrize(
    ("described", "side_bytes", "size", "expected_ms"),
    [
        (frame(MPEG_2, mode=MONO), 9, 96, 1200),
        (frame(MPEG_2, mode=STEREO), 17, 96, 1200),
        (frame(MPEG_1, bitrate=9, rate=0, mode=STEREO, size=417), 32, 417, 1200),
        (frame(MPEG_1, bitrate=9, rate=0, mode=MONO, size=417), 17, 417, 1200),
    ],
)
@pytest.mark.parametrize("name", [b"Xing", b"Info"])
def test_a_frame_that_describes_the_others_does_not_count(
    described: bytes, side_bytes: int, size: int, expected_ms: int, name: bytes
) -> None:
    header = described[:4]
    first = (header + bytes(side_bytes) + name).ljust(size, b"\0")
    assert duration_ms(first + SECOND) == expected_ms


def test_an_hour_takes_no_time() -> None:
    assert duration_ms(frame() * (3600 * 1000 // 24)) == 3_600_000
