"""Rate limits per address and user, counted in the RateLimits table.

A limit is checked before the session is looked up, and each refusal has the same text. A refusal
therefore doesn't reveal whether a session exists. Each count is one unconditional write. The keys
are keyed hashes, so the table contains no address, user or connection.

If the table is unavailable, no session can be created. Other commands continue without limits,
because a running broadcast matters more.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from chalicelib import telemetry
from chalicelib.admission import INVITED_WINDOW_SECONDS, Invitation
from chalicelib.errors import RateLimitExceeded, ServiceUnavailable
from chalicelib.models import Caller
from chalicelib.settings import RateLimitSettings

MINUTE: Final = 60
"""Seconds in the window of most limits."""

HOUR: Final = 3600
"""Seconds in the window of the limit of sessions."""

HOST_BITS: Final = 64
"""Bits of an IPv6 address that are ignored, because one subscriber has all addresses of a /64."""

KEPT_SECONDS: Final = 120
"""Time for which a counter stays after its window, because clocks differ."""

UpdateItem = Callable[..., Mapping[str, Any]]
"""The signature of aws.dynamodb.DynamoDB.update_item, which may raise ServiceUnavailable."""


class RateLimits:
    """Counts requests, and refuses those over a limit."""

    def __init__(
        self,
        update_item: UpdateItem,
        settings: RateLimitSettings,
        clock: Callable[[], float],
    ) -> None:
        """Create the limits.

        Args:
            update_item: Updates an item in DynamoDB.
            settings: The table, the key of the hashes and the limits.
            clock: A wall clock in seconds.
        """
        self._update_item = update_item
        self._limits = settings
        self._clock = clock

    def count_connection(self, caller: Caller) -> None:
        """Count a connection from an address, unless it has a valid token.

        Raises:
            RateLimitExceeded: The address is over its limit.
        """
        if caller.user_id is None:
            self._count_in_minute(["connections"], _address(caller.address))

    def count_join(self, caller: Caller, *, with_connection: bool = False) -> None:
        """Count a join without an invite code.

        Args:
            caller: The client.
            with_connection: Whether the same write counts the client's connection.

        Raises:
            RateLimitExceeded: The caller is over a limit or has no refused attempts left.
        """
        names = _with_connection("joins", caller, with_connection)
        self._check_refused(self._count_in_minute(names, _subject(caller)))

    def check_refused(self, caller: Caller) -> None:
        """Check that the caller has refused attempts left, without counting anything.

        Raises:
            RateLimitExceeded: The caller has none left.
        """
        self._check_refused(self._count_if_possible({"refused": 0}, _subject(caller), MINUTE))

    def invitation(self, code: str) -> Invitation:
        """Return the invitation for an invite code, with the current window and limit of joins.

        The session counts these joins, in the write that counts the listener.
        """
        window = int(self._clock()) // INVITED_WINDOW_SECONDS
        return Invitation(code, window, self._limits.invited_joins_per_minute)

    def count_session(self, user_id: str) -> None:
        """Count a session before a user creates it.

        Raises:
            RateLimitExceeded: The user is over the limit.
            ServiceUnavailable: The table is unavailable. No session is created without a count.
        """
        counts = self._count({"sessions": 1}, f"user#{user_id}", HOUR)
        if counts.get("sessions", 0) > self._limits.sessions_per_hour:
            raise self._exceeded(HOUR)

    def count_refusal(
        self, caller: Caller, *, with_connection: bool = False
    ) -> RateLimitExceeded | None:
        """Count a refused attempt. Never raises, because the caller gets its refusal in any case.

        Args:
            caller: The client.
            with_connection: Whether the same write counts the client's connection.

        Returns:
            The error to answer instead, if the caller has no refused attempts left.
        """
        names = _with_connection("refused", caller, with_connection)
        return self._count_refusal(names, _subject(caller))

    def count_refused_token(self, address: str) -> None:
        """Count an invalid token as a refused attempt from an address. Never raises."""
        self._count_refusal(["refused"], _address(address))

    def _count_refusal(self, names: Sequence[str], subject: str) -> RateLimitExceeded | None:
        try:
            self._count_in_minute(names, subject)
        except RateLimitExceeded as refusal:
            return refusal
        except Exception:
            telemetry.log_failure()
        return None

    def _count_in_minute(self, names: Sequence[str], subject: str) -> dict[str, int]:
        """Add 1 to these counters, and return all counters of the subject.

        Raises:
            RateLimitExceeded: One of these counters is over its limit.
        """
        counts = self._count_if_possible(dict.fromkeys(names, 1), subject, MINUTE)
        allowed = {
            "connections": self._limits.connections_per_minute,
            "joins": self._limits.listener_joins_per_minute,
            "refused": self._limits.refused_attempts_per_minute,
        }
        if any(counts.get(name, 0) > allowed[name] for name in names):
            raise self._exceeded(MINUTE)
        return counts

    def _check_refused(self, counts: Mapping[str, int]) -> None:
        if counts.get("refused", 0) >= self._limits.refused_attempts_per_minute:
            raise self._exceeded(MINUTE)

    def _count_if_possible(
        self, counted: Mapping[str, int], subject: str, window_seconds: int
    ) -> dict[str, int]:
        try:
            return self._count(counted, subject, window_seconds)
        except ServiceUnavailable:
            telemetry.log_warning("not counted", dependency="rateLimits")
            return {}

    def _count(
        self, counted: Mapping[str, int], subject: str, window_seconds: int
    ) -> dict[str, int]:
        """Add to a subject's counters, and return all its counters in the current window."""
        window = int(self._clock()) // window_seconds
        attributes = self._update_item(
            TableName=self._limits.table,
            Key=self._key(f"{subject}#{window_seconds}#{window}"),
            UpdateExpression=f"ADD {', '.join(f'#{name} :{name}' for name in counted)}"
            " SET expiresAt = :end",
            ExpressionAttributeNames={f"#{name}": name for name in counted},
            ExpressionAttributeValues={
                ":end": {"N": str((window + 1) * window_seconds + KEPT_SECONDS)},
                **{f":{name}": {"N": str(number)} for name, number in counted.items()},
            },
            ReturnValues="ALL_NEW",
        )
        return {name: int(value["N"]) for name, value in attributes.items() if "N" in value}

    def _key(self, subject: str) -> dict[str, Any]:
        digest = hmac.new(self._limits.hash_key, subject.encode(), hashlib.sha256).hexdigest()
        return {"identifier": {"S": digest}}

    def _exceeded(self, window_seconds: int) -> RateLimitExceeded:
        return RateLimitExceeded(window_seconds - self._clock() % window_seconds)


def _subject(caller: Caller) -> str:
    """Return the subject that a caller's joins and refused attempts count for.

    It is the user, or the address of a caller without a token.
    """
    return _address(caller.address) if caller.user_id is None else f"user#{caller.user_id}"


def _address(address: str) -> str:
    """Return the subject for an address, or for the /64 of an IPv6 address.

    Source: RFC 6177, section 2 (a site has at least a /64).
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return f"address#{address}"
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or IPv6Address(int(ip) >> HOST_BITS << HOST_BITS)
    return f"address#{ip}"


def _with_connection(name: str, caller: Caller, with_connection: bool) -> list[str]:
    return [name, "connections"] if with_connection and caller.user_id is None else [name]
