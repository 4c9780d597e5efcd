"""What an event costs in requests to DynamoDB: a quiet session's bill is little else."""

from typing import Any

import pytest

from chalicelib.dispatch import Dispatcher
from tests.unit.fakes import FakeGateway
from tests.unit.test_dispatch import (
    CREATE,
    FakeOutcomes,
    connecting,
    dispatcher,
    event,
    frame,
    outcomes,
    reply,
)

__all__ = ["dispatcher", "outcomes"]

JOIN = {"action": "joinSession", "targetLanguage": "es"}


class Requests:
    """Counts the requests of a client; all of them go one after another."""

    def __init__(self, client: Any) -> None:
        self.count = 0
        client.meta.events.register("before-call.dynamodb", self._add)

    def _add(self, **_: Any) -> None:
        self.count += 1

    def of(self, answer: Any) -> int:
        """Return how many were made since this was last asked, to get that answer."""
        assert answer["statusCode"] == 200
        assert '"type":"error"' not in answer.get("body", "")
        count, self.count = self.count, 0
        return count


@pytest.fixture
def requests(dynamodb: Any) -> Requests:
    return Requests(dynamodb)


@pytest.mark.parametrize("by_connect_url", [True, False])
def test_a_round_of_a_session_stays_within_its_budget(
    dispatcher: Dispatcher, requests: Requests, outcomes: FakeOutcomes, by_connect_url: bool
) -> None:
    def give(connection_id: str, user_id: str | None, **fields: str) -> dict[str, Any]:
        if by_connect_url:
            return dispatcher.connect(connecting(connection_id, user_id, **fields))
        return dispatcher.message(frame(connection_id, user_id, **fields))

    def created_id(answer: dict[str, Any]) -> str:
        message = outcomes.sent[0][2] if by_connect_url else reply(answer)
        return str(message["sessionId"])

    assert requests.of(dispatcher.connect(connecting("bare="))) <= 1
    created = give("a=", "user-1", **CREATE)
    assert requests.of(created) <= 3
    # Of five allowed, four may come one after another; all of these do.
    joined = give("b=", None, **JOIN, sessionId=created_id(created))
    assert requests.of(joined) <= 4
    assert requests.of(dispatcher.message(frame("b=", action="heartbeat"))) <= 1
    assert requests.of(dispatcher.message(frame("a=", "user-1", action="heartbeat"))) <= 2
    assert requests.of(dispatcher.disconnect(event("b="))) <= 2


@pytest.mark.parametrize(
    ("action", "budget"),
    [("changeLanguage", 2), ("getSessionStatus", 3), ("endSession", 7)],
)
def test_a_session_command_costs_what_is_written_down(
    dispatcher: Dispatcher, requests: Requests, gateway: FakeGateway, action: str, budget: int
) -> None:
    created = reply(dispatcher.message(frame("a=", "user-1", **CREATE)))
    session_id = created["sessionId"]
    dispatcher.message(frame("b=", **JOIN, sessionId=session_id))
    requests.count = 0
    connection = ("b=", None) if action == "changeLanguage" else ("a=", "user-1")
    answer = dispatcher.message(frame(*connection, action=action, targetLanguage="de"))
    assert requests.of(answer) == budget
