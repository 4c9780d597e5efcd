"""The requests to DynamoDB of each operation, compared with `COSTS`, the table in the docs."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from chalicelib.assembly import UseCases, build_dispatcher
from chalicelib.commands import EndSession
from chalicelib.dispatch import Dispatcher
from chalicelib.models import Caller, Caption
from chalicelib.outcomes import Delivery
from chalicelib.rate_limits import RateLimits
from chalicelib.store.stores import Stores
from chalicelib.sweep import Sweep
from tests.unit.conftest import LIMITS
from tests.unit.fakes import (
    ADDRESS,
    CREATE,
    Clock,
    FakeConnections,
    FakeOutcomes,
    closing,
    connecting,
    event,
    frame,
    reply,
)


@dataclass(frozen=True)
class Cost:
    """Requests to DynamoDB. A transaction, a batch and a page are one request each.

    Attributes:
        requests: The number of requests.
        items: The number of items in each transaction or batch.
        allowed: The number that the first design allowed.
        reason: The reason for more requests than that.
    """

    requests: int
    items: tuple[int, ...] = ()
    allowed: int | None = None
    reason: str = ""


ENDPOINT_URL: Final = "https://api/stage"

UNKNOWN: Final = {"sessionId": "golden-eagle-999"}

COSTS: Final[dict[str, Cost]] = {
    "bare connect": Cost(1, allowed=1),
    "createSession by URL": Cost(2, items=(2,), allowed=3),
    "createSession by frame": Cost(2, items=(2,), allowed=3),
    "joinSession by URL": Cost(4, allowed=4),
    "joinSession by frame": Cost(4, allowed=4),
    "joinSession with inviteCode by URL": Cost(4, allowed=4),
    "joinSession with inviteCode by frame": Cost(4, allowed=4),
    "joinSession that a limit refuses": Cost(2),
    "joinSession of an unknown session": Cost(6),
    "joinSession of an unknown session with inviteCode": Cost(5),
    "joinSession with a wrong inviteCode": Cost(5),
    "notice of the status": Cost(1),
    "outcome of joinSession by URL": Cost(2),
    "outcome of createSession by URL": Cost(2),
    "outcome of refreshConnection by URL": Cost(2),
    "repeated outcome": Cost(1),
    "close of a refused connection by the service": Cost(1),
    "speaker's refresh by URL": Cost(4),
    "speaker's refresh by frame": Cost(4),
    "speaker's refresh that a limit refuses": Cost(2),
    "speaker's return within the grace by frame": Cost(6),
    "listener's refresh by URL": Cost(4, items=(2,)),
    "listener's refresh by frame": Cost(3, items=(2,)),
    "listener's refresh with another language by frame": Cost(3, items=(2,)),
    "refresh with another language by the last listener of a language": Cost(4, items=(2,)),
    "listener's return after a drop by frame": Cost(5, items=(2,)),
    "listener's refresh as a join by frame": Cost(6),
    "bare connection's heartbeat": Cost(1, allowed=1),
    "listener's heartbeat": Cost(1, allowed=1),
    "speaker's heartbeat": Cost(2, allowed=2),
    "refused heartbeat": Cost(2),
    "changeLanguage": Cost(3, allowed=2, reason="the session counts listeners per language"),
    "changeLanguage by the last listener of a language": Cost(
        4, allowed=2, reason="the language becomes idle after a time without listeners"
    ),
    "changeLanguage to the same language": Cost(
        3, allowed=2, reason="the answer has the number of the language's last caption"
    ),
    "getSessionStatus": Cost(2, allowed=3),
    "pauseSession": Cost(3),
    "pauseSession again": Cost(2),
    "resumeSession": Cost(3),
    "rotateInviteCode": Cost(2),
    "sendCaption": Cost(4),
    "sendCaption again": Cost(4),
    "publish of 1 caption": Cost(3),
    "publish of 10 captions": Cost(21),
    "publish of 1 caption in the source language": Cost(4),
    "publish of 1 caption again": Cost(2),
    "getCaptions": Cost(3),
    "getCaptions without missed captions": Cost(2),
    "endSession with 1 listener": Cost(6, items=(1,), allowed=7),
    "endSession with 150 listeners": Cost(7, items=(100, 50)),
    "close of a bare connection": Cost(1),
    "listener's leave": Cost(2, allowed=2),
    "last listener's leave": Cost(
        3, allowed=2, reason="the language becomes idle after a time without listeners"
    ),
    "speaker's close with 1000, 1 listener": Cost(9, items=(1,)),
    "speaker's drop": Cost(4),
    "close of a superseded connection": Cost(1),
    "sweep without sessions": Cost(2),
    "sweep of one quiet session with 100 listeners": Cost(5, items=(100,)),
    "sweep of a session with an idle language": Cost(5, items=(1,)),
    "sweep of a session with a lost listener": Cost(7, items=(2,)),
    "sweep of a session with a lost speaker": Cost(9, items=(2,)),
}


class Requests:
    """Counts requests to DynamoDB, and the items of transactions and batches."""

    def __init__(self, dynamodb: Any) -> None:
        self.count = 0
        self.items: list[int] = []
        dynamodb.transport.on_request.append(self._add)

    def forget(self) -> None:
        self.count = 0
        self.items = []

    def _add(self, _operation: str, request: dict[str, Any]) -> None:
        self.count += 1
        if "TransactItems" in request:
            self.items.append(len(request["TransactItems"]))
        if "RequestItems" in request:
            self.items.append(sum(len(it["Keys"]) for it in request["RequestItems"].values()))


@dataclass
class Stage:
    """A stage with one session. Its speaker has the connection speaker=, its listener b=."""

    dispatcher: Dispatcher
    use_cases: UseCases
    stores: Stores
    sweep: Sweep
    clock: Clock
    requests: Requests
    phones: FakeConnections
    outcomes: FakeOutcomes
    session_id: str = ""

    def open_session(self) -> None:
        self.session_id = reply(self.frame("speaker=", "user-1", **CREATE))["sessionId"]
        self.frame("b=", **self.join)
        self.notify()

    def notify(self) -> None:
        """Post the requested notices of the status."""
        for request in self.outcomes.statuses:
            self.use_cases.status_notices.deliver(request)
        self.outcomes.statuses.clear()

    def join_second(self) -> None:
        self.frame("second=", **self.invited)
        self.notify()

    def fill_and_wait(self, listeners: int) -> None:
        for number in range(listeners):
            self.frame(f"{number}=", **self.invited)
        self.notify()
        self.clock.now += 60

    def lose(self, listener: bool) -> None:
        self.clock.now += 60
        self.frame("another=", **self.invited)
        self.notify()
        self.frame("speaker=" if listener else "b=", action="heartbeat")
        self.clock.now += 60

    def url(self, connection_id: str, user_id: str | None = None, **fields: str) -> Any:
        return self.dispatcher.connect(connecting(connection_id, user_id, **fields))

    def frame(self, connection_id: str, user_id: str | None = None, **fields: str) -> Any:
        return self.dispatcher.message(frame(connection_id, user_id, **fields))

    def deliver(self, connection_id: str, message_type: str) -> Any:
        outcome = {"type": message_type, "sessionId": self.session_id, "status": "active"}
        self.use_cases.deliveries.deliver(
            Delivery(connection_id, ENDPOINT_URL, [outcome], event_id="1")
        )
        assert len(self.phones.inbox[connection_id]) == 1
        return {"statusCode": 200}

    def send_as_speaker(self, action: str) -> Any:
        return self.frame("speaker=", "user-1", action=action)

    def end(self) -> Any:
        """End the session without the dispatcher, whose time limit is too short for moto."""
        speaker = Caller("speaker=", "user-1", int(self.clock() * 1000), ADDRESS)
        self.use_cases.sessions.end(speaker, EndSession(None))
        return {"statusCode": 200}

    def say(self) -> Any:
        return self.frame(
            "speaker=", "user-1", action="sendCaption", text="a", captionId="phrase-1"
        )

    def publish(self, language: str = "es", captions: int = 1) -> Any:
        published = [Caption(f"phrase-{number}", "a", 0) for number in range(1, captions + 1)]
        seqs = self.use_cases.publishing.publish(self.session_id, language, published).seqs
        assert seqs == list(range(1, captions + 1))
        return {"statusCode": 200}

    def get_captions(self, after_seq: int) -> Any:
        return self.dispatcher.message(frame("b=", action="getCaptions", afterSeq=after_seq))

    def close(self, connection_id: str, code: int = 1006) -> Any:
        return self.dispatcher.disconnect(closing(connection_id, code))

    def make_idle(self) -> None:
        """Let the session's only language be without listeners for a minute."""
        self.close("b=")
        self.notify()
        self.clock.now += 60

    def deliver_status(self) -> Any:
        before = len(self.phones.inbox["speaker="])
        self.notify()
        assert len(self.phones.inbox["speaker="]) == before + 1
        return {"statusCode": 200}

    def close_refused(self, connection_id: str) -> Any:
        self.use_cases.lifecycle.close_refused(connection_id)
        return {"statusCode": 200}

    def refuse(self, times: int, user_id: str | None = None) -> None:
        """Use up refused attempts of a user, or of the address of all clients."""
        for number in range(times):
            self.frame(f"stranger-{number}=", user_id, **{**self.invited, **UNKNOWN})

    @property
    def join(self) -> dict[str, str]:
        return {"action": "joinSession", "sessionId": self.session_id, "targetLanguage": "es"}

    @property
    def invited(self) -> dict[str, str]:
        return {**self.join, "inviteCode": "code-of-the-hall"}

    @property
    def as_speaker(self) -> dict[str, str]:
        return {"action": "refreshConnection", "sessionId": self.session_id, "role": "speaker"}

    @property
    def as_listener(self) -> dict[str, str]:
        return {**self.join, "action": "refreshConnection", "role": "listener"}

    def run_sweep(self) -> dict[str, Any]:
        report = self.sweep.run()
        assert report.is_complete
        assert not report.failed
        return {"statusCode": 200}


