"""The stream that takes metrics out of the application's output."""

import json
import sys
import threading
from contextlib import redirect_stdout
from io import StringIO

import pytest

from devserver import standard_output
from devserver.standard_output import MetricsStream, extract_metrics
from tests.devserver.emf_lines import emf

LINE = emf({"Hits": 1}) + "\n"


class Taken(list[str]):
    """Takes every line."""

    def __call__(self, line: str) -> bool:
        self.append(line)
        return True


@pytest.fixture
def out() -> StringIO:
    return StringIO()


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def stream(out: StringIO, taken: Taken) -> MetricsStream:
    return MetricsStream(out, taken)


def raise_error(line: str) -> bool:
    raise RuntimeError(line)


@pytest.mark.parametrize("take", [lambda _line: False, raise_error])
def test_a_line_that_is_not_taken_goes_on_as_it_is(out: StringIO, take: object) -> None:
    assert MetricsStream(out, take).write(LINE) == len(LINE)
    assert out.getvalue() == LINE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "\n\n",
        "text",
        "text\n",
        "{\n",
        '{"level": "WARNING"}\n',
        "a\nb\n\nc",
        "é\x0b\x85\u2028\r\nx\n",
        "text " + LINE,
    ],
)
def test_all_but_metrics_goes_on_as_it_is(
    stream: MetricsStream, out: StringIO, taken: Taken, text: str
) -> None:
    assert stream.write(text) == len(text)
    stream.release()
    assert out.getvalue() == text
    assert taken == []


def test_what_is_no_text_is_refused_as_ever(stream: MetricsStream) -> None:
    with pytest.raises(TypeError):
        stream.write(b"bytes")


def test_a_line_of_metrics_after_the_begin_of_another_is_no_line_of_its_own(
    stream: MetricsStream, out: StringIO, taken: Taken
) -> None:
    stream.write("begun ")
    stream.write(LINE)
    stream.write(LINE)
    assert out.getvalue() == "begun " + LINE
    assert taken == [LINE.rstrip("\n")]


def test_lines_among_metrics_go_on_in_order(
    stream: MetricsStream, out: StringIO, taken: Taken
) -> None:
    stream.write(f"a\n{LINE}b\n{LINE}{LINE}c")
    assert out.getvalue() == "a\nb\nc"
    assert len(taken) == 3


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_a_line_in_parts_is_taken_whole(
    stream: MetricsStream, out: StringIO, taken: Taken, size: int
) -> None:
    text = f"a\n{LINE}{{b\n"
    for at in range(0, len(text), size):
        stream.write(text[at : at + size])
    assert out.getvalue() == "a\n{b\n"
    assert taken == [LINE.rstrip("\n")]


def test_what_print_and_json_write_is_taken(
    stream: MetricsStream, out: StringIO, taken: Taken
) -> None:
    print(LINE.rstrip(), file=stream)
    json.dump(json.loads(LINE), stream)
    print(file=stream)
    stream.writelines([LINE, "a\n"])
    assert out.getvalue() == "a\n"
    assert len(taken) == 3


def test_a_flush_shows_what_has_begun(stream: MetricsStream, out: StringIO, taken: Taken) -> None:
    stream.write("{half")
    assert out.getvalue() == ""
    stream.flush()
    assert out.getvalue() == "{half"
    stream.write(" a line}\n" + LINE)
    assert out.getvalue() == "{half a line}\n"
    assert len(taken) == 1


def test_a_line_without_an_end_is_not_kept_for_ever(stream: MetricsStream, out: StringIO) -> None:
    part = "{" + "x" * 999
    for _ in range(standard_output.MAX_BUFFERED_CHARACTERS // 1000 + 1):
        stream.write(part)
    assert len(out.getvalue()) > standard_output.MAX_BUFFERED_CHARACTERS
    stream.write("{" + "x" * standard_output.MAX_BUFFERED_CHARACTERS)
    assert out.getvalue().endswith("x")


def test_a_line_that_another_thread_has_ended_is_not_begun_any_more(
    stream: MetricsStream, out: StringIO, taken: Taken
) -> None:
    stream.write("begun {} ")
    other = threading.Thread(target=stream.write, args=("and ended\n",))
    other.start()
    other.join()
    stream.write(LINE)
    assert out.getvalue() == "begun {} and ended\n"
    assert len(taken) == 1


def test_threads_do_not_tear_each_others_lines(
    stream: MetricsStream, out: StringIO, taken: Taken
) -> None:
    barrier = threading.Barrier(8)

    def write(name: int) -> None:
        barrier.wait()
        for number in range(300):
            stream.write(LINE[:20])
            stream.write(LINE[20:])
            stream.write(f"{name} {number}\n")

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert taken == [LINE.rstrip("\n")] * 2400
    lines = out.getvalue().splitlines()
    for name in range(8):
        own = [line for line in lines if line.startswith(f"{name} ")]
        assert own == [f"{name} {number}" for number in range(300)]


def test_it_is_otherwise_the_stream_below(out: StringIO, taken: Taken) -> None:
    stream = MetricsStream(out, taken)
    assert stream.isatty() is False
    assert stream.readable() is True
    with pytest.raises(AttributeError):
        stream.no_such_thing  # noqa: B018


def test_standard_output_is_put_back_and_nothing_is_lost(out: StringIO, taken: Taken) -> None:
    def crash() -> None:
        with extract_metrics(taken):
            print(LINE, end="")
            print("{begun", end="")
            raise RuntimeError("crash")

    with redirect_stdout(out):
        with pytest.raises(RuntimeError, match="crash"):
            crash()
        assert sys.stdout is out
    assert out.getvalue() == "{begun"
    assert len(taken) == 1
