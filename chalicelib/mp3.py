"""The duration of MP3 data."""

from typing import Final

_BITRATES_1: Final = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BITRATES_2: Final = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES: Final = (44_100, 48_000, 32_000)

_MPEG_1: Final = 3
_RATE_DIVISORS: Final = {_MPEG_1: 1, 2: 2, 0: 4}
"""By the version in a frame's header: MPEG-1, MPEG-2 and MPEG-2.5. The version 1 is reserved."""

_LAYER_3: Final = 1
_MONO: Final = 3

_SIDE_BYTES: Final = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}
"""The length of a frame's side information, by whether it is MPEG-1 and whether it is mono."""

_HEADER_BYTES: Final = 4
_ID3_HEADER_BYTES: Final = 10
_ID3_FOOTER_FLAG: Final = 0x10
_ID3_V1_BYTES: Final = 128


class NotMp3(Exception):
    """The data isn't a complete sequence of MP3 frames."""


def duration_ms(data: bytes) -> int:
    """Return the duration in milliseconds, with constant or variable bitrate.

    ID3 tags and the frame that only describes the others (Xing, Info) don't count. The time is
    proportional to the length of the data.

    Raises:
        NotMp3: The data isn't MPEG layer III, has a free bitrate, or is cut off.

    Source: ISO/IEC 11172-3, section 2.4.2.3, and ISO/IEC 13818-3 (headers); "ID3 tag version 2.4.0
    - Main Structure", section 3.1.
    """
    at, end = _skip_tag(data), _find_end(data)
    if at >= end:
        raise NotMp3
    seconds, is_first = 0.0, True
    while at < end:
        frame_bytes, samples, rate = _read_header(data, at)
        if at + frame_bytes > end:
            raise NotMp3
        if not (is_first and _is_description(data, at)):
            seconds += samples / rate
        is_first = False
        at += frame_bytes
    return round(seconds * 1000)


def _skip_tag(data: bytes) -> int:
    """Return where the frames begin, behind an ID3v2 tag."""
    if not data.startswith(b"ID3"):
        return 0
    header = data[:_ID3_HEADER_BYTES]
    if len(header) < _ID3_HEADER_BYTES or any(byte > 127 for byte in header[6:]):
        raise NotMp3
    size = 0
    for byte in header[6:]:
        size = size << 7 | byte
    footer_bytes = _ID3_HEADER_BYTES if header[5] & _ID3_FOOTER_FLAG else 0
    return _ID3_HEADER_BYTES + size + footer_bytes


def _find_end(data: bytes) -> int:
    """Return where the frames end, before an ID3v1 tag."""
    has_tag = data[-_ID3_V1_BYTES:].startswith(b"TAG") and len(data) >= _ID3_V1_BYTES
    return len(data) - _ID3_V1_BYTES if has_tag else len(data)


def _read_header(data: bytes, at: int) -> tuple[int, int, int]:
    """Return a frame's length in bytes, its samples per channel, and its sample rate."""
    header = int.from_bytes(data[at : at + _HEADER_BYTES])
    version, layer = header >> 19 & 3, header >> 17 & 3
    bitrate_index, rate_index = header >> 12 & 15, header >> 10 & 3
    if (
        header >> 21 != 0x7FF
        or version not in _RATE_DIVISORS
        or layer != _LAYER_3
        or bitrate_index in (0, 15)
        or rate_index == len(_RATES)
    ):
        raise NotMp3
    bitrates = _BITRATES_1 if version == _MPEG_1 else _BITRATES_2
    samples = 1152 if version == _MPEG_1 else 576
    rate = _RATES[rate_index] // _RATE_DIVISORS[version]
    padding_bytes = header >> 9 & 1
    frame_bytes = samples // 8 * bitrates[bitrate_index - 1] * 1000 // rate + padding_bytes
    return frame_bytes, samples, rate


def _is_description(data: bytes, at: int) -> bool:
    """Return whether a frame has an encoder's description in place of the side information."""
    header = int.from_bytes(data[at : at + _HEADER_BYTES])
    is_mpeg_1, is_mono = header >> 19 & 3 == _MPEG_1, header >> 6 & 3 == _MONO
    where = at + _HEADER_BYTES + _SIDE_BYTES[is_mpeg_1, is_mono]
    return data[where : where + 4] in (b"Xing", b"Info")