Do = Callable[[Stage], Any]


def nothing(_: Stage) -> None:
    pass


OPERATIONS: Final[dict[str, tuple[Do, Do]]] = {
    # The preparation, and the operation whose requests are counted.
    "bare connect": (nothing, lambda stage: stage.url("new=")),
    "createSession by URL": (nothing, lambda stage: stage.url("new=", "user-1", **CREATE)),
    "createSession by frame": (nothing, lambda stage: stage.frame("new=", "user-1", **CREATE)),
    "joinSession by URL": (nothing, lambda stage: stage.url("new=", **stage.join)),
    "joinSession by frame": (nothing, lambda stage: stage.frame("new=", **stage.join)),
    "joinSession with inviteCode by URL": (
        nothing,
        lambda stage: stage.url("new=", **stage.invited),
    ),
    "joinSession with inviteCode by frame": (
        nothing,
        lambda stage: stage.frame("new=", **stage.invited),
    ),
    "joinSession that a limit refuses": (
        lambda stage: stage.refuse(20),
        lambda stage: stage.frame("new=", **stage.join),
    ),
    "joinSession of an unknown session": (
        nothing,
        lambda stage: stage.frame("new=", **{**stage.join, **UNKNOWN}),
    ),
    "joinSession of an unknown session with inviteCode": (
        nothing,
        lambda stage: stage.frame("new=", **{**stage.invited, **UNKNOWN}),
    ),
    "joinSession with a wrong inviteCode": (
        nothing,
        lambda stage: stage.frame("new=", **stage.join, inviteCode="wrong"),
    ),
    "notice of the status": (
        lambda stage: stage.frame("new=", **stage.join),
        lambda stage: stage.deliver_status(),
    ),
    "outcome of joinSession by URL": (
        lambda stage: stage.frame("new=", **stage.join),
        lambda stage: stage.deliver("new=", "sessionJoined"),
    ),
    "outcome of createSession by URL": (
        lambda stage: stage.frame("new=", "user-1", **CREATE),
        lambda stage: stage.deliver("new=", "sessionCreated"),
    ),
    "outcome of refreshConnection by URL": (
        lambda stage: stage.frame("new=", **stage.as_listener, connectionId="b="),
        lambda stage: stage.deliver("new=", "connectionRefreshComplete"),
    ),
    "repeated outcome": (
        lambda stage: [
            stage.frame("new=", **stage.join),
            stage.deliver("new=", "sessionJoined"),
        ],
        lambda stage: stage.deliver("new=", "sessionJoined"),
    ),
    "close of a refused connection by the service": (
        nothing,
        lambda stage: stage.close_refused("speaker="),
    ),
    "speaker's refresh by URL": (
        nothing,
        lambda stage: stage.url("new=", "user-1", **stage.as_speaker),
    ),
    "speaker's refresh by frame": (
        nothing,
        lambda stage: stage.frame("new=", "user-1", **stage.as_speaker),
    ),
    "speaker's refresh that a limit refuses": (
        lambda stage: stage.refuse(20, "user-1"),
        lambda stage: stage.frame("new=", "user-1", **stage.as_speaker),
    ),
    "speaker's return within the grace by frame": (
        lambda stage: stage.close("speaker="),
        lambda stage: stage.frame("new=", "user-1", **stage.as_speaker),
    ),
    "listener's refresh by URL": (
        nothing,
        lambda stage: stage.url("new=", **stage.as_listener, connectionId="b="),
    ),
    "listener's refresh by frame": (
        nothing,
        lambda stage: stage.frame("new=", **stage.as_listener, connectionId="b="),
    ),
    "listener's refresh with another language by frame": (
        lambda stage: stage.join_second(),
        lambda stage: stage.frame(
            "new=", **{**stage.as_listener, "targetLanguage": "de"}, connectionId="b="
        ),
    ),
    "refresh with another language by the last listener of a language": (
        nothing,
        lambda stage: stage.frame(
            "new=", **{**stage.as_listener, "targetLanguage": "de"}, connectionId="b="
        ),
    ),
    "listener's return after a drop by frame": (
        lambda stage: stage.close("b="),
        lambda stage: stage.frame("new=", **stage.as_listener, connectionId="b="),
    ),
    "listener's refresh as a join by frame": (
        nothing,
        lambda stage: stage.frame("new=", **stage.as_listener, connectionId="never-was="),
    ),
    "bare connection's heartbeat": (
        nothing,
        lambda stage: stage.frame("bare=", action="heartbeat"),
    ),
    "listener's heartbeat": (nothing, lambda stage: stage.frame("b=", action="heartbeat")),
    "speaker's heartbeat": (nothing, lambda stage: stage.send_as_speaker("heartbeat")),
    "refused heartbeat": (
        lambda stage: [stage.frame("b=", action="heartbeat") for _ in range(4)],
        lambda stage: stage.frame("b=", action="heartbeat"),
    ),
    "changeLanguage": (
        lambda stage: stage.join_second(),
        lambda stage: stage.frame("b=", action="changeLanguage", targetLanguage="de"),
    ),
    "changeLanguage by the last listener of a language": (
        nothing,
        lambda stage: stage.frame("b=", action="changeLanguage", targetLanguage="de"),
    ),
    "changeLanguage to the same language": (
        nothing,
        lambda stage: stage.frame("b=", action="changeLanguage", targetLanguage="es"),
    ),
    "getSessionStatus": (nothing, lambda stage: stage.send_as_speaker("getSessionStatus")),
    "pauseSession": (nothing, lambda stage: stage.send_as_speaker("pauseSession")),
    "pauseSession again": (
        lambda stage: stage.send_as_speaker("pauseSession"),
        lambda stage: stage.send_as_speaker("pauseSession"),
    ),
    "resumeSession": (
        lambda stage: stage.send_as_speaker("pauseSession"),
        lambda stage: stage.send_as_speaker("resumeSession"),
    ),
    "rotateInviteCode": (nothing, lambda stage: stage.send_as_speaker("rotateInviteCode")),
    "sendCaption": (nothing, lambda stage: stage.say()),
    "sendCaption again": (lambda stage: stage.say(), lambda stage: stage.say()),
    "publish of 1 caption": (nothing, lambda stage: stage.publish()),
    "publish of 10 captions": (nothing, lambda stage: stage.publish(captions=10)),
    "publish of 1 caption in the source language": (nothing, lambda stage: stage.publish("en")),
    "publish of 1 caption again": (
        lambda stage: stage.publish(),
        lambda stage: stage.publish(),
    ),
    "getCaptions": (lambda stage: stage.publish(), lambda stage: stage.get_captions(0)),
    "getCaptions without missed captions": (
        lambda stage: stage.publish(),
        lambda stage: stage.get_captions(1),
    ),
    "endSession with 1 listener": (nothing, lambda stage: stage.send_as_speaker("endSession")),
    "endSession with 150 listeners": (
        lambda stage: stage.fill_and_wait(149),
        lambda stage: stage.end(),
    ),
    "close of a bare connection": (nothing, lambda stage: stage.close("bare=")),
    "listener's leave": (
        lambda stage: stage.join_second(),
        lambda stage: stage.dispatcher.disconnect(event("b=")),
    ),
    "last listener's leave": (nothing, lambda stage: stage.dispatcher.disconnect(event("b="))),
    "speaker's close with 1000, 1 listener": (
        nothing,
        lambda stage: stage.close("speaker=", 1000),
    ),
    "speaker's drop": (nothing, lambda stage: stage.close("speaker=")),
    "close of a superseded connection": (
        lambda stage: stage.frame("new=", "user-1", **stage.as_speaker),
        lambda stage: stage.close("speaker="),
    ),
    "sweep without sessions": (
        lambda stage: stage.stores.sessions.delete(stage.session_id),
        lambda stage: stage.run_sweep(),
    ),
    "sweep of one quiet session with 100 listeners": (
        lambda stage: stage.fill_and_wait(99),
        lambda stage: stage.run_sweep(),
    ),
    "sweep of a session with an idle language": (
        lambda stage: stage.make_idle(),
        lambda stage: stage.run_sweep(),
    ),
    "sweep of a session with a lost listener": (
        lambda stage: stage.lose(listener=True),
        lambda stage: stage.run_sweep(),
    ),
    "sweep of a session with a lost speaker": (
        lambda stage: stage.lose(listener=False),
        lambda stage: stage.run_sweep(),
    ),
}

