"""Limits, and the RateLimits table: who asks too often is told when to come again.

Each event is one unconditional write. The keys are keyed hashes, so that the table names neither an
address nor a user nor a connection.

What happens when the table fails is decided here, too: a session cannot be created without it,
and everything else goes on uncounted, since a broadcast that is on the air matters more.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final

from chalicelib import telemetry
from chalicelib.errors import RateLimitExceeded, ServiceUnavailable
from chalicelib.settings import RateLimitSettings

MINUTE: Final = 60
HOUR: Final = 3600

KEPT_SECONDS: Final = 120
"""How long a counter outlives its window, for clocks that differ and for DynamoDB's expiry."""

UpdateItem = Callable[..., Mapping[str, Any]]
"""DynamoDB's UpdateItem, with the arguments of boto3's client. Raises: ServiceUnavailable."""


class RateLimits:
    def __init__(
        self,
        update_item: UpdateItem,
        settings: RateLimitSettings,
        clock: Callable[[], float],
    ) -> None:
        self._update_item = update_item
        self._limits = settings
        self._clock = clock

    def count_connection(self, address: str) -> None:
        """Count a connection from an address. Raises: RateLimitExceeded."""
        counts = self._count_if_possible("connections", self._address(address), MINUTE)
        if counts.get("connections", 0) > self._limits.connections_per_minute:
            raise self._exceeded(MINUTE)

    def count_join(self, address: str, *, is_signed_in: bool) -> None:
        """Count a listener who came in from an address without an invite code.

        From an address with too many refused attempts none comes in so, but who has a valid token.

        Raises: RateLimitExceeded.
        """
        counts = self._count_if_possible("joins", self._address(address), MINUTE)
        is_suspect = counts.get("refused", 0) >= self._limits.refused_attempts_per_minute
        has_too_many = counts.get("joins", 0) > self._limits.listener_joins_per_minute
        if has_too_many or (is_suspect and not is_signed_in):
            raise self._exceeded(MINUTE)

    def count_invited_join(self, session_id: str) -> None:
        """Count a listener who came in with a session's invite code. Raises: RateLimitExceeded."""
        counts = self._count_if_possible("joins", f"session#{session_id}", MINUTE)
        if counts.get("joins", 0) > self._limits.invited_joins_per_minute:
            raise self._exceeded(MINUTE)

    def count_session(self, user_id: str) -> None:
        """Count a session that a user is about to create.

        Raises: RateLimitExceeded; ServiceUnavailable, for nothing is created uncounted.
        """
        counts = self._count("sessions", f"user#{user_id}", HOUR)
        if counts.get("sessions", 0) > self._limits.sessions_per_hour:
            raise self._exceeded(HOUR)

    def count_refusal(self, address: str) -> int | None:
        """Count a refused attempt from an address.

        Return in how many seconds the next may be made, if these are too many; else None.
        """
        counts = self._count_if_possible("refused", self._address(address), MINUTE)
        if counts.get("refused", 0) > self._limits.refused_attempts_per_minute:
            return self._exceeded(MINUTE).retry_after_seconds
        return None

    def _count_if_possible(self, what: str, subject: str, window_seconds: int) -> dict[str, int]:
        try:
            return self._count(what, subject, window_seconds)
        except ServiceUnavailable:
            telemetry.log_warning("not counted", dependency="rateLimits")
            return {}

    def _count(self, what: str, subject: str, window_seconds: int) -> dict[str, int]:
        """Add one to a subject's counter in this window, and return all its counters there."""
        window = int(self._clock()) // window_seconds
        answer = self._update_item(
            TableName=self._limits.table,
            Key=self._key(f"{subject}#{window_seconds}#{window}"),
            UpdateExpression="ADD #what :one SET expiresAt = :end",
            ExpressionAttributeNames={"#what": what},
            ExpressionAttributeValues={
                ":one": {"N": "1"},
                ":end": {"N": str((window + 1) * window_seconds + KEPT_SECONDS)},
            },
            ReturnValues="ALL_NEW",
        )
        return {
            name: int(value["N"]) for name, value in answer["Attributes"].items() if "N" in value
        }

    def _address(self, address: str) -> str:
        return f"address#{address}"

    def _key(self, subject: str) -> dict[str, Any]:
        digest = hmac.new(self._limits.hash_key, subject.encode(), hashlib.sha256).hexdigest()
        return {"identifier": {"S": digest}}

    def _exceeded(self, window_seconds: int) -> RateLimitExceeded:
        return _refusal(window_seconds - self._clock() % window_seconds)


def _refusal(retry_after_seconds: float) -> RateLimitExceeded:
    return RateLimitExceeded(
        "Too many requests, please try again later.",
        retry_after_seconds=max(1, int(retry_after_seconds + 0.999)),
    )
