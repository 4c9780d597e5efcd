"""Log lines, and the protection of requests against errors in logging."""

import io
import json
import logging
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from typing import Any

import pytest

from chalicelib import metrics, telemetry
from chalicelib.assembly import UseCases
from chalicelib.aws.dynamodb import Refused
from chalicelib.aws.signing import Credentials
from chalicelib.dispatch import Dispatcher
from chalicelib.errors import InternalError, SessionFull
from chalicelib.outcomes import Delivery
from chalicelib.sweep import Sweep
from tests.unit.fakes import (
    CREATE,
    Clock,
    FakeConnections,
    FakeOutcomes,
    closing,
    connecting,
    frame,
    reply,
)

Lines = list[dict[str, Any]]


@pytest.fixture
def read() -> Callable[[], Lines]:
    """Return a function that reads the lines logged since its last call."""
    out = io.StringIO()
    with redirect_stdout(out):
        telemetry.configure("INFO", "dev", b"key")

    def read() -> Lines:
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        out.seek(0)
        out.truncate()
        return lines

    return read


def events(lines: Lines) -> Lines:
    return [line for line in lines if line.get("message") == "event handled"]


class BrokenStream(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError("no space left")


class NoRepr:
    """A value that is not JSON and has no repr()."""

    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __repr__


# Errors in logging


def fail(*_: object, **__: object) -> Any:
    raise RuntimeError


def break_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", BrokenStream())
    telemetry.configure("INFO")


def break_formatter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_bounded", fail)


def break_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "hash_of", fail)


def break_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "document", fail)


def break_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "of_event", fail)


def break_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.Logger, "_log", fail)
    monkeypatch.setattr(logging.Logger, "handle", fail)


def break_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_identity", fail)


@pytest.mark.parametrize(
    "break_it",
    [
        break_stream,
        break_formatter,
        break_hash,
        break_metrics,
        break_counting,
        break_logger,
        break_identity,
    ],
)
@pytest.mark.usefixtures("read")
def test_a_failing_logger_or_metric_does_not_affect_a_request(
    break_it: Callable[[pytest.MonkeyPatch], None],
    dispatcher: Dispatcher,
    sweep: Sweep,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    break_it(monkeypatch)
    created = reply(dispatcher.message(frame("speaker=", "user-1", **CREATE)))
    assert created["type"] == "sessionCreated"
    join = {"action": "joinSession", "sessionId": created["sessionId"], "targetLanguage": "es"}
    assert dispatcher.connect(connecting("a=", **join)) == {"statusCode": 200}
    assert reply(dispatcher.message(frame("b=", action="unheard")))["code"] == "INVALID_ACTION"
    assert dispatcher.disconnect(closing("a=")) == {"statusCode": 200}
    clock.now += 60
    assert sweep.run().is_complete


@pytest.mark.parametrize("value", [NoRepr(), {1, 2}, b"bytes", float("nan"), object, {(): 1}])
def test_a_value_that_is_not_json_removes_at_most_the_fields(
    read: Callable[[], Lines], value: object
) -> None:
    telemetry.log_done("done", value=value)
    (line,) = read()
    assert (line["level"], line["message"]) == ("INFO", "done")


def test_a_named_tuple_is_logged_by_its_type_alone(read: Callable[[], Lines]) -> None:
    telemetry.log_done("done", value=Credentials("a key", "a secret", None))
    (line,) = read()
    assert line["value"] == "Credentials"


@pytest.mark.parametrize("value", ["x" * 10_240, ["x" * 10_240], {"x" * 10_240: 1}])
def test_a_line_never_exceeds_the_limit(capsys: pytest.CaptureFixture[str], value: object) -> None:
    telemetry.configure("INFO")
    telemetry.log_done("done", value=value)
    (line,) = capsys.readouterr().out.splitlines()
    assert len(line) <= telemetry.LINE_CHARACTERS
    assert json.loads(line)["message"] == "done"


@pytest.mark.parametrize("field", ["sessionId", "action", "requestId", "targetLanguage"])
def test_ten_kilobytes_of_input_do_not_make_lines_long(
    dispatcher: Dispatcher, capsys: pytest.CaptureFixture[str], field: str
) -> None:
    telemetry.configure("INFO")
    fields = {"action": "joinSession", "sessionId": "golden-eagle-427", "targetLanguage": "es"}
    error = reply(dispatcher.message(frame("a=", **{**fields, field: "x" * 10_240})))
    assert error["type"] == "error"
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) < 600
    assert "xxx" not in "".join(lines)


