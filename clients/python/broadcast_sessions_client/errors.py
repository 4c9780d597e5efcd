"""The error that every call raises."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from broadcast_sessions_client import messages

_LOGGER: Final = logging.getLogger("broadcast_sessions_client")

LONGEST_SECONDS: Final = 3600
"""The longest wait that the service can demand."""


class SessionError(Exception):
    """The service refused a command, or the client couldn't carry it out.

    Attributes:
        code: A code of the protocol, or one of the client's own: `CONNECTION_FAILED`, `NO_ANSWER`,
            `TOKEN_FAILED`, `QUEUE_FULL`, `NO_SESSION`, `REPLACED` and `CLOSED`. A
            sign-in adds `SIGN_IN_FAILED` and `SIGNED_OUT`.
        temporary: Whether the same call can succeed later.
        retry_after_seconds: The time after which to try again, if it is known. A listener that
            has called `join()` tries again without your help.
        details: What the service says besides, for example the invalid `field`.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        temporary: bool = False,
        retry_after_seconds: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.temporary = temporary
        self.retry_after_seconds = retry_after_seconds
        self.details = dict(details or {})

    def __str__(self) -> str:
        """Return the code and the message."""
        return f"{self.code}: {self.message}"

    def copy(self) -> "SessionError":
        """Return an equal error to raise. A raised one collects tracebacks.

        It has no class of the application, whose constructor can take any arguments.
        """
        duplicate = SessionError(
            self.code,
            self.message,
            temporary=self.temporary,
            retry_after_seconds=self.retry_after_seconds,
            details=self.details,
        )
        duplicate.__cause__ = self.__cause__
        return duplicate

    def with_wait(self, seconds: float) -> "SessionError":
        """Return a copy that names the time until the next attempt."""
        duplicate = self.copy()
        duplicate.retry_after_seconds = seconds
        return duplicate


class ConnectionFailed(SessionError):
    """A connection didn't open, or was lost."""


class NoAnswer(SessionError):
    """The service didn't answer in time."""


class TokenFailed(SessionError):
    """The token callback failed for now."""


def reason_of(error: SessionError) -> str:
    """Return the reason that a state has after an error.

    The service's code can have any text. So the client's own errors are known by their class.
    """
    match error:
        case NoAnswer():
            return "noAnswer"
        case TokenFailed():
            return "tokenFailed"
    return error.code


def connection_failed(**details: Any) -> ConnectionFailed:
    """Return the error of a connection that didn't open, or was lost."""
    message = "There is no connection to the service."
    return ConnectionFailed("CONNECTION_FAILED", message, temporary=True, details=details)


def session_error(error: Exception) -> SessionError:
    """Return the error of a failed attempt. An unexpected one is logged, and is final."""
    if isinstance(error, SessionError):
        return error
    _LOGGER.error("An attempt to connect failed unexpectedly", exc_info=error)
    message = f"The client can't connect because of an error: {type(error).__name__}"
    failure = ConnectionFailed("CONNECTION_FAILED", message)
    failure.__cause__ = error
    return failure


def replaced() -> SessionError:
    """Return the error of a client that has lost its seat or its session to another one."""
    return SessionError("REPLACED", "Another client has taken this one's place.")


def closed() -> SessionError:
    """Return the error of all calls after `close()`."""
    return SessionError("CLOSED", "The client is closed.")


def session_is_over() -> SessionError:
    """Return the error of all calls after the end of the session."""
    return SessionError("SESSION_NOT_FOUND", "The session has ended.")


def no_session() -> SessionError:
    """Return the error of a command that comes before the first call, or after a failed one."""
    message = "There is no session yet: call create(), take_over() or join() first."
    return SessionError("NO_SESSION", message)


def refusal(message: messages.Message) -> SessionError:
    """Return the error that an `error` message describes."""
    details = message.get("details")
    retry_after = messages.number(message, "retryAfter", 0)
    return SessionError(
        messages.text(message, "code") or "INTERNAL_ERROR",
        messages.text(message, "message") or "The service gave no reason.",
        temporary=message.get("temporary") is True,
        retry_after_seconds=None if retry_after is None else min(retry_after, LONGEST_SECONDS),
        details=details if isinstance(details, dict) else None,
    )
