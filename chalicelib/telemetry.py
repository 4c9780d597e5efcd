"""Structured logging, with one JSON object per line on standard output.

No line contains a token, an email or IP address, a connection ID or text from a client. Messages
are constant, clients appear as keyed hashes, and an exception is logged with its type and stack but
without its message. Logging never raises an error and never writes more than LINE_CHARACTERS, which
protects requests against errors in their own logging.
"""

import json
import logging
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from chalicelib import metrics
from chalicelib.errors import InternalError, ServiceError

LINE_CHARACTERS: Final = 8192
"""Longest line. A longer one loses all its fields."""

TEXT_CHARACTERS: Final = 256
"""Longest text of a field. A longer one is cut."""

STACK_CHARACTERS: Final = 4096
"""Longest stack trace. A longer one keeps its end, which shows where the exception was raised."""

HASH_BYTES: Final = 8
"""Length of the hash that stands for a client or connection."""

_log = logging.getLogger("broadcast_sessions")
_metrics = logging.getLogger("broadcast_sessions.metrics")


@dataclass(slots=True)
class _Context:
    stage: str = "local"
    hash_key: bytes = b""
    is_cold: bool = True


_context = _Context()


@dataclass(slots=True)
class Record:
    """The event that is being handled, and the fields of its log lines.

    Attributes:
        event: The kind of event.
        operation: The requested action, once it is known. Until then, the kind of event.
        fields: Further fields of each line.
        code: The resulting error code, or "OK".
        is_clients: Whether a client caused the event. If so, it counts in the metrics.
        waited_ms: Deliberate waits, which don't count as latency, in milliseconds.
    """

    event: str
    operation: str
    fields: dict[str, Any] = field(default_factory=dict)
    code: str = "OK"
    is_clients: bool = True
    waited_ms: float = 0.0

    def refused(self, error: ServiceError) -> ServiceError:
        """Record the error that the client receives, log its cause, and return it."""
        self.code = error.code
        if error.code != "INTERNAL_ERROR":
            log_warning("refused", code=error.code, cause=error.message, field=error.field)
        return error

    def failed(self) -> None:
        """Record an unexpected error, and log the exception that is being handled."""
        self.code = "INTERNAL_ERROR"
        log_failure()

    def follow_trail(self, trail: Mapping[str, str | None]) -> None:
        """Add the fields of the event that caused this one; see `find_trail`."""
        self.fields |= {name: value for name, value in trail.items() if value}

    def to_fields(self) -> dict[str, Any]:
        """Return the fields that each line of this event has."""
        return {"event": self.event, "operation": self.operation, **self.fields}


TRAIL: Final = ("requestId", "sessionId", "correlation")
"""The fields by which the log links an event with those that it causes."""

_current: ContextVar[Record | None] = ContextVar("record", default=None)


@contextmanager
def handled(
    event: str,
    *,
    connection_id: str | None = None,
    user_id: str | None = None,
    request_id: str | None = None,
    is_clients: bool = True,
) -> Iterator[Record]:
    """Log one line when an event ends, and count it in the metrics if a client caused it.

    Args:
        event: The kind of event.
        connection_id: The client's connection, which is logged as a hash.
        user_id: The client's user, which is logged as a hash.
        request_id: The ID of the request.
        is_clients: Whether a client caused the event.

    Raises:
        InternalError: The block raised an unexpected error. The error is already logged and is not
            chained, because Lambda logs the messages of exceptions.
        ServiceError: The block raised it.
    """
    record = Record(event, event, is_clients=is_clients)
    with suppress(Exception):
        record.fields = _identity(connection_id, user_id, request_id)
    token = _current.set(record)
    started = time.perf_counter()
    try:
        yield record
    except ServiceError as error:
        record.refused(error)
        raise
    except Exception:
        record.failed()
        raise InternalError("An unexpected error occurred; see the log.") from None
    finally:
        with suppress(Exception):
            _finish(record, (time.perf_counter() - started) * 1000)
        _current.reset(token)


def follow(session_id: str, correlation: str) -> None:
    """Add the session and the client to the log lines of the current event.

    Args:
        session_id: The session's ID.
        correlation: An ID that stays the same when the client refreshes its connection. It is
            logged as a hash.
    """
    record = _current.get()
    if record is not None:
        with suppress(Exception):
            record.fields |= {"sessionId": session_id, "correlation": hash_of(correlation)}


def follow_caption(caption_id: str) -> None:
    """Add a caption's ID, as a hash, to the log lines of the current event."""
    record = _current.get()
    if record is not None:
        with suppress(Exception):
            record.fields["caption"] = hash_of(caption_id)


@contextmanager
def waiting() -> Iterator[None]:
    """Exclude a deliberate wait from the latency of the current event."""
    started = time.perf_counter()
    try:
        yield
    finally:
        record = _current.get()
        if record is not None:
            record.waited_ms += (time.perf_counter() - started) * 1000


def find_trail() -> dict[str, str | None]:
    """Return the current event's fields of TRAIL, to pass to an event that it causes."""
    record = _current.get()
    fields = {} if record is None else record.fields
    return {name: fields.get(name) for name in TRAIL}


def hash_of(text: str) -> str:
    """Return the keyed hash that stands for an ID in the log."""
    return blake2b(
        text.encode(errors="replace"), key=_context.hash_key, digest_size=HASH_BYTES
    ).hexdigest()


def log_done(message: str, **counts: Any) -> None:
    """Log at INFO the counts of a completed task. The message is a constant text."""
    _write(logging.INFO, message, counts)


