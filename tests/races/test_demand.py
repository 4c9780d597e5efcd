"""Concurrent changes of the audience, of which the pipeline and the speaker are notified."""

import random
from functools import partial
from itertools import pairwise
from typing import Any, Final

from chalicelib.status_requests import StatusRequest
from tests.races.conftest import NewService, twice
from tests.races.service import Service

CLIENTS: Final = 16
ROUNDS: Final = 4

CROWD: Final = 500
CROWD_SECONDS: Final = 10
CROWD_THREADS: Final = 50


def told(service: Service) -> list[tuple[str, str]]:
    """Return the types and languages of the events about languages, by their time."""
    events = [it for it in service.functions.events_of("interpreter") if "language" in it]
    return [(it["type"], it["language"]) for it in sorted(events, key=lambda it: it["timestamp"])]


def statuses(service: Service) -> list[dict[str, Any]]:
    return [it for it in service.connections.messages("speaker") if it["type"] == "sessionStatus"]


@twice
def test_a_language_between_0_and_1_listeners_is_told_active_and_idle_alternately(
    new_service: NewService,
) -> None:
    service = new_service(CLIENTS)
    session_id = service.create()

    def come_and_go(number: int, round_: int) -> None:
        for visit in range(2):
            connection_id = f"{number}-{round_}-{visit}"
            assert service.join(session_id, connection_id)["type"] == "sessionJoined"
            service.close(connection_id)

    for round_ in range(ROUNDS):
        sweeps = {f"sweep {number}": service.sweep for number in range(2)}
        service.run_all(
            {number: partial(come_and_go, number, round_) for number in range(CLIENTS)} | sweeps
        )
        assert service.languages(session_id) == ({}, {})
        service.clock.advance(61)
        service.heartbeat("speaker", "speaker")
        service.run_all(dict.fromkeys(range(4), service.sweep))
        service.clock.advance(1)

    assert told(service) == [("languageActive", "es"), ("languageIdle", "es")] * ROUNDS
    item = service.session(session_id)
    assert not {name for name in item if name.startswith(("active:", "quiet:"))}


@twice
def test_joins_and_idle_claims_at_once_leave_the_language_active(new_service: NewService) -> None:
    service = new_service(CLIENTS)
    session_id = service.create()
    for round_ in range(ROUNDS):
        service.join(session_id, f"first-{round_}")
        service.close(f"first-{round_}")
        service.clock.advance(60)
        service.heartbeat("speaker", "speaker")
        joins = {
            f"{round_}-{number}": partial(service.join, session_id, f"{round_}-{number}")
            for number in range(CLIENTS // 2)
        }
        service.run_all(joins | {f"sweep {number}": service.sweep for number in range(4)})
        item = service.session(session_id)
        assert "active:es" in item
        assert "quiet:es" not in item
        service.run_all({each: partial(service.close, each) for each in joins})
        service.clock.advance(61)
        service.heartbeat("speaker", "speaker")
        service.sweep()
        service.clock.advance(1)

    events = [type_ for type_, _ in told(service)]
    assert set(events[0::2]) == {"languageActive"}
    assert set(events[1::2]) == {"languageIdle"}
    assert len(events) % 2 == 0


def test_500_joins_in_10_s_cause_a_notice_every_2_s_and_the_last_one_is_right(
    new_service: NewService,
) -> None:
    service = new_service(CROWD)
    session_id = service.create()
    pending: list[StatusRequest] = []

    def deliver_due() -> None:
        """Run the functions whose notices are due, twice, as Lambda may."""
        events = service.functions.take_events_of("outcome")
        pending.extend(StatusRequest.from_event(event) for event in events)
        due = [each for each in pending if each.due_at_ms <= service.clock() * 1000]
        for each in due:
            pending.remove(each)
        deliver = service.use_cases.status_notices.deliver
        tasks = {(each.token, run): partial(deliver, each) for each in due for run in range(2)}
        if tasks:
            service.run_all(tasks)

    joined = 0
    while joined < CROWD:
        some = [f"{joined + number}" for number in range(CROWD_THREADS)]
        service.run_all(
            {
                each: partial(service.join, session_id, each, random.choice(["es", "fr", "de"]))
                for each in some
            }
        )
        joined += len(some)
        for _ in range(10):
            service.clock.advance(CROWD_SECONDS * CROWD_THREADS / CROWD / 10)
            deliver_due()
    for _ in range(20):
        service.clock.advance(0.1)
        deliver_due()

    notices = statuses(service)
    times = [each["timestamp"] for each in notices]
    gaps_ms = [after - before for before, after in pairwise(times)]
    assert min(gaps_ms) >= 2000
    assert max(gaps_ms) <= 2200
    last = notices[-1]
    assert last["listenerCount"] == CROWD
    assert last["languages"] == service.languages(session_id)[1]
    assert pending == []
    assert "statusDue" not in service.session(session_id)
