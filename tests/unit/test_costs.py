"""What each operation costs in requests to DynamoDB: a quiet session's bill is little else.

`COSTS` is the table that the docs show; the tests below hold it against what is counted.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from chalicelib.assembly import UseCases, build_dispatcher
from chalicelib.commands import EndSession
from chalicelib.dispatch import Dispatcher
from chalicelib.models import Caller
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
    closing,
    connecting,
    event,
    frame,
    reply,
)


@dataclass(frozen=True)
class Cost:
    """Requests to DynamoDB, one after the other; a transaction, a batch or a page is one each.

    `items` says how many items each transaction or batch has. `allowed` is the budget that was set
    before, and `reason` why it is exceeded.
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
    "outcome of joinSession by URL": Cost(2),
    "outcome of createSession by URL": Cost(2),
    "outcome of refreshConnection by URL": Cost(2),
    "outcome that comes again": Cost(1),
    "close of a refused connection by the service": Cost(1),
    "speaker's refresh by URL": Cost(4),
    "speaker's refresh by frame": Cost(4),
    "speaker's refresh that a limit refuses": Cost(2),
    "speaker's return within the grace by frame": Cost(6),
    "listener's refresh by URL": Cost(4, items=(2,)),
    "listener's refresh by frame": Cost(3, items=(2,)),
    "listener's refresh with another language by frame": Cost(3, items=(2,)),
    "listener's return after a drop by frame": Cost(5, items=(2,)),
    "listener's refresh as a join by frame": Cost(6),
    "bare connection's heartbeat": Cost(1, allowed=1),
    "listener's heartbeat": Cost(1, allowed=1),
    "speaker's heartbeat": Cost(2, allowed=2),
    "heartbeat that is refused": Cost(2),
    "changeLanguage": Cost(3, allowed=2, reason="the session counts listeners per language"),
    "changeLanguage to the same": Cost(2, allowed=2),
    "getSessionStatus": Cost(2, allowed=3),
    "pauseSession": Cost(3),
    "pauseSession again": Cost(2),
    "resumeSession": Cost(3),
    "rotateInviteCode": Cost(2),
    "endSession with 1 listener": Cost(6, items=(1,), allowed=7),
    "endSession with 150 listeners": Cost(7, items=(100, 50)),
    "close of a bare connection": Cost(1),
    "listener's leave": Cost(2, allowed=2),
    "speaker's close with 1000, 1 listener": Cost(9, items=(1,)),
    "speaker's drop": Cost(4),
    "close of a superseded connection": Cost(1),
    "sweep of nothing": Cost(2),
    "sweep of one quiet session with 100 listeners": Cost(5, items=(100,)),
    "sweep of a session with a lost listener": Cost(7, items=(2,)),
    "sweep of a session with a lost speaker": Cost(9, items=(2,)),
}


class Requests:
    """Counts a client's requests, and how many items transactions and batches have."""

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
class House:
    """A stage with one session, whose speaker is on speaker= and whose listener is on b=."""

    dispatcher: Dispatcher
    use_cases: UseCases
    stores: Stores
    sweep: Sweep
    clock: Clock
    requests: Requests
    phones: FakeConnections
    session_id: str = ""

    def open_session(self) -> None:
        self.session_id = reply(self.frame("speaker=", "user-1", **CREATE))["sessionId"]
        self.frame("b=", **self.join)

    def fill_and_wait(self, listeners: int) -> None:
        for number in range(listeners):
            self.frame(f"{number}=", **self.invited)
        self.clock.now += 60

    def lose(self, listener: bool) -> None:
        self.clock.now += 60
        self.frame("another=", **self.invited)
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

    def speak(self, action: str) -> Any:
        return self.frame("speaker=", "user-1", action=action)

    def end(self) -> Any:
        """End the session past the dispatcher: an event has no time for moto's transactions."""
        speaker = Caller("speaker=", "user-1", int(self.clock() * 1000), ADDRESS)
        self.use_cases.sessions.end(speaker, EndSession(None))
        return {"statusCode": 200}

    def close(self, connection_id: str, code: int = 1006) -> Any:
        return self.dispatcher.disconnect(closing(connection_id, code))

    def close_refused(self, connection_id: str) -> Any:
        self.use_cases.lifecycle.close_refused(connection_id)
        return {"statusCode": 200}

    def refuse(self, times: int, user_id: str | None = None) -> None:
        """Let a user, or the hall's address, use up refused attempts."""
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


