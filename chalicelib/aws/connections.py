"""Posts to WebSocket connections and closes them, through @connections, many side by side."""

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
"""Requests under way at once, each on a connection of its own.

Measured with 500 posts, each answered after 15 ms, over TLS: with connections that were kept, 32 at
once took 275 ms, 64 took 145 and 128 took 83. With new ones it was 296, 208 and 224, since each
handshake costs some 0.5 ms of the processor's time, as much as a dozen posts.
"""

FAN_OUT_SECONDS: Final = 10
"""For all posts of a fan-out together; well within the integration's 29 s."""

POST_SECONDS: Final = 10
"""For one post with its retries."""

RETRY_DELAY_SECONDS: Final = 0.1
"""Before the second try; doubled before each further one, and up to a half less at random."""

LONGEST_RETRY_DELAY_SECONDS: Final = 1.0
"""A connection that answers 429 is tried at least this often until the time limit.

Its buffer is full, or the account's quota is used up: both can pass within seconds.
Source: apigatewaymanagementapi's model (LimitExceededException).
"""

BROKEN_TRIES: Final = 2
"""For 5xx, and for no answer where another try does no harm."""

_NOT_SENT: Final = 0
"""In place of a status: API Gateway has certainly not received the request."""

_UNANSWERED: Final = -1
"""In place of a status: the request was sent, at least in part, and no answer came."""

_OK: Final = frozenset({200, 204})
_THROTTLED: Final = 429

_UNKNOWN: Final = frozenset({_UNANSWERED, 504})
"""Ends of a post after which nothing says whether the message arrived."""

# A malformed id was never a connection; that error is not in the service's model.
# Source: apigatewaymanagementapi's model (GoneException); seen on AWS (BadRequestException).
_GONE: Final = frozenset({410, 400})

Method = Literal["DELETE", "POST"]


class Gone(Exception):
    """The connection is closed, was never there, or has not opened yet."""


class PostFailed(Exception):
    """A post was not accepted, or no answer says so; `status` is then 0 or less."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}" if status > 0 else "no answer")
        self.status = status

    @property
    def may_have_arrived(self) -> bool:
        return self.status in _UNKNOWN


@dataclass(frozen=True, slots=True)
class FanOut:
    """How many receivers a fan-out reached, which were gone, and how many posts failed.

    `unreached` are those of the failed ones that have certainly not received the message.
    """

    reached: int
    gone: frozenset[str]
    failed: int
    unreached: frozenset[str] = frozenset()
    duration_ms: float = field(default=0.0, compare=False)


class Connections(Protocol):
    """The @connections API of one stage, as use cases depend on it.

    ManagementApi is the implementation and describes the methods.
    """

    def post(self, connection_id: str, text: str) -> None: ...

    def fan_out(
        self,
        connection_ids: Collection[str],
        text: str,
        time_limit_seconds: float = FAN_OUT_SECONDS,
        /,
    ) -> FanOut: ...

    def close(self, connection_ids: Collection[str]) -> None: ...


class ManagementApi:
    """Asks the @connections API of one stage. Threads may share it.

    Retries, within the time limit: 429 until the limit, after waits that grow; 5xx and no answer
    once, but a post only if API Gateway has certainly not received it. So no message comes twice.
    """

    def __init__(
        self,
        client: SignedClient,
        *,
        at_once: int = AT_ONCE,
        retry_delay_seconds: float = RETRY_DELAY_SECONDS,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`jitter` gives a number from 0 up to 1."""
        self._client = client
        self._at_once = at_once
        self._retry_delay_seconds = retry_delay_seconds
        self._jitter = jitter

    def post(self, connection_id: str, text: str) -> None:
        """Post one message. It was then taken by API Gateway, not yet read by the client.

        Raises: Gone, PostFailed.
        """
        status = self._ask("POST", [connection_id], text.encode(), POST_SECONDS)[connection_id]
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
        """Post one message to many connections, side by side, and once to each.

        Order: none. Back-pressure: a receiver whose buffer is full (429) is tried again when all
        the others have been tried, and again until the time limit. A gone receiver is reported
        and skipped. One that cannot be reached, or takes long, counts as failed and holds up one
        of AT_ONCE connections; neither keeps the message from the rest. At the time limit this
        returns, and who has not answered by then has failed, though the message may have reached
        it.
        """
        started_at = time.monotonic()
        statuses = self._ask("POST", connection_ids, text.encode(), time_limit_seconds)
        gone = frozenset(to for to, status in statuses.items() if status in _GONE)
        failed = {to: it for to, it in statuses.items() if it not in _OK and it not in _GONE}
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
        """Close connections, side by side. One that is gone or can't be closed is skipped."""
        self._ask("DELETE", connection_ids, b"", time_limit_seconds)

    def _ask(
        self, method: Method, connection_ids: Collection[str], body: bytes, limit_seconds: float
    ) -> dict[str, int]:
        """Return each connection's last status."""
        ends_at = time.monotonic() + limit_seconds
        queue = _Queue(connection_ids, self._retry_delay_seconds, self._jitter)
        under_way: SideBySide[_Try] = SideBySide()
        try:
            while (now := time.monotonic()) < ends_at:
                while len(under_way) < self._at_once and (due := queue.pop(now)):
                    path = f"/@connections/{quote(due.connection_id, safe='')}"
                    queue.statuses[due.connection_id] = _UNANSWERED
                    under_way.start(due, self._client.steps(method, path, body))
                if not under_way and queue.is_empty:
                    break
                wake_at = queue.next_at if len(under_way) < self._at_once else ends_at
                for asked, end in under_way.wait(min(wake_at, ends_at)):
                    queue.settle(asked, *_judge(method, end))
        finally:
            under_way.close()
        return queue.statuses


