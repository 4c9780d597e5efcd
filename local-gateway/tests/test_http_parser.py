"""Limits of the HTTP parser, which a client can exceed by at most one read."""

from http import HTTPStatus

import pytest

from local_gateway.http_parser import MAX_HEADER_BYTES, RequestParser

CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


def feed_until_refused(parser: RequestParser, part: bytes) -> int:
    """Feed the same part repeatedly, and return the number of bytes until the refusal."""
    for count in range(1, 2 * MAX_HEADER_BYTES // len(part)):
        parser.feed(part)
        if parser.failure is not None:
            return count * len(part)
    raise AssertionError("never refused")


@pytest.mark.parametrize(
    ("before", "part"),
    [
        pytest.param(b"2\r\nhi\r\n0\r\n", b"x" * 1000, id="a trailer without an end"),
        pytest.param(b"2\r\nhi\r\n0\r\n", b"name: value\r\n", id="trailers without an end"),
        pytest.param(b"0\r\n", b"name: value\r\n", id="trailers of an empty body"),
        pytest.param(b"2;", b"x" * 1000, id="a chunk extension without an end"),
        pytest.param(b"2\r\nhi\r\n2;", b"x" * 1000, id="an extension of a later chunk"),
    ],
)
def test_chunk_extensions_and_trailers_are_limited_like_headers(before: bytes, part: bytes) -> None:
    parser = RequestParser()
    parser.feed(CHUNKED + before)
    assert feed_until_refused(parser, part) <= MAX_HEADER_BYTES + len(part)
    assert parser.failure == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    assert not parser.requests


def test_a_trailer_is_never_a_header() -> None:
    parser = RequestParser()
    parser.feed(CHUNKED + b"2\r\nhi\r\n0\r\nHost: evil.example\r\n\r\n")
    [request] = parser.requests
    assert request.find_header("host") is None


def test_a_body_in_many_small_chunks_is_read() -> None:
    parser = RequestParser()
    parser.feed(CHUNKED)
    for byte in b"1\r\nx\r\n" * MAX_HEADER_BYTES + b"0\r\nname: value\r\n\r\n":
        parser.feed(bytes([byte]))
    [request] = parser.requests
    assert request.body == b"x" * MAX_HEADER_BYTES


def test_blank_lines_between_requests_are_ignored() -> None:
    parser = RequestParser()
    parser.feed(b"GET / HTTP/1.1\r\n\r\n")
    for _ in range(MAX_HEADER_BYTES):
        parser.feed(b"\r\n")
    parser.feed(b"GET / HTTP/1.1\r\n\r\n")
    assert len(parser.requests) == 2
    assert parser.failure is None