def test_a_deep_stack_loses_its_beginning(read: Callable[[], Lines]) -> None:
    def fall(depth: int) -> None:
        if depth == 0:
            raise ValueError
        fall(depth - 1)

    with suppress(InternalError), telemetry.handled("outcome", is_clients=False):
        fall(500)
    (failure, _) = read()
    assert len(failure["error"]) <= telemetry.STACK_CHARACTERS
    assert failure["error"].endswith("ValueError")


def test_lines_of_different_threads_do_not_mix(read: Callable[[], Lines]) -> None:
    def write() -> None:
        for _ in range(50):
            with telemetry.handled("message", connection_id="a="):
                telemetry.log_warning("not counted")

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(read()) == 8 * 50 * 2


# Lines


def test_an_event_is_one_line_with_the_fields_to_trace_it(
    dispatcher: Dispatcher, read: Callable[[], Lines]
) -> None:
    dispatcher.message(frame("speaker=", "user-1", **CREATE))
    (line,) = events(read())
    assert line.pop("time").endswith("Z")
    assert line.pop("durationMs") >= 0
    line.pop("coldStart", None)
    assert line == {
        "level": "INFO",
        "message": "event handled",
        "event": "message",
        "operation": "createSession",
        "requestId": "request=",
        "connection": telemetry.hash_of("speaker="),
        "correlation": telemetry.hash_of("golden-eagle-100"),
        "user": telemetry.hash_of("user-1"),
        "sessionId": "golden-eagle-100",
        "code": "OK",
    }


def test_a_refusal_is_logged_with_its_cause_and_as_an_event(
    dispatcher: Dispatcher, session_id: str, read: Callable[[], Lines]
) -> None:
    join = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
    read()
    dispatcher.message(frame("a=", **join, inviteCode="wrong"))
    cause, event, counted = read()
    assert (cause["level"], cause["message"], cause["code"], cause["field"]) == (
        "WARNING",
        "refused",
        "FORBIDDEN",
        "inviteCode",
    )
    assert cause["cause"] == "The invite code is not valid for this session."
    assert (event["level"], event["operation"], event["code"]) == (
        "INFO",
        "joinSession",
        "FORBIDDEN",
    )
    assert cause["sessionId"] == event["sessionId"] == session_id
    assert (counted["ConnectionErrors"], counted["Code"]) == (1, "FORBIDDEN")


@pytest.mark.parametrize("level", ["WARNING", "ERROR"])
def test_metrics_are_written_at_every_log_level(
    dispatcher: Dispatcher, capsys: pytest.CaptureFixture[str], level: str
) -> None:
    telemetry.configure(level, "dev")
    dispatcher.message(frame("speaker=", "user-1", **CREATE))
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["SessionCreationLatency"] > 0