def log_warning(message: str, **fields: Any) -> None:
    """Log at WARNING why a request was refused or a task failed. All texts are constant."""
    _write(logging.WARNING, message, fields)


def log_failure(**fields: Any) -> None:
    """Log at ERROR the exception that is being handled, with its stack."""
    error = sys.exc_info()[1]
    with suppress(Exception):
        fields["error"] = _describe_stack(error) if error is not None else "none"
    _write(logging.ERROR, "failure", fields)


def put_metrics(split_by: str = "", **values: float) -> None:
    """Write metrics, independently of the log level.

    Args:
        split_by: The value of the second dimension of metrics that have one.
        **values: Values by the names of metrics.METRICS.
    """
    with suppress(Exception):
        timestamp_ms = int(time.time() * 1000)
        written = metrics.document(values, _context.stage, timestamp_ms, split_by)
        _emit(_metrics, logging.INFO, "", written)


def configure(level: str, stage: str = "local", hash_key: bytes = b"") -> None:
    """Log to standard output, which Lambda copies to CloudWatch.

    Args:
        level: The log level's name.
        stage: The stage's name, a dimension of all metrics.
        hash_key: The key of the hashes of IDs. A key of more than 64 bytes is hashed first.
    """
    _context.stage = stage
    _context.hash_key = hash_key if len(hash_key) <= 64 else blake2b(hash_key).digest()
    for logger, formatter in ((_log, _LineFormatter()), (_metrics, _MetricsFormatter())):
        handler = _Handler(sys.stdout)
        handler.setFormatter(formatter)
        logger.handlers = [handler]
        logger.propagate = False
    _log.setLevel(level)
    _metrics.setLevel(logging.INFO)


def configure_libraries() -> None:
    """Log only that a library logged, because its message may contain a client's data."""
    handler = _Handler(sys.stdout)
    handler.setFormatter(_LibraryFormatter())
    logging.getLogger().handlers = [handler]


def _finish(record: Record, duration_ms: float) -> None:
    fields: dict[str, Any] = {"code": record.code, "durationMs": round(duration_ms, 1)}
    if _context.is_cold:
        _context.is_cold = False
        fields["coldStart"] = True
    _write(logging.INFO, "event handled", fields)
    if record.is_clients:
        latency_ms = duration_ms - record.waited_ms
        for name, value, split_by in metrics.of_event(record.operation, record.code, latency_ms):
            put_metrics(split_by, **{name: value})


def _identity(
    connection_id: str | None, user_id: str | None, request_id: str | None
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if request_id is not None:
        fields["requestId"] = request_id
    if connection_id is not None:
        fields["connection"] = fields["correlation"] = hash_of(connection_id)
    if user_id is not None:
        fields["user"] = hash_of(user_id)
    return fields


def _write(level: int, message: str, fields: Mapping[str, Any]) -> None:
    with suppress(Exception):
        if not _log.isEnabledFor(level):
            return
        record = _current.get()
        known = record.to_fields() if record is not None else {}
        given = {name: value for name, value in fields.items() if value is not None}
        _emit(_log, level, message, {**known, **given})


def _emit(logger: logging.Logger, level: int, message: str, fields: dict[str, Any]) -> None:
    """Log like `logger.log`, but without looking up the caller, which no line contains."""
    if logger.isEnabledFor(level):
        record = logging.LogRecord(logger.name, level, "", 0, message, (), None)
        record.fields = fields
        logger.handle(record)


def _describe_stack(error: BaseException) -> str:
    """Describe where an exception and its causes were raised, with the exception itself at the end.

    Messages are left out because they may contain a client's data. AWS error codes are kept.
    """
    chain: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and seen not in chain and len(chain) < 5:
        chain.insert(0, seen)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    lines = []
    for each in chain:
        for frame in traceback.extract_tb(each.__traceback__):
            lines.append(f"{frame.filename}:{frame.lineno} {frame.name}")
        lines.append(f"{type(each).__name__} {_code(each)}".rstrip())
    return "\n".join(lines)[-STACK_CHARACTERS:]


def _code(error: BaseException) -> str:
    """Return an error's code, such as that of aws.dynamodb.Refused."""
    code = getattr(error, "code", "")
    return code if isinstance(code, str) and code.isalnum() else ""


class _Handler(logging.StreamHandler[Any]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Drop the line, because logging would print its content to standard error."""


class _LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{seconds}.{int(record.created * 1000 % 1000):03}Z",
            "level": record.levelname,
            "message": record.msg,
        }
        fields = getattr(record, "fields", {})
        try:
            text = json.dumps({**line, **_bounded(fields)}, default=_name_type, allow_nan=False)
        except Exception:
            text = ""
        if text and len(text) <= LINE_CHARACTERS:
            return text
        return json.dumps({**line, "isCutOff": True})


class _MetricsFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_bounded(getattr(record, "fields", {})), allow_nan=False)


class _LibraryFormatter(_LineFormatter):
    def format(self, record: logging.LogRecord) -> str:
        safe = {**vars(record), "msg": "a library has logged", "fields": {"library": record.name}}
        return super().format(logging.makeLogRecord(safe))


def _bounded(fields: Mapping[str, Any]) -> dict[str, Any]:
    bounded: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, str) and name != "error":
            value = value[:TEXT_CHARACTERS]
        elif isinstance(value, tuple):  # json.dumps would write the fields of a named tuple.
            value = _name_type(value)
        bounded[name] = value
    return bounded


def _name_type(value: object) -> str:
    """Return the type's name for a value that is not JSON, whose text could contain anything."""
    return type(value).__name__
