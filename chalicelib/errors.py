"""What can go wrong, in the words of the protocol: a code, an HTTP status, whether to retry.

One family, one member per code. Errors are raised where they are known and mapped once, in
dispatch, to a handshake's status or to an `error` message. Nothing here knows of AWS.

Source: the protocol's table of error codes, docs/reference/protocol.md.
"""

import math
from collections.abc import Collection, Mapping
from typing import ClassVar, Final

RETRY_AFTER_SECONDS: Final = 2
"""When a client may try again if nothing else says so."""


class ServiceError(Exception):
    """A refusal that the client is told about.

    `message` is one sentence for a person; it never holds a token, an address or another
    party's identifier. `field` names the offending parameter, `retry_after_seconds` (whole
    seconds) says when the same command may succeed.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    temporary: ClassVar[bool] = False
    is_attempt: ClassVar[bool] = False
    """Whether it counts as a refused attempt of its user or address."""

    def __init__(
        self, message: str, *, field: str | None = None, retry_after_seconds: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.retry_after_seconds = retry_after_seconds

    @property
    def details(self) -> Mapping[str, object]:
        """Return what a program can act on, by the names of the protocol."""
        return {} if self.field is None else {"field": self.field}


class Unauthorized(ServiceError):
    code, status, is_attempt = "UNAUTHORIZED", 401, True


class Forbidden(ServiceError):
    code, status, is_attempt = "FORBIDDEN", 403, True


class SessionNotFound(ServiceError):
    """There is no such session, or no more: what guessing ids meets."""

    code, status, is_attempt = "SESSION_NOT_FOUND", 404, True


class NoSession(SessionNotFound):
    """The connection has no session, or no more. Nothing was guessed."""

    is_attempt = False


class InvalidAction(ServiceError):
    code, status = "INVALID_ACTION", 400


class InvalidParameters(ServiceError):
    code, status = "INVALID_PARAMETERS", 400


class InvalidSessionId(ServiceError):
    code, status = "INVALID_SESSION_ID", 400


class UnsupportedLanguage(ServiceError):
    """A tag that names no language of the table; `supported` lists the codes that it accepts."""

    code, status = "UNSUPPORTED_LANGUAGE", 400

    def __init__(self, *, field: str, supported: Collection[str]) -> None:
        super().__init__("This language is not supported.", field=field)
        self.supported = supported

    @property
    def details(self) -> Mapping[str, object]:
        return {**super().details, "supported": sorted(self.supported)}


class Conflict(ServiceError):
    code, status = "CONFLICT", 409


class MessageTooLarge(ServiceError):
    code, status = "MESSAGE_TOO_LARGE", 413


class RateLimitExceeded(ServiceError):
    """A limit refuses the command. Which limit, and why, is not said: the text is always the same.

    Always carries `retry_after_seconds`, rounded up to whole seconds.
    """

    code, status, temporary = "RATE_LIMIT_EXCEEDED", 429, True

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(
            "Too many requests, please try again later.",
            retry_after_seconds=max(1, int(retry_after_seconds + 0.999)),
        )


class SessionFull(ServiceError):
    code, status, temporary = "SESSION_FULL", 503, True


class ServiceUnavailable(ServiceError):
    """A dependency throttles, fails or cannot be reached; always carries `retry_after_seconds`."""

    code, status, temporary = "SERVICE_UNAVAILABLE", 503, True


def unavailable(retry_after_seconds: float = RETRY_AFTER_SECONDS) -> ServiceUnavailable:
    return ServiceUnavailable(
        "The service is busy, please try again.",
        retry_after_seconds=max(1, math.ceil(retry_after_seconds)),
    )


class InternalError(ServiceError):
    """What nobody foresaw."""

    code, status, temporary = "INTERNAL_ERROR", 500, True
