"""Limits, and the RateLimits table: requests over a limit are refused with a `Retry-After`.

A limit is decided before a session is looked up, and each refusal reads the same, so it does not
reveal whether the session exists. Each event is one unconditional write. The keys are keyed
hashes: the table names neither an address nor a user nor a connection.

What happens when the table fails is decided here, too: a session cannot be created without it,
and everything else goes on uncounted, since a broadcast that is on the air matters more.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from chalicelib import telemetry
from chalicelib.errors import RateLimitExceeded, ServiceUnavailable
from chalicelib.models import INVITED_WINDOW_SECONDS, Caller, Invitation
from chalicelib.settings import RateLimitSettings

MINUTE: Final = 60
HOUR: Final = 3600

HOST_BITS: Final = 64
"""Of an IPv6 address: one subscriber has all the addresses with the same first 64 bits."""

KEPT_SECONDS: Final = 120
"""How long a counter outlives its window, for clocks that differ and for DynamoDB's expiry."""

UpdateItem = Callable[..., Mapping[str, Any]]
"""As aws.dynamodb.DynamoDB.update_item. Raises: ServiceUnavailable."""


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

    def count_connection(self, caller: Caller) -> None:
        """Count a connection from an address. One with a valid token is not counted.

        Raises: RateLimitExceeded.
        """
        if caller.user_id is None:
            self._count_in_minute(["connections"], _address(caller.address))

    def count_join(self, caller: Caller, *, with_connection: bool = False) -> None:
        """Count a join without an invite code, and in the same write its connection.

        Raises: RateLimitExceeded, also if the caller has used up its refused attempts.
        """
        names = _with_connection("joins", caller, with_connection)
        self._check_refused(self._count_in_minute(names, _subject(caller)))

    def check_refused(self, caller: Caller) -> None:
        """Check whether the caller has used up its refused attempts. Counts nothing.

        Raises: RateLimitExceeded.
        """
        self._check_refused(self._count_if_possible({"refused": 0}, _subject(caller), MINUTE))

    def invitation(self, code: str) -> Invitation:
        """Return an invitation by that code now, with the limit of joins that applies to it.

        The session itself counts these joins, in the write that counts the listener.
        """
        window = int(self._clock()) // INVITED_WINDOW_SECONDS
        return Invitation(code, window, self._limits.invited_joins_per_minute)

    def count_session(self, user_id: str) -> None:
        """Count a session that a user is about to create.

        Raises: RateLimitExceeded; ServiceUnavailable, for nothing is created uncounted.
        """
        counts = self._count({"sessions": 1}, f"user#{user_id}", HOUR)
        if counts.get("sessions", 0) > self._limits.sessions_per_hour:
            raise self._exceeded(HOUR)

    def count_refusal(
        self, caller: Caller, *, with_connection: bool = False
    ) -> RateLimitExceeded | None:
        """Count a refused attempt of a caller, and in the same write its connection.

        Never fails: the caller's refusal is the answer in any case.

        Returns:
            The refusal to answer instead, if the caller has used up its refused attempts.
        """
        names = _with_connection("refused", caller, with_connection)
        return self._count_refusal(names, _subject(caller))

    def count_refused_token(self, address: str) -> None:
        """Count a refused token as a refused attempt from an address. Never fails."""
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
        """Count what these names stand for, and return all of the subject's counters.

        Raises: RateLimitExceeded if one of these is over its limit.
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
        """Add to a subject's counters in this window, and return all its counters there."""
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
    """Return whose joins and refused attempts these are: the user's, else the address's."""
    return _address(caller.address) if caller.user_id is None else f"user#{caller.user_id}"


def _address(address: str) -> str:
    """Return the subject for an address. An IPv6 address stands for its /64.

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