def test_a_listeners_correlation_stays_the_same_after_a_refresh(
    dispatcher: Dispatcher, session_id: str, clock: Clock, read: Callable[[], Lines]
) -> None:
    join = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
    refresh = {"action": "refreshConnection", "role": "listener"} | join
    read()
    dispatcher.message(frame("a=", **join))
    dispatcher.message(frame("b=", **{**refresh, "action": "refreshConnection"}, connectionId="a="))
    dispatcher.disconnect(closing("a="))
    dispatcher.disconnect(closing("b="))
    dispatcher.connect(
        connecting("c=", **{**refresh, "action": "refreshConnection"}, connectionId="b=")
    )
    dispatcher.message(frame("c=", action="heartbeat"))
    dispatcher.message(frame("c=", action="changeLanguage", targetLanguage="fr"))
    lines = events(read())
    assert [line["code"] for line in lines] == ["OK"] * 7
    assert {line["correlation"] for line in lines} == {telemetry.hash_of("a=")}
    assert [line["connection"] for line in lines] == [
        telemetry.hash_of(f"{it}=") for it in "ababccc"
    ]
    assert {line["sessionId"] for line in lines} == {session_id}


def test_a_speakers_correlation_stays_the_same_after_a_refresh(
    dispatcher: Dispatcher, session_id: str, read: Callable[[], Lines]
) -> None:
    refresh = {"action": "refreshConnection", "role": "speaker", "sessionId": session_id}
    read()
    dispatcher.message(frame("new=", "user-1", **refresh))
    dispatcher.disconnect(closing("speaker="))
    dispatcher.message(frame("new=", "user-1", action="endSession"))
    lines = events(read())
    assert [line["operation"] for line in lines] == [
        "refreshConnection",
        "disconnect",
        "endSession",
    ]
    assert {line["correlation"] for line in lines} == {telemetry.hash_of(session_id)}


def test_an_outcome_has_the_trail_of_its_command(
    use_cases: UseCases,
    dispatcher: Dispatcher,
    session_id: str,
    read: Callable[[], Lines],
) -> None:
    join = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
    dispatcher.connect(connecting("a=", **join))
    read()
    outcome = {"type": "sessionJoined", "sessionId": session_id, "status": "active"}
    trail = {"requestId": "request=", "sessionId": session_id, "correlation": "hash"}
    use_cases.deliveries.deliver(Delivery("a=", "https://api/stage", [outcome], trail=trail))
    (line,) = events(read())
    assert line["event"] == "outcome"
    assert {name: line[name] for name in trail} == trail


def test_an_id_is_hashed_with_the_key() -> None:
    telemetry.configure("INFO", "dev", b"key")
    first = telemetry.hash_of("a=")
    telemetry.configure("INFO", "dev", b"other key")
    assert len(first) == 2 * telemetry.HASH_BYTES
    assert telemetry.hash_of("a=") != first


@pytest.mark.parametrize("key", [b"", b"k" * 64, b"k" * 65, b"k" * 1000])
def test_a_key_of_any_length_is_accepted(key: bytes) -> None:
    telemetry.configure("INFO", "dev", key)
    assert telemetry.hash_of("a=") == telemetry.hash_of("a=") != telemetry.hash_of("b=")


def test_an_unexpected_error_is_raised_without_its_message(
    read: Callable[[], Lines],
) -> None:
    with pytest.raises(InternalError) as raised, telemetry.handled("outcome", is_clients=False):
        raise KeyError("marked-secret")
    assert "marked" not in str(raised.value)
    assert raised.value.__suppress_context__
    failure, event = read()
    assert (failure["level"], event["code"]) == ("ERROR", "INTERNAL_ERROR")
    assert failure["error"].endswith("KeyError")
    assert "test_telemetry.py" in failure["error"]


def test_an_expected_error_is_logged_without_a_stack(read: Callable[[], Lines]) -> None:
    with pytest.raises(SessionFull), telemetry.handled("outcome", is_clients=False):
        raise SessionFull("The session is full.")
    assert [line["level"] for line in read()] == ["WARNING", "INFO"]


