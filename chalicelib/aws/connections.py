"""The @connections API, which posts to WebSocket connections or closes them."""

import heapq
import random
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from math import inf
from typing import Final, Literal, Protocol
from urllib.parse import quote

from chalicelib.aws.http import SignedClient
from chalicelib.aws.side_by_side import SideBySide
from chalicelib.aws.wire import Answer, Unreachable

AT_ONCE: Final = 64
"""Requests in flight at the same time, each on its own connection.

Measured with 500 posts over TLS that take 15 ms each. On kept connections, 32 requests at once took
275 ms in total, 64 took 145 ms and 128 took 83 ms. On new connections they took 296, 208 and 224
ms, because each handshake costs about 0.5 ms of CPU, as much as a dozen posts.
"""

FAN_OUT_SECONDS: Final = 10
"""Time limit for all posts of a fan-out, well within the integration's 29 s."""

POST_SECONDS: Final = 10
"""Time limit for one post with its retries."""

RETRY_DELAY_SECONDS: Final = 0.1
"""Wait before the first retry. It doubles with each further retry, minus a jitter of up to half."""

LONGEST_RETRY_DELAY_SECONDS: Final = 1.0
"""Longest wait before a retry of a connection that answers 429.

Its buffer is full, or the account's quota is used up. Both can pass within seconds.
Source: apigatewaymanagementapi's model (LimitExceededException).
"""

BROKEN_TRIES: Final = 2
"""Attempts after a 5xx or a missing answer, where a retry is safe."""

_NOT_SENT: Final = 0
"""Stands for a status if API Gateway has certainly not received the request."""

_UNANSWERED: Final = -1
"""Stands for a status if at least a part of the request was sent and no answer came."""

_OK: Final = frozenset({200, 204})
_THROTTLED: Final = 429

_UNKNOWN: Final = frozenset({_UNANSWERED, 504})
"""Statuses after which the message may or may not have arrived."""

_GONE: Final = frozenset({410, 400})
"""Statuses for a connection that does not exist. A malformed connection ID gives 400.

Source: apigatewaymanagementapi's model (GoneException). BadRequestException was seen on AWS and is
not in the model.
"""

Method = Literal["DELETE", "POST"]


class Gone(Exception):
    """The connection is closed, has never existed, or is not open yet."""


class PostFailed(Exception):
    """API Gateway did not accept a post, or did not answer.

    Attributes:
        status: The HTTP status, or 0 or less if there was no answer.
    """

    def __init__(self, status: int) -> None:
        """Record the status."""
        super().__init__(f"status {status}" if status > 0 else "no answer")
        self.status = status

    @property
    def may_have_arrived(self) -> bool:
        """Return whether the message may have been delivered despite the error."""
        return self.status in _UNKNOWN


@dataclass(frozen=True, slots=True)
class FanOut:
    """The result of a fan-out.

    Attributes:
        reached: How many connections' posts API Gateway accepted.
        gone: The connections that do not exist.
        failed: How many other posts failed.
        unreached: Those of the failed connections that certainly did not get the message.
        duration_ms: The duration of the fan-out.
    """

    reached: int
    gone: frozenset[str]
    failed: int
    unreached: frozenset[str] = frozenset()
    duration_ms: float = field(default=0.0, compare=False)


def sum_up(results: Collection[FanOut]) -> FanOut:
    """Add up the results of fan-outs that were made one after another."""
    return FanOut(
        reached=sum(each.reached for each in results),
        gone=frozenset().union(*(each.gone for each in results)),
        failed=sum(each.failed for each in results),
        unreached=frozenset().union(*(each.unreached for each in results)),
        duration_ms=sum(each.duration_ms for each in results),
    )


class Connections(Protocol):
    """The @connections API of one stage, as use cases depend on it."""

    def post(self, connection_id: str, text: str) -> None:
        """Post one message. Success means that API Gateway accepted it, not that it was read.

        Raises:
            Gone: The connection does not exist.
            PostFailed: API Gateway did not accept the message.
        """

    def fan_out(
        self,
        connection_ids: Collection[str],
        text: str,
        time_limit_seconds: float = FAN_OUT_SECONDS,
        /,
    ) -> FanOut:
        """Post one message to many connections at the same time, once to each.

        The order is undefined. A connection that is gone is reported and skipped. A connection
        whose buffer is full (429) is retried after all others were tried, until the time limit.
        One that is slow or unreachable occupies one of AT_ONCE requests and does not delay the
        rest. A connection that has not answered at the time limit counts as failed, although it
        may get the message.
        """

    def close(self, connection_ids: Collection[str]) -> None:
        """Close connections at the same time. Those that are gone or fail are skipped."""


