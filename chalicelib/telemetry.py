"""Log lines: one JSON object each, with constant texts and no token, address or connection id."""

import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chalicelib.errors import ServiceError

_logger = logging.getLogger("broadcast_sessions")


@dataclass(slots=True)
class Record:
    """What became of an event."""

    code: str = "OK"

    def refused(self, error: ServiceError) -> ServiceError:
        self.code = error.code
        return error


@contextmanager
def handled(operation: str, event: Mapping[str, Any]) -> Iterator[Record]:
    """Log one line for an event: at INFO, or at WARNING if it was refused."""
    record = Record()
    started = time.perf_counter()
    yield record
    level = logging.INFO if record.code == "OK" else logging.WARNING
    if _logger.isEnabledFor(level):
        fields = {
            "operation": operation,
            "code": record.code,
            "requestId": event["requestContext"].get("requestId"),
            "durationMs": round((time.perf_counter() - started) * 1000, 1),
        }
        _logger.log(level, "event handled", extra={"fields": fields})


def log_counts(operation: str, **counts: float) -> None:
    """Log how much of what an operation did or found."""
    _logger.info("done", extra={"fields": {"operation": operation, **counts}})


def log_warning(operation: str, reason: str) -> None:
    """Log why something was refused or did not work; `reason` is one of a few constant texts."""
    _logger.warning("refused", extra={"fields": {"operation": operation, "reason": reason}})


def log_failure(operation: str) -> None:
    """Log the exception that is being handled, with its stack trace, at ERROR."""
    _logger.exception("failure", extra={"fields": {"operation": operation}})


def configure(level: str) -> None:
    """Write the lines to standard output, from where Lambda takes them to CloudWatch."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonFormatter())
    _logger.handlers = [handler]
    _logger.propagate = False
    _logger.setLevel(level)


class _JsonFormatter(logging.Formatter):
    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03}Z",
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)