def test_a_stack_contains_the_causes_and_the_aws_error_code(
    read: Callable[[], Lines],
) -> None:
    with suppress(InternalError), telemetry.handled("sweep", is_clients=False):
        try:
            raise Refused("AccessDeniedException", "PutItem")
        except Refused as error:
            raise RuntimeError("marked-secret") from error
    failure, _ = read()
    lines = failure["error"].splitlines()
    assert lines.index("Refused AccessDeniedException") < lines.index("RuntimeError")
    assert "marked" not in failure["error"]


def test_an_error_with_an_unknown_response_is_logged(
    read: Callable[[], Lines],
) -> None:
    error = ValueError()
    error.response = object()  # type: ignore[attr-defined]
    with suppress(InternalError), telemetry.handled("sweep", is_clients=False):
        raise error
    assert read()[0]["error"].endswith("ValueError")


def test_a_librarys_message_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("INFO")
    telemetry.configure_libraries()
    logging.getLogger("urllib3.connectionpool").warning("gone: %s", "/@connections/marked=")
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["library"]) == ("WARNING", "urllib3.connectionpool")
    assert "marked" not in json.dumps(line)


# Metrics


def measured(lines: Lines) -> dict[str, float]:
    return {
        name: line[name]
        for line in lines
        if "_aws" in line
        for name in line
        if name in metrics.METRICS
    }


def test_the_grace_period_does_not_count_as_latency(
    dispatcher: Dispatcher,
    session_id: str,
    clock: Clock,
    read: Callable[[], Lines],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read()
    monkeypatch.setattr("time.perf_counter", clock)
    dispatcher.disconnect(closing("speaker=", 1000))
    lines = read()
    assert measured(lines)["DisconnectLatency"] == 0
    (handled,) = [line for line in lines if line.get("message") == "event handled"]
    assert handled["durationMs"] == 5000


def test_a_session_emits_metrics_from_creation_to_end(
    dispatcher: Dispatcher,
    sweep: Sweep,
    phones: FakeConnections,
    outcomes: FakeOutcomes,
    clock: Clock,
    read: Callable[[], Lines],
) -> None:
    created = reply(dispatcher.message(frame("speaker=", "user-1", **CREATE)))
    session = {"sessionId": created["sessionId"]}
    join = {**session, "action": "joinSession", "targetLanguage": "es"}
    assert set(measured(read())) == {"SessionCreationLatency"}
    dispatcher.connect(connecting("a=", **join))
    dispatcher.message(frame("b=", **join))
    assert set(measured(read())) == {"ListenerJoinLatency"}
    dispatcher.message(frame("a=", action="heartbeat"))
    assert set(measured(read())) == {"HeartbeatLatency"}
    refresh = {**join, "action": "refreshConnection", "role": "listener", "connectionId": "a="}
    dispatcher.message(frame("c=", **refresh))
    dispatcher.disconnect(closing("a="))
    assert set(measured(read())) == {"RefreshesCompleted", "DisconnectLatency"}
    clock.now += 89
    for connection_id in ("speaker=", "c="):
        dispatcher.message(frame(connection_id, action="heartbeat"))
    read()
    clock.now += 1
    sweep.run()
    counted = measured(read())
    assert (counted["ActiveSessions"], counted["TotalListeners"]) == (1, 1)
    assert (counted["ParticipantsLost"], counted["SweepRepairs"]) == (1, 0)
    dispatcher.message(frame("speaker=", "user-1", action="endSession"))
    lines = read()
    assert (
        measured(lines).items()
        >= {
            "FanoutRecipients": 1,
            "FanoutGone": 0,
            "FanoutFailed": 0,
            "SessionsEnded": 1,
        }.items()
    )
    assert [line["Reason"] for line in lines if "SessionsEnded" in line] == ["speakerEnded"]


def test_every_metric_is_emitted_somewhere() -> None:
    """Search the sources for each name. Tests of the callers check that they emit it."""
    from pathlib import Path

    sources = "".join(path.read_text() for path in Path("chalicelib").rglob("*.py"))
    for name in metrics.METRICS:
        assert sources.count(name) >= 2, name