REFUSED: Final = {
    "refused heartbeat",
    "joinSession that a limit refuses",
    "joinSession of an unknown session",
    "joinSession of an unknown session with inviteCode",
    "joinSession with a wrong inviteCode",
    "speaker's refresh that a limit refuses",
}


@pytest.fixture
def stage(
    sweep_of: Callable[..., Sweep],
    dynamodb: Any,
    build: Callable[..., UseCases],
    stores: Stores,
    phones: FakeConnections,
    rate_limits: RateLimits,
    outcomes: Any,
    clock: Clock,
) -> Stage:
    requests = Requests(dynamodb)
    wide = build(limits=replace(LIMITS, max_listeners=500))
    dispatcher = build_dispatcher(wide, rate_limits, outcomes, ENDPOINT_URL, clock)
    sweep = sweep_of(max_listeners=500)
    stage = Stage(dispatcher, wide, stores, sweep, clock, requests, phones, outcomes)
    stage.open_session()
    return stage


@pytest.mark.parametrize("operation", COSTS)
def test_an_operation_makes_the_documented_number_of_requests(stage: Stage, operation: str) -> None:
    prepare, do = OPERATIONS[operation]
    prepare(stage)
    stage.requests.forget()
    answer = do(stage)
    assert answer["statusCode"] == 200
    is_refused = json.loads(answer.get("body", "{}")).get("type") == "error"
    assert is_refused is (operation in REFUSED)

    cost = COSTS[operation]
    requests = stage.requests
    assert (requests.count, tuple(requests.items)) == (cost.requests, cost.items)


def test_every_operation_has_a_cost() -> None:
    assert COSTS.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("operation", COSTS)
def test_a_cost_over_its_budget_has_a_reason(operation: str) -> None:
    cost = COSTS[operation]
    has_grown = cost.allowed is not None and cost.requests > cost.allowed
    assert has_grown == bool(cost.reason)


def as_table() -> str:
    """Return the costs as the table in the docs."""
    lines = [
        "| operation | requests | items of each transaction | allowed at first |",
        "| --- | --- | --- | --- |",
    ]
    for name, cost in COSTS.items():
        items = ", ".join(map(str, cost.items))
        allowed = "" if cost.allowed is None else f"{cost.allowed}"
        reason = f"; {cost.reason}" if cost.reason else ""
        lines.append(f"| {name} | {cost.requests} | {items} | {allowed}{reason} |")
    return "\n".join(lines)


def test_the_docs_show_the_same_costs() -> None:
    assert as_table() in Path("docs/reference/costs.md").read_text()