Do = Callable[[House], Any]


def nothing(_: House) -> None:
    pass


OPERATIONS: Final[dict[str, tuple[Do, Do]]] = {
    # What comes before, and what is counted.
    "bare connect": (nothing, lambda house: house.url("new=")),
    "createSession by URL": (nothing, lambda house: house.url("new=", "user-1", **CREATE)),
    "createSession by frame": (nothing, lambda house: house.frame("new=", "user-1", **CREATE)),
    "joinSession by URL": (nothing, lambda house: house.url("new=", **house.join)),
    "joinSession by frame": (nothing, lambda house: house.frame("new=", **house.join)),
    "joinSession with inviteCode by URL": (
        nothing,
        lambda house: house.url("new=", **house.invited),
    ),
    "joinSession with inviteCode by frame": (
        nothing,
        lambda house: house.frame("new=", **house.invited),
    ),
    "joinSession that a limit refuses": (
        lambda house: house.refuse(20),
        lambda house: house.frame("new=", **house.join),
    ),
    "joinSession of an unknown session": (
        nothing,
        lambda house: house.frame("new=", **{**house.join, **UNKNOWN}),
    ),
    "joinSession of an unknown session with inviteCode": (
        nothing,
        lambda house: house.frame("new=", **{**house.invited, **UNKNOWN}),
    ),
    "joinSession with a wrong inviteCode": (
        nothing,
        lambda house: house.frame("new=", **house.join, inviteCode="wrong"),
    ),
    "outcome of joinSession by URL": (
        lambda house: house.frame("new=", **house.join),
        lambda house: house.deliver("new=", "sessionJoined"),
    ),
    "outcome of createSession by URL": (
        lambda house: house.frame("new=", "user-1", **CREATE),
        lambda house: house.deliver("new=", "sessionCreated"),
    ),
    "outcome of refreshConnection by URL": (
        lambda house: house.frame("new=", **house.as_listener, connectionId="b="),
        lambda house: house.deliver("new=", "connectionRefreshComplete"),
    ),
    "outcome that comes again": (
        lambda house: [
            house.frame("new=", **house.join),
            house.deliver("new=", "sessionJoined"),
        ],
        lambda house: house.deliver("new=", "sessionJoined"),
    ),
    "close of a refused connection by the service": (
        nothing,
        lambda house: house.close_refused("speaker="),
    ),
    "speaker's refresh by URL": (
        nothing,
        lambda house: house.url("new=", "user-1", **house.as_speaker),
    ),
    "speaker's refresh by frame": (
        nothing,
        lambda house: house.frame("new=", "user-1", **house.as_speaker),
    ),
    "speaker's refresh that a limit refuses": (
        lambda house: house.refuse(20, "user-1"),
        lambda house: house.frame("new=", "user-1", **house.as_speaker),
    ),
    "speaker's return within the grace by frame": (
        lambda house: house.close("speaker="),
        lambda house: house.frame("new=", "user-1", **house.as_speaker),
    ),
    "listener's refresh by URL": (
        nothing,
        lambda house: house.url("new=", **house.as_listener, connectionId="b="),
    ),
    "listener's refresh by frame": (
        nothing,
        lambda house: house.frame("new=", **house.as_listener, connectionId="b="),
    ),
    "listener's refresh with another language by frame": (
        nothing,
        lambda house: house.frame(
            "new=", **{**house.as_listener, "targetLanguage": "de"}, connectionId="b="
        ),
    ),
    "listener's return after a drop by frame": (
        lambda house: house.close("b="),
        lambda house: house.frame("new=", **house.as_listener, connectionId="b="),
    ),
    "listener's refresh as a join by frame": (
        nothing,
        lambda house: house.frame("new=", **house.as_listener, connectionId="never-was="),
    ),
    "bare connection's heartbeat": (
        nothing,
        lambda house: house.frame("bare=", action="heartbeat"),
    ),
    "listener's heartbeat": (nothing, lambda house: house.frame("b=", action="heartbeat")),
    "speaker's heartbeat": (nothing, lambda house: house.speak("heartbeat")),
    "heartbeat that is refused": (
        lambda house: [house.frame("b=", action="heartbeat") for _ in range(4)],
        lambda house: house.frame("b=", action="heartbeat"),
    ),
    "changeLanguage": (
        nothing,
        lambda house: house.frame("b=", action="changeLanguage", targetLanguage="de"),
    ),
    "changeLanguage to the same": (
        nothing,
        lambda house: house.frame("b=", action="changeLanguage", targetLanguage="es"),
    ),
    "getSessionStatus": (nothing, lambda house: house.speak("getSessionStatus")),
    "pauseSession": (nothing, lambda house: house.speak("pauseSession")),
    "pauseSession again": (
        lambda house: house.speak("pauseSession"),
        lambda house: house.speak("pauseSession"),
    ),
    "resumeSession": (
        lambda house: house.speak("pauseSession"),
        lambda house: house.speak("resumeSession"),
    ),
    "rotateInviteCode": (nothing, lambda house: house.speak("rotateInviteCode")),
    "endSession with 1 listener": (nothing, lambda house: house.speak("endSession")),
    "endSession with 150 listeners": (
        lambda house: house.fill_and_wait(149),
        lambda house: house.end(),
    ),
    "close of a bare connection": (nothing, lambda house: house.close("bare=")),
    "listener's leave": (nothing, lambda house: house.dispatcher.disconnect(event("b="))),
    "speaker's close with 1000, 1 listener": (
        nothing,
        lambda house: house.close("speaker=", 1000),
    ),
    "speaker's drop": (nothing, lambda house: house.close("speaker=")),
    "close of a superseded connection": (
        lambda house: house.frame("new=", "user-1", **house.as_speaker),
        lambda house: house.close("speaker="),
    ),
    "sweep of nothing": (
        lambda house: house.stores.sessions.delete(house.session_id),
        lambda house: house.run_sweep(),
    ),
    "sweep of one quiet session with 100 listeners": (
        lambda house: house.fill_and_wait(99),
        lambda house: house.run_sweep(),
    ),
    "sweep of a session with a lost listener": (
        lambda house: house.lose(listener=True),
        lambda house: house.run_sweep(),
    ),
    "sweep of a session with a lost speaker": (
        lambda house: house.lose(listener=False),
        lambda house: house.run_sweep(),
    ),
}