def _judge(method: Method, end: Answer | Unreachable) -> tuple[int, bool]:
    """Return the status, and whether the same may be asked again."""
    is_idempotent = method == "DELETE"
    if isinstance(end, Unreachable):
        status = _UNANSWERED if end.was_sent else _NOT_SENT
        return status, is_idempotent or not end.was_sent
    may_repeat = end.status == _THROTTLED or (is_idempotent and end.status >= 500)
    return end.status, may_repeat


@dataclass(order=True, slots=True)
class _Try:
    """One connection that is to be asked, and how often it was before."""

    not_before: float
    connection_id: str
    tries: int = 0


class _Queue:
    """Who is to be asked next, and what the others answered.

    First come those who were never asked, then those to be asked again, when it is their time.
    """

    def __init__(
        self,
        connection_ids: Collection[str],
        retry_delay_seconds: float,
        jitter: Callable[[], float],
    ) -> None:
        self.statuses = dict.fromkeys(connection_ids, _NOT_SENT)
        self._first = deque(self.statuses)
        self._again: list[_Try] = []
        self._retry_delay_seconds = retry_delay_seconds
        self._jitter = jitter

    @property
    def is_empty(self) -> bool:
        return not self._first and not self._again

    @property
    def next_at(self) -> float:
        """When the first of those who wait may be asked again."""
        return self._again[0].not_before if self._again else inf

    def pop(self, now: float) -> _Try | None:
        if self._first:
            return _Try(now, self._first.popleft())
        return heapq.heappop(self._again) if self.next_at <= now else None

    def settle(self, asked: _Try, status: int, may_repeat: bool) -> None:
        """Note an answer, and put the connection back if it is worth another try."""
        self.statuses[asked.connection_id] = status
        tries = asked.tries + 1
        if may_repeat and (status == _THROTTLED or tries < BROKEN_TRIES):
            not_before = time.monotonic() + self._delay_seconds(tries)
            heapq.heappush(self._again, _Try(not_before, asked.connection_id, tries))

    def _delay_seconds(self, tries: int) -> float:
        longest_seconds: float = self._retry_delay_seconds * 2.0 ** min(tries - 1, 20)
        return min(longest_seconds, LONGEST_RETRY_DELAY_SECONDS) * (1 - self._jitter() / 2)
