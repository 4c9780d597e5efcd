"""Functions that stop after one of their requests, whose work two sweeps complete."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import pytest

from chalicelib.assembly import UseCases
from chalicelib.commands import ChangeLanguage, JoinSession, RefreshListener
from chalicelib.store.stores import Stores
from chalicelib.sweep import Sweep
from tests.unit.fakes import Clock, FakeConnections, FakeOutcomes, listener

LISTENERS: Final = (1, 2)
MOST_REQUESTS: Final = 12
"""More requests than any of the actions makes."""


class Crash(BaseException):
    """The process stops. No code may catch it."""


def _join(use_cases: UseCases, session_id: str, _outcomes: FakeOutcomes, _clock: Clock) -> None:
    use_cases.joining.join(listener(3), JoinSession(session_id, "de", None))


def _leave(use_cases: UseCases, _session_id: str, _outcomes: FakeOutcomes, _clock: Clock) -> None:
    use_cases.lifecycle.leave("listener-1=")


def _change(use_cases: UseCases, _session_id: str, _outcomes: FakeOutcomes, _clock: Clock) -> None:
    use_cases.joining.change_language(listener(1), ChangeLanguage("de", None))


def _refresh(use_cases: UseCases, session_id: str, _outcomes: FakeOutcomes, _clock: Clock) -> None:
    use_cases.refresh.refresh_listener(
        listener(3), RefreshListener(session_id, "de", "listener-1=", None)
    )


def _return(use_cases: UseCases, session_id: str, outcomes: FakeOutcomes, clock: Clock) -> None:
    _leave(use_cases, session_id, outcomes, clock)
    _refresh(use_cases, session_id, outcomes, clock)


def _notify(use_cases: UseCases, _session_id: str, outcomes: FakeOutcomes, _clock: Clock) -> None:
    use_cases.joining.change_language(listener(1), ChangeLanguage("fr", None))
    for request in outcomes.statuses:
        use_cases.status_notices.deliver(request)
    outcomes.statuses.clear()


ACTIONS: Final = (_join, _leave, _change, _refresh, _return, _notify)


@pytest.mark.parametrize("at", range(1, MOST_REQUESTS))
@pytest.mark.parametrize("action", ACTIONS)
def test_two_sweeps_after_a_crash_the_demand_is_right(
    use_cases: UseCases,
    session_id: str,
    stores: Stores,
    dynamodb: Any,
    phones: FakeConnections,
    outcomes: FakeOutcomes,
    sweep: Sweep,
    clock: Clock,
    action: Callable[[UseCases, str, FakeOutcomes, Clock], None],
    at: int,
) -> None:
    for number, language in zip(LISTENERS, ("es", "fr"), strict=True):
        use_cases.joining.join(listener(number), JoinSession(session_id, language, None))

    requests_left = at

    def crash(_operation: str, _answer: object) -> None:
        nonlocal requests_left
        requests_left -= 1
        if requests_left == 0:
            raise Crash

    def send_heartbeats() -> None:
        for each in ("speaker=", *stores.listeners.list_ids(session_id)):
            stores.participants.record_heartbeat(
                each,
                lost_at_ms=int(clock() * 1000) + 90_000,
                settled_lost_at_ms=int(clock() * 1000) + 90_000,
                times_kept=0,
            )

    dynamodb.transport.on_answer.append(crash)
    try:
        action(use_cases, session_id, outcomes, clock)
    except Crash:
        outcomes.statuses.clear()
    dynamodb.transport.on_answer.clear()

    for _ in range(2):
        clock.now += 60
        send_heartbeats()
        assert not sweep.run().failed
    for request in outcomes.statuses:
        use_cases.status_notices.deliver(request)

    session = stores.sessions.find_open(session_id)
    assert session is not None
    listed = Counter(stores.listeners.list_all(session_id).present.values())
    assert session.languages == listed
    assert session.listener_count == listed.total()
    heard = set(listed)
    assert heard <= session.active_tokens.keys() <= heard | session.quiet_since_ms.keys()
    assert not heard & session.quiet_since_ms.keys()
    assert session.status_due is None
    if notices := phones.inbox.get("speaker="):  # A crash just before a post loses the notice.
        assert notices[-1]["languages"] == session.languages
