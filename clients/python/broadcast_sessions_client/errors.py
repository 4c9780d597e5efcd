"""The error that every call raises."""

from collections.abc import Mapping
from typing import Any

from broadcast_sessions_client import messages


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
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.temporary = temporary
        self.retry_after_seconds = retry_after_seconds
        self.details = dict(details or {})

    def with_wait(self, seconds: float) -> "SessionError":
        """Return a copy that names the time until the next attempt."""
        copy = SessionError(
            self.code,
            self.message,
            temporary=self.temporary,
            retry_after_seconds=seconds,
            details=self.details,
        )
        copy.__cause__ = self.__cause__
        return copy


def no_session() -> SessionError:
    """Return the error of a command that comes before the first call, or after a failed one."""
    message = "There is no session yet: call create(), take_over() or join() first."
    return SessionError("NO_SESSION", message)


def refusal(message: messages.Message) -> SessionError:
    """Return the error that an `error` message describes."""
    details = message.get("details")
    return SessionError(
        messages.text(message, "code") or "INTERNAL_ERROR",
        messages.text(message, "message") or "The service gave no reason.",
        temporary=message.get("temporary") is True,
        retry_after_seconds=messages.number(message, "retryAfter"),
        details=details if isinstance(details, dict) else None,
    )
