"""Log lines and metrics, one JSON object a line, on standard output.

No line holds a token, an e-mail or IP address, a connection id or what a client wrote: texts are
constant, whoever has to be followed is named by a keyed hash, and of an exception stands here what
it is and where it was raised, never what it says. Nothing here raises, and no line is longer than
LINE_CHARACTERS: a request is not harmed by what is told of it.
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
TEXT_CHARACTERS: Final = 256
STACK_CHARACTERS: Final = 4096
"""Of a stack trace, whose end is kept: it says where the exception was raised."""

HASH_BYTES: Final = 8

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
    """An event that is being handled: what each of its lines says.

    `operation` is the action asked for, once it is known; `code` what became of it. `waited_ms` is
    the part of its duration that is no latency.
    """

    event: str
    operation: str
    fields: dict[str, Any] = field(default_factory=dict)
    code: str = "OK"
    is_clients: bool = True
    waited_ms: float = 0.0

    def refused(self, error: ServiceError) -> ServiceError:
        """Note what the client is told, and log why."""
        self.code = error.code
        if error.code != "INTERNAL_ERROR":
            log_warning("refused", code=error.code, cause=error.message, field=error.field)
        return error

    def failed(self) -> None:
        """Note that nobody foresaw what has happened, and log where it did."""
        self.code = "INTERNAL_ERROR"
        log_failure()

    def to_fields(self) -> dict[str, Any]:
        return {"event": self.event, "operation": self.operation, **self.fields}


TRAIL: Final = ("requestId", "sessionId", "correlation")

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
    """Log one line for an event at INFO, and count it where it is a client's.

    Raises: InternalError for what nobody foresaw, once it is logged: Lambda, too, logs what an
        exception says; whatever else the event's handling raises.
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
        raise InternalError("What nobody foresaw is in the log.") from None
    finally:
        with suppress(Exception):
            _finish(record, (time.perf_counter() - started) * 1000)
        _current.reset(token)


def follow(session_id: str, correlation: str) -> None:
    """Say whose event is being handled, once that is known.

    `correlation` is what stays the same through a client's refreshes; its hash is logged.
    """
    record = _current.get()
    if record is not None:
        with suppress(Exception):
            record.fields |= {"sessionId": session_id, "correlation": hash_of(correlation)}


@contextmanager
def waiting() -> Iterator[None]:
    """Leave a deliberate wait out of the latency of the event that is being handled."""
    started = time.perf_counter()
    try:
        yield
    finally:
        record = _current.get()
        if record is not None:
            record.waited_ms += (time.perf_counter() - started) * 1000


def find_trail() -> dict[str, str | None]:
    """Return the fields by which the log links this event with an event that it causes."""
    record = _current.get()
    fields = {} if record is None else record.fields
    return {name: fields.get(name) for name in TRAIL}


def hash_of(text: str) -> str:
    """Return what stands for a name in the log: nobody gets it back without the key."""
    return blake2b(
        text.encode(errors="replace"), key=_context.hash_key, digest_size=HASH_BYTES
    ).hexdigest()


def log_done(message: str, **counts: Any) -> None:
    """Log how much of what was done or found; `message` is a constant text."""
    _write(logging.INFO, message, counts)


def log_warning(message: str, **fields: Any) -> None:
    """Log why something was refused or did not work; all texts are constant."""
    _write(logging.WARNING, message, fields)


def log_failure(**fields: Any) -> None:
    """Log the exception that is being handled, which nobody foresaw, with its stack."""
    error = sys.exc_info()[1]
    with suppress(Exception):
        fields["error"] = _describe_stack(error) if error is not None else "none"
    _write(logging.ERROR, "failure", fields)


def put_metrics(split_by: str = "", **values: float) -> None:
    """Write metrics of chalicelib.metrics by their names, whatever the log's level is."""
    with suppress(Exception):
        timestamp_ms = int(time.time() * 1000)
        written = metrics.document(values, _context.stage, timestamp_ms, split_by)
        _emit(_metrics, logging.INFO, "", written)


def configure(level: str, stage: str = "local", hash_key: bytes = b"") -> None:
    """Write to standard output, from where Lambda takes the lines to CloudWatch.

    `hash_key` is hashed itself where it is longer than the hash takes.
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
    """Say of what libraries log only that they did: they may name a URL, and with it somebody."""
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
        written = {name: it for name, it in fields.items() if it is not None}
        _emit(_log, level, message, {**known, **written})


def _emit(logger: logging.Logger, level: int, message: str, fields: dict[str, Any]) -> None:
    """Log as `logger.log` does, but without finding out who calls: no line says it."""
    if logger.isEnabledFor(level):
        record = logging.LogRecord(logger.name, level, "", 0, message, (), None)
        record.fields = fields
        logger.handle(record)


def _describe_stack(error: BaseException) -> str:
    """Say where an exception and those before it were raised, the last of them at the end.

    What they say is left out, for it may name somebody; but a code of AWS's does not.
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
        """Do without the line: logging would print what it was about."""


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
        said = {**vars(record), "msg": "a library has logged", "fields": {"library": record.name}}
        return super().format(logging.makeLogRecord(said))


def _bounded(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value[:TEXT_CHARACTERS] if isinstance(value, str) and name != "error" else value
        for name, value in fields.items()
    }


def _name_type(value: object) -> str:
    """Stand in for what is no JSON: what it would say of itself may be anything."""
    return type(value).__name__
