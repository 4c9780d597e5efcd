"""The errors that the protocol defines.

Code that detects an error raises it. Only dispatch maps it to the status of a handshake or to an
`error` message.

Source: the protocol's table of error codes, docs/reference/protocol.md.
"""

import math
from collections.abc import Collection
from typing import ClassVar, Final

RETRY_AFTER_SECONDS: Final = 2
"""Default time after which a client may retry."""


class ServiceError(Exception):
    """An error that the client receives.

    Attributes:
        code: The protocol's code.
        status: The HTTP status of a handshake that fails with this error.
        temporary: Whether the same command may succeed later.
        is_attempt: Whether the error counts as a refused attempt of its user or address.
        message: A sentence for users. It never contains a token, an address or another client's
            identifier.
        field: The name of the invalid parameter, if there is one.
        retry_after_seconds: When the same command may succeed, in whole seconds, if known.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    temporary: ClassVar[bool] = False
    is_attempt: ClassVar[bool] = False

    def __init__(
        self, message: str, *, field: str | None = None, retry_after_seconds: int | None = None
    ) -> None:
        """Record the error's attributes."""
        super().__init__(message)
        self.message = message
        self.field = field
        self.retry_after_seconds = retry_after_seconds


class Unauthorized(ServiceError):
    """The command needs a valid token."""

    code, status, is_attempt = "UNAUTHORIZED", 401, True


class Forbidden(ServiceError):
    """The caller may not use this session or command."""

    code, status, is_attempt = "FORBIDDEN", 403, True


class SessionNotFound(ServiceError):
    """The session that a command names doesn't exist or has ended. This can be a guess."""

    code, status, is_attempt = "SESSION_NOT_FOUND", 404, True

    def __init__(
        self, message: str = "There is no such session.", *, field: str | None = "sessionId"
    ) -> None:
        super().__init__(message, field=field)


class SessionOver(SessionNotFound):
    """The session of a returning listener has ended. This isn't a guess."""

    is_attempt = False


class NoSession(SessionNotFound):
    """The connection isn't a participant, or not any more. This isn't a guess."""

    is_attempt = False

    def __init__(self) -> None:
        super().__init__("This connection has no session.", field=None)


class InvalidAction(ServiceError):
    """The action is missing or unknown."""

    code, status = "INVALID_ACTION", 400


class InvalidParameters(ServiceError):
    """A parameter is missing or invalid."""

    code, status = "INVALID_PARAMETERS", 400


class InvalidSessionId(ServiceError):
    """The text cannot be a session ID."""

    code, status = "INVALID_SESSION_ID", 400


class UnsupportedLanguage(ServiceError):
    """The tag matches no supported language.

    Attributes:
        supported: The accepted language codes.
    """

    code, status = "UNSUPPORTED_LANGUAGE", 400

    def __init__(self, *, field: str, supported: Collection[str]) -> None:
        """Name the parameter and the accepted codes."""
        super().__init__("This language is not supported.", field=field)
        self.supported = supported


class Conflict(ServiceError):
    """The connection is a participant already, or was one and has been superseded."""

    code, status = "CONFLICT", 409

    def __init__(self, message: str = "This connection already has a session.") -> None:
        super().__init__(message)


class MessageTooLarge(ServiceError):
    """The message exceeds the protocol's size limit."""

    code, status = "MESSAGE_TOO_LARGE", 413


class RateLimitExceeded(ServiceError):
    """A rate limit refuses the command.

    The message is always the same and does not reveal which limit. `retry_after_seconds` is always
    set.
    """

    code, status, temporary = "RATE_LIMIT_EXCEEDED", 429, True

    def __init__(self, retry_after_seconds: float) -> None:
        """Round the time up to whole seconds, at least 1."""
        super().__init__(
            "Too many requests, please try again later.",
            retry_after_seconds=max(1, math.ceil(retry_after_seconds)),
        )


class SessionFull(ServiceError):
    """The session has no free seat."""

    code, status, temporary = "SESSION_FULL", 503, True


class ServiceUnavailable(ServiceError):
    """A dependency is throttling, failing or unreachable. `retry_after_seconds` is always set."""

    code, status, temporary = "SERVICE_UNAVAILABLE", 503, True


def unavailable(retry_after_seconds: float = RETRY_AFTER_SECONDS) -> ServiceUnavailable:
    """Return the error for an unavailable dependency, with its time rounded up to seconds."""
    return ServiceUnavailable(
        "The service is busy, please try again.",
        retry_after_seconds=max(1, math.ceil(retry_after_seconds)),
    )


class InternalError(ServiceError):
    """An unexpected error on the server."""

    code, status, temporary = "INTERNAL_ERROR", 500, True
