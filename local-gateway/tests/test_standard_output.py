"""The stream that extracts metrics from the application's output."""

import json
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import pytest

from gateway_support.emf_lines import emf
from local_gateway import standard_output
from local_gateway.functions import Function
from local_gateway.standard_output import LineStream, MetricsStream, shared_output

LINE = emf({"Hits": 1}) + "\n"


class Consumed(list[str]):
    """Consumes every line."""

    def __call__(self, line: str) -> bool:
        self.append(line)
        return True


@pytest.fixture
def out() -> StringIO:
    return StringIO()


@pytest.fixture
def consumed() -> Consumed:
    return Consumed()


@pytest.fixture
def stream(out: StringIO, consumed: Consumed) -> MetricsStream:
    return MetricsStream(out, consumed)


def raise_error(line: str) -> bool:
    raise RuntimeError(line)


@pytest.mark.parametrize("consume", [lambda _line: False, raise_error])
def test_a_refused_line_passes_through(out: StringIO, consume: object) -> None:
    assert MetricsStream(out, consume).write(LINE) == len(LINE)
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
def test_other_text_passes_through_unchanged(
    stream: MetricsStream, out: StringIO, consumed: Consumed, text: str
) -> None:
    assert stream.write(text) == len(text)
    stream.release()
    assert out.getvalue() == text
    assert consumed == []


def test_bytes_are_refused(stream: MetricsStream) -> None:
    with pytest.raises(TypeError):
        stream.write(b"bytes")


def test_lines_between_metrics_stay_in_order(
    stream: MetricsStream, out: StringIO, consumed: Consumed
) -> None:
    stream.write(f"a\n{LINE}b\n{LINE}{LINE}c")
    stream.release()
    assert out.getvalue() == "a\nb\nc"
    assert len(consumed) == 3


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_a_line_written_in_parts_is_consumed(
    stream: MetricsStream, out: StringIO, consumed: Consumed, size: int
) -> None:
    text = f"a\n{LINE}{{b\n"
    for at in range(0, len(text), size):
        stream.write(text[at : at + size])
    assert out.getvalue() == "a\n{b\n"
    assert consumed == [LINE.rstrip("\n")]


def test_output_of_print_and_json_is_consumed(
    stream: MetricsStream, out: StringIO, consumed: Consumed
) -> None:
    print(LINE.rstrip(), file=stream)
    json.dump(json.loads(LINE), stream)
    print(file=stream)
    stream.writelines([LINE, "a\n"])
    assert out.getvalue() == "a\n"
    assert len(consumed) == 3


def test_a_flush_writes_the_partial_line(
    stream: MetricsStream, out: StringIO, consumed: Consumed
) -> None:
    stream.write("{half")
    assert out.getvalue() == ""
    stream.flush()
    assert out.getvalue() == "{half"
    stream.write(" a line}\n" + LINE)
    assert out.getvalue() == "{half a line}\n"
    assert len(consumed) == 1


def test_a_line_without_an_end_is_not_buffered_forever(
    stream: MetricsStream, out: StringIO
) -> None:
    part = "x" * 1000
    for _ in range(standard_output.MAX_BUFFERED_CHARACTERS // 1000 + 1):
        stream.write(part)
    assert len(out.getvalue()) > standard_output.MAX_BUFFERED_CHARACTERS
    stream.write("{" + "x" * standard_output.MAX_BUFFERED_CHARACTERS)
    assert out.getvalue().endswith("x")


@pytest.mark.parametrize("kind", [LineStream, lambda out: MetricsStream(out, Consumed())])
def test_threads_do_not_split_each_others_lines(out: StringIO, kind: Any) -> None:
    stream, barrier = kind(out), threading.Barrier(8)

    def write(name: int) -> None:
        barrier.wait()
        for number in range(300):
            print(name, number, "with", "parts", file=stream)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lines = out.getvalue().splitlines()
    for name in range(8):
        own = [line for line in lines if line.startswith(f"{name} ")]
        assert own == [f"{name} {number} with parts" for number in range(300)]
    assert len(lines) == 2400


def test_the_end_of_an_invocation_ends_the_partial_lines_of_its_thread(
    out: StringIO, consumed: Consumed
) -> None:
    def handler(_event: Any, _context: Any) -> None:
        print("{begun", end="")
        print("complete", file=sys.stderr)
        print("flushed", end="", flush=True, file=sys.stderr)

    errors = StringIO()
    with redirect_stdout(out), redirect_stderr(errors), shared_output(consumed):
        print("of another thread", end="")
        function = Function("x-local-f", "f", handler, 60, 128)
        thread = threading.Thread(target=function, args=(None,))
        thread.start()
        thread.join()
        assert out.getvalue() == "{begun\n"
        assert errors.getvalue() == "complete\nflushed\n"
    assert out.getvalue() == "{begun\nof another thread"


def test_metrics_without_a_line_end_are_consumed_at_the_end_of_the_invocation(
    out: StringIO, consumed: Consumed
) -> None:
    def handler(_event: Any, _context: Any) -> None:
        print(LINE.rstrip("\n"), end="")
        raise RuntimeError

    with redirect_stdout(out), shared_output(consumed):
        with pytest.raises(RuntimeError):
            Function("x-local-f", "f", handler, 60, 128)(None)
        assert len(consumed) == 1
    assert out.getvalue() == ""


def test_a_closed_stream_stays_open(stream: MetricsStream, out: StringIO) -> None:
    stream.write("{half")
    stream.close()
    stream.write(" a line}\n")
    assert out.getvalue() == "{half a line}\n"


def test_other_attributes_are_the_downstream_streams(out: StringIO, consumed: Consumed) -> None:
    stream = MetricsStream(out, consumed)
    assert stream.isatty() is False
    assert stream.readable() is True
    with pytest.raises(AttributeError):
        stream.no_such_thing  # noqa: B018


def test_standard_output_is_restored_and_nothing_is_lost(out: StringIO, consumed: Consumed) -> None:
    def crash() -> None:
        with shared_output(consumed):
            print(LINE, end="")
            print("{begun", end="")
            raise RuntimeError("crash")

    with redirect_stdout(out):
        with pytest.raises(RuntimeError, match="crash"):
            crash()
        assert sys.stdout is out
    assert out.getvalue() == "{begun"
    assert len(consumed) == 1
