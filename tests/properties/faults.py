"""What may become of an event at work: it dies, it waits, and what it asks for fails.

An operation runs by itself up to where its plan says, so that a run is the same each time: at any
moment only one is at work, though it may have a thread of its own to wait in.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chalicelib.aws.wire import Answer, Unreachable
from tests import moto_dynamodb
from tests.unit.fakes import Clock, refused

THROTTLED_SECONDS = 4
"""Longer than a request is tried again (retries.RETRY_SECONDS), so that it is given up."""

LAG_SECONDS = 1
"""How far an index may lag behind its table: "a fraction of a second". Source: "Using Global
Secondary Indexes", Amazon DynamoDB Developer Guide (Data synchronization).
"""


class Fault(StrEnum):
    """What happens at one request of an operation."""

    NONE = "none"
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    THROTTLED = "throttled"
    LOST = "lost, not done"
    UNANSWERED = "done, answer lost"
    REPEATED = "done, answer lost, sent again"
    SLOW = "slow"


@dataclass(frozen=True)
class Plan:
    """The fault, and how many requests are made before it.

    `is_stale`: the index shows what was there a second ago.
    """

    fault: Fault = Fault.NONE
    at: int = 0
    is_stale: bool = False


SMOOTH = Plan()


class Crash(BaseException):
    """The function has died: no `except Exception` of it sees this."""


class Operation:
    """One event at work in a function."""

    def __init__(
        self,
        name: str,
        work: Callable[[], Any],
        started_at: float,
        step: int,
        outcome: Any = None,
    ) -> None:
        """`outcome` is what an asynchronous event, which may come more than once, is to deliver."""
        self.name = name
        self.outcome = outcome
        self.started_at = started_at
        self.step = step
        self.answer: Any = None
        self.is_done = False
        self.is_dead = False
        self.was_hurt = False
        self.throttled_until = 0.0
        self._work = work
        self.is_stale = False
        self._plan = SMOOTH
        self._requests_left = 0
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._has_stopped = threading.Semaphore(0)
        self._may_go_on = threading.Semaphore(0)

    @property
    def is_at_work(self) -> bool:
        return not self.is_done and not self.is_dead

    def go_on(self, plan: Plan) -> None:
        """Run to the end, to death, or to where the plan lets it wait."""
        self._plan, self._requests_left = plan, plan.at
        self.is_stale = plan.is_stale
        if self._thread is None and plan.fault is not Fault.SLOW:
            self._run()
        elif self._thread is None:
            self._thread = threading.Thread(target=self._run_aside, daemon=True)
            self._thread.start()
            self._has_stopped.acquire()
        else:
            self._may_go_on.release()
            self._has_stopped.acquire()
        if self._error is not None:
            raise self._error

    def kill(self) -> None:
        """End it where it waits; nothing of its rest runs."""
        self.is_dead = True
        if self._thread is not None:
            self._may_go_on.release()
            self._thread.join()

    def next_fault(self) -> Fault:
        """Say what happens to the request that it is about to make.

        Raises: Crash.
        """
        if self.is_dead:
            raise Crash
        if self._plan.fault is Fault.NONE:
            return Fault.NONE
        if self._requests_left:
            self._requests_left -= 1
            return Fault.NONE
        fault, self._plan = self._plan.fault, SMOOTH
        self.was_hurt = True
        if fault is Fault.SLOW:
            self._has_stopped.release()
            self._may_go_on.acquire()
            return self.next_fault()
        if fault is Fault.CRASH_BEFORE:
            self.die()
        return fault

    def die(self) -> None:
        """Raises: Crash."""
        self.is_dead = True
        raise Crash

    def _run(self) -> None:
        try:
            self.answer = self._work()
            self.is_done = True
        except Crash:
            self.is_dead = True

    def _run_aside(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self._error, self.is_dead = error, True
        finally:
            self._has_stopped.release()


class FaultyTransport:
    """Moto's DynamoDB, whose requests meet the faults of the operation at work."""

    def __init__(
        self, current: Callable[[], Operation], clock: Clock, history: "IndexHistory"
    ) -> None:
        self._current = current
        self._clock = clock
        self._history = history
        self._lost: bytes | None = None
        """The request whose next attempt is lost, too."""
        self._tokens: dict[str, Answer] = {}

    def request(
        self,
        _method: str,
        _path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_idempotent: bool | None = None,
    ) -> Answer:
        name = (headers or {})["x-amz-target"].partition(".")[2]
        operation = self._current()
        fault = operation.next_fault()
        if self._lost == body:
            self._lost = None
            raise Unreachable("late", was_sent=True)
        if fault is Fault.THROTTLED:
            operation.throttled_until = self._clock() + THROTTLED_SECONDS
        if self._clock() < operation.throttled_until:
            return refused("ThrottlingException")
        if fault is Fault.LOST:
            self._lost = body
            raise Unreachable("late", was_sent=True)
        answer = self._do(name, json.loads(body), operation)
        if fault is Fault.CRASH_AFTER:
            operation.die()
        if fault is Fault.UNANSWERED:
            self._lost = body
        if fault in (Fault.UNANSWERED, Fault.REPEATED):
            raise Unreachable("late", was_sent=True)
        return answer

    def _do(self, name: str, request: dict[str, Any], operation: Operation) -> Answer:
        if name == "Query" and operation.is_stale:
            return Answer(200, json.dumps({"Items": self._history.query(request)}).encode(), {})
        if name not in ("Query", "Scan", "GetItem", "BatchGetItem"):
            self._history.note()
        if name != "TransactWriteItems":
            return moto_dynamodb.call(name, request)
        # A transaction is known again by its token. Source: TransactWriteItems
        # (ClientRequestToken), Amazon DynamoDB API Reference; moto does not know tokens.
        token = request["ClientRequestToken"]
        done = self._tokens.get(token) or moto_dynamodb.call(name, request)
        if done.status == 200:
            self._tokens[token] = done
        return done


class IndexHistory:
    """What a table's index has shown of late: it is eventually consistent.

    `read` gives its keys as they are now, of which a query shows those of LAG_SECONDS ago.
    """

    def __init__(self, read: Callable[[], list[dict[str, str]]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._views: list[tuple[float, list[dict[str, str]]]] = []

    def note(self) -> None:
        """Keep what is shown until now: a write is about to change it."""
        self._forget()
        self._views.append((self._clock(), self._read()))

    def query(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        self._forget()
        items = self._views[0][1] if self._views else self._read()
        values = request["ExpressionAttributeValues"]
        session_id = values[":session"]["S"]
        below = values.get(":after", {"S": "\x7f"})["S"]
        return [
            {name: {"S": value} for name, value in item.items()}
            for item in items
            if item["sessionId"] == session_id and item["targetLanguage"] < below
        ]

    def _forget(self) -> None:
        oldest = self._clock() - LAG_SECONDS
        self._views = [(until, items) for until, items in self._views if until >= oldest]