class ManagementApi:
    """Calls the @connections API over HTTP, as Connections describes. Thread-safe.

    Within the time limit, a 429 is retried with growing waits. A 5xx or a missing answer is retried
    once, but a post only if API Gateway has certainly not received it. No message arrives twice.
    """

    def __init__(
        self,
        client: SignedClient,
        *,
        at_once: int = AT_ONCE,
        retry_delay_seconds: float = RETRY_DELAY_SECONDS,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Create a client of one stage.

        Args:
            client: Sends signed requests to the stage.
            at_once: Requests in flight at the same time.
            retry_delay_seconds: The wait before the first retry.
            jitter: Returns a random number from 0 to below 1.
        """
        self._client = client
        self._at_once = at_once
        self._retry_delay_seconds = retry_delay_seconds
        self._jitter = jitter

    def post(self, connection_id: str, text: str) -> None:
        """Post one message, within POST_SECONDS."""
        status = self._request("POST", [connection_id], text.encode(), POST_SECONDS)[connection_id]
        if status in _GONE:
            raise Gone
        if status not in _OK:
            raise PostFailed(status)

    def fan_out(
        self,
        connection_ids: Collection[str],
        text: str,
        time_limit_seconds: float = FAN_OUT_SECONDS,
    ) -> FanOut:
        """Post one message to many connections."""
        started_at = time.monotonic()
        statuses = self._request("POST", connection_ids, text.encode(), time_limit_seconds)
        gone = frozenset(to for to, status in statuses.items() if status in _GONE)
        failed = {to: status for to, status in statuses.items() if status not in _OK | _GONE}
        return FanOut(
            reached=len(statuses) - len(gone) - len(failed),
            gone=gone,
            failed=len(failed),
            unreached=frozenset(to for to, status in failed.items() if status not in _UNKNOWN),
            duration_ms=(time.monotonic() - started_at) * 1000,
        )

    def close(
        self, connection_ids: Collection[str], time_limit_seconds: float = FAN_OUT_SECONDS
    ) -> None:
        """Close connections within the time limit."""
        self._request("DELETE", connection_ids, b"", time_limit_seconds)

    def _request(
        self, method: Method, connection_ids: Collection[str], body: bytes, limit_seconds: float
    ) -> dict[str, int]:
        """Send one request for each connection, and return each one's last status."""
        ends_at = time.monotonic() + limit_seconds
        queue = _Queue(connection_ids, self._retry_delay_seconds, self._jitter)
        in_flight: SideBySide[_Try] = SideBySide()
        try:
            while (now := time.monotonic()) < ends_at:
                while len(in_flight) < self._at_once and (due := queue.pop(now)):
                    path = f"/@connections/{quote(due.connection_id, safe='')}"
                    queue.statuses[due.connection_id] = _UNANSWERED
                    in_flight.start(due, self._client.steps(method, path, body))
                if not in_flight and queue.is_empty:
                    break
                wake_at = queue.next_at if len(in_flight) < self._at_once else ends_at
                for tried, end in in_flight.wait(min(wake_at, ends_at)):
                    queue.settle(tried, *_judge(method, end))
        finally:
            in_flight.close()
        return queue.statuses


def _judge(method: Method, end: Answer | Unreachable) -> tuple[int, bool]:
    """Return the status, and whether a retry is safe."""
    is_idempotent = method == "DELETE"
    if isinstance(end, Unreachable):
        status = _UNANSWERED if end.was_sent else _NOT_SENT
        return status, is_idempotent or not end.was_sent
    may_repeat = end.status == _THROTTLED or (is_idempotent and end.status >= 500)
    return end.status, may_repeat


@dataclass(order=True, slots=True)
class _Try:
    """The next request to one connection, and how many came before it."""

    not_before: float
    connection_id: str
    tries: int = 0


class _Queue:
    """The connections that still need a request, and the last status of each connection.

    Connections that were not tried yet come first, then those whose retry is due.
    """

    def __init__(
        self,
        connection_ids: Collection[str],
        retry_delay_seconds: float,
        jitter: Callable[[], float],
    ) -> None:
        self.statuses = dict.fromkeys(connection_ids, _NOT_SENT)
        self._untried = deque(self.statuses)
        self._retries: list[_Try] = []
        self._retry_delay_seconds = retry_delay_seconds
        self._jitter = jitter

    @property
    def is_empty(self) -> bool:
        return not self._untried and not self._retries

    @property
    def next_at(self) -> float:
        """Return when the first retry is due."""
        return self._retries[0].not_before if self._retries else inf

    def pop(self, now: float) -> _Try | None:
        if self._untried:
            return _Try(now, self._untried.popleft())
        return heapq.heappop(self._retries) if self.next_at <= now else None

    def settle(self, tried: _Try, status: int, may_repeat: bool) -> None:
        """Record a status, and queue a retry if it is useful."""
        self.statuses[tried.connection_id] = status
        tries = tried.tries + 1
        if may_repeat and (status == _THROTTLED or tries < BROKEN_TRIES):
            not_before = time.monotonic() + self._delay_seconds(tries)
            heapq.heappush(self._retries, _Try(not_before, tried.connection_id, tries))

    def _delay_seconds(self, tries: int) -> float:
        longest_seconds: float = self._retry_delay_seconds * 2.0 ** min(tries - 1, 20)
        return min(longest_seconds, LONGEST_RETRY_DELAY_SECONDS) * (1 - self._jitter() / 2)
