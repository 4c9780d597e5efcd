"""What may become of an event at work: it dies, it waits, and what it asks for fails.

An operation runs by itself up to where its plan says, so that a run is the same each time: at any
moment only one is at work, though it may have a thread of its own to wait in.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.unit.fakes import Clock

THROTTLED_SECONDS = 4
"""Longer than a request is tried again (resilience.RETRY_SECONDS), so that it is given up."""

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
    REPEATED = "done, answer lost, sent again by botocore"
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


class FaultyClient:
    """A client of DynamoDB whose requests meet the faults of the operation at work.

    `is_single` is of one that sends nothing twice.
    """

    def __init__(
        self,
        client: Any,
        current: Callable[[], Operation],
        clock: Clock,
        history: "IndexHistory",
        is_single: bool,
    ) -> None:
        self._client = client
        self._history = history
        self._current = current
        self._clock = clock
        self._is_single = is_single
        self.exceptions = client.exceptions

    def __getattr__(self, name: str) -> Any:
        return lambda **request: self._ask(name, request)

    def get_paginator(self, name: str) -> "Paginator":
        return Paginator(lambda request: self._ask(name, request))

    def _ask(self, name: str, request: dict[str, Any]) -> Any:
        operation = self._current()
        fault = operation.next_fault()
        if fault is Fault.THROTTLED:
            operation.throttled_until = self._clock() + THROTTLED_SECONDS
        if self._clock() < operation.throttled_until:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "x"}}, name)
        if fault is Fault.LOST:
            raise ReadTimeoutError(endpoint_url="https://dynamodb")
        error = answer = None
        try:
            answer = self._do(name, request, operation)
        except ClientError as refusal:
            error = refusal
        if fault is Fault.CRASH_AFTER:
            operation.die()
        if fault is Fault.UNANSWERED or (fault is Fault.REPEATED and self._is_single):
            raise ReadTimeoutError(endpoint_url="https://dynamodb")
        if error is not None:
            raise error
        # A transaction is known again by its token. Source: TransactWriteItems
        # (ClientRequestToken), Amazon DynamoDB API Reference; moto does not know tokens.
        if fault is Fault.REPEATED and name != "transact_write_items":
            return self._do(name, request, operation)
        return answer

    def _do(self, name: str, request: dict[str, Any], operation: Operation) -> Any:
        if name == "query" and operation.is_stale:
            return {"Items": self._history.query(request)}
        if name not in ("query", "scan", "get_item", "batch_get_item"):
            self._history.note()
        return getattr(self._client, name)(**request)


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


class Paginator:
    def __init__(self, ask: Callable[[dict[str, Any]], Any]) -> None:
        self._ask = ask

    def paginate(self, **request: Any) -> Iterator[Any]:
        while True:
            page = self._ask(request)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