REFUSED: Final = {
    "heartbeat that is refused",
    "joinSession that a limit refuses",
    "joinSession of an unknown session",
    "joinSession of an unknown session with inviteCode",
    "joinSession with a wrong inviteCode",
    "speaker's refresh that a limit refuses",
}


@pytest.fixture
def house(
    sweep_of: Callable[..., Sweep],
    dynamodb: Any,
    build: Callable[..., UseCases],
    stores: Stores,
    phones: FakeConnections,
    rate_limits: RateLimits,
    outcomes: Any,
    clock: Clock,
) -> House:
    requests = Requests(dynamodb)
    wide = build(limits=replace(LIMITS, max_listeners=500))
    dispatcher = build_dispatcher(wide, rate_limits, outcomes, ENDPOINT_URL, clock)
    house = House(dispatcher, wide, stores, sweep_of(max_listeners=500), clock, requests, phones)
    house.open_session()
    return house


@pytest.mark.parametrize("operation", COSTS)
def test_an_operation_makes_the_documented_number_of_requests(house: House, operation: str) -> None:
    prepare, do = OPERATIONS[operation]
    prepare(house)
    house.requests.forget()
    answer = do(house)
    assert answer["statusCode"] == 200
    is_refused = json.loads(answer.get("body", "{}")).get("type") == "error"
    assert is_refused is (operation in REFUSED)

    cost = COSTS[operation]
    requests = house.requests
    assert (requests.count, tuple(requests.items)) == (cost.requests, cost.items)


def test_every_operation_has_a_cost() -> None:
    assert COSTS.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("operation", COSTS)
def test_a_cost_over_its_budget_has_a_reason(operation: str) -> None:
    cost = COSTS[operation]
    has_grown = cost.allowed is not None and cost.requests > cost.allowed
    assert has_grown == bool(cost.reason)


def as_table() -> str:
    """Write the costs as the docs show them."""
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
