"""Faults of running events, which crash, wait, or get errors from DynamoDB.

Only one operation runs at any moment, and it runs until its plan stops it, which makes a run
repeatable. A waiting operation has its own thread.
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
"""Longer than the retries of a request (retries.RETRY_SECONDS), which makes the request fail."""

LAG_SECONDS = 1
"""Longest lag of an index behind its table, which AWS documents as "a fraction of a second".

Source: "Using Global Secondary Indexes", Amazon DynamoDB Developer Guide (Data synchronization).
"""


class Fault(StrEnum):
    """A fault at one request of an operation."""

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
    """A fault, and its position in an operation.

    Attributes:
        fault: The fault.
        at: The number of requests before it.
        is_stale: Whether the index returns its state of a second ago.
        stores_first: Whether a caption is stored before its posts, or after them.
    """

    fault: Fault = Fault.NONE
    at: int = 0
    is_stale: bool = False
    stores_first: bool = True


NO_FAULT = Plan()


class Crash(BaseException):
    """The function crashed. `except Exception` doesn't catch this exception."""


class Operation:
    """An event in a function."""

    def __init__(
        self,
        name: str,
        work: Callable[[], Any],
        started_at: float,
        step: int,
        outcome: Any = None,
    ) -> None:
        """Prepare the event; `resume` starts it.

        Args:
            name: The function's name.
            work: Handles the event.
            started_at: The time of the start.
            step: The step of the state machine.
            outcome: The outcome that an asynchronous event delivers. It can be repeated.
        """
        self.name = name
        self.outcome = outcome
        self.started_at = started_at
        self.step = step
        self.answer: Any = None
        self.is_done = False
        self.is_dead = False
        self.had_fault = False
        self.throttled_until = 0.0
        self._work = work
        self.is_stale = False
        self.was_stale = False
        self._plan = NO_FAULT
        self._requests_left = 0
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._has_stopped = threading.Semaphore(0)
        self._may_resume = threading.Semaphore(0)

    @property
    def is_running(self) -> bool:
        return not self.is_done and not self.is_dead

    def resume(self, plan: Plan) -> None:
        """Run until the end, a crash, or the point at which the plan makes it wait."""
        self._plan, self._requests_left = plan, plan.at
        self.is_stale = plan.is_stale
        self.was_stale |= plan.is_stale
        if self._thread is None and plan.fault is not Fault.SLOW:
            self._run()
        elif self._thread is None:
            self._thread = threading.Thread(target=self._run_in_thread, daemon=True)
            self._thread.start()
            self._has_stopped.acquire()
        else:
            self._may_resume.release()
            self._has_stopped.acquire()
        if self._error is not None:
            raise self._error

    def kill(self) -> None:
        """Crash the operation where it waits."""
        self.is_dead = True
        if self._thread is not None:
            self._may_resume.release()
            self._thread.join()

    def next_fault(self) -> Fault:
        """Return the fault of the next request.

        Raises:
            Crash: The operation crashes before the request.
        """
        if self.is_dead:
            raise Crash
        if self._plan.fault is Fault.NONE:
            return Fault.NONE
        if self._requests_left:
            self._requests_left -= 1
            return Fault.NONE
        fault, self._plan = self._plan.fault, NO_FAULT
        self.had_fault = True
        if fault is Fault.SLOW:
            self._has_stopped.release()
            self._may_resume.acquire()
            return self.next_fault()
        if fault is Fault.CRASH_BEFORE:
            self.crash()
        return fault

    def crash(self) -> None:
        """Crash the operation.

        Raises:
            Crash: Always.
        """
        self.is_dead = True
        raise Crash

    def _run(self) -> None:
        try:
            self.answer = self._work()
            self.is_done = True
        except Crash:
            self.is_dead = True

    def _run_in_thread(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self._error, self.is_dead = error, True
        finally:
            self._has_stopped.release()


class FaultyTransport:
    """A transport to moto's DynamoDB, with the faults of the running operation."""

    def __init__(
        self, current: Callable[[], Operation], clock: Clock, history: "IndexHistory"
    ) -> None:
        self._current = current
        self._clock = clock
        self._history = history
        self._lost: bytes | None = None
        """The request whose next attempt is also lost."""
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
            operation.crash()
        if fault is Fault.UNANSWERED:
            self._lost = body
        if fault in (Fault.UNANSWERED, Fault.REPEATED):
            raise Unreachable("late", was_sent=True)
        return answer

    def _do(self, name: str, request: dict[str, Any], operation: Operation) -> Answer:
        if name == "Query" and "IndexName" in request and operation.is_stale:
            return Answer(200, json.dumps({"Items": self._history.query(request)}).encode(), {})
        is_read = name in ("Query", "Scan", "GetItem", "BatchGetItem")
        if not is_read and request.get("TableName") != "captions":
            self._history.record()
        if name != "TransactWriteItems":
            return moto_dynamodb.call(name, request)
        # DynamoDB recognizes a repeated transaction by its token, but moto doesn't. Source:
        # TransactWriteItems (ClientRequestToken), Amazon DynamoDB API Reference.
        token = request["ClientRequestToken"]
        done = self._tokens.get(token) or moto_dynamodb.call(name, request)
        if done.status == 200:
            self._tokens[token] = done
        return done


class IndexHistory:
    """The recent states of a table's index, which is eventually consistent.

    `read` returns the current keys. A query returns the keys of LAG_SECONDS ago.
    """

    def __init__(self, read: Callable[[], list[dict[str, str]]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._views: list[tuple[float, list[dict[str, str]]]] = []

    def record(self) -> None:
        """Store the current state before a write changes it."""
        self._drop_old_views()
        self._views.append((self._clock(), self._read()))

    def query(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        self._drop_old_views()
        items = self._views[0][1] if self._views else self._read()
        values = request["ExpressionAttributeValues"]
        session_id = values[":session"]["S"]
        below = values.get(":none", {"S": "\x7f"})["S"]
        language = values.get(":language", {"S": None})["S"]
        return [
            {name: {"S": value} for name, value in item.items()}
            for item in items
            if item["sessionId"] == session_id
            and item["targetLanguage"] < below
            and language in (None, item["targetLanguage"])
        ]

    def _drop_old_views(self) -> None:
        oldest = self._clock() - LAG_SECONDS
        self._views = [(until, items) for until, items in self._views if until >= oldest]
