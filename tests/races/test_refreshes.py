"""Refreshes of listeners, concurrent with closes and other refreshes."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import pytest

from tests.races.conftest import NewService, twice
from tests.races.service import CONCURRENCY, Service, answered, batches

SEATS = 40


@pytest.mark.parametrize(
    "order",
    [
        ("refresh", "close", "close"),
        ("close", "refresh", "close"),
        ("close", "close", "refresh"),
        ("close", "refresh", "refresh"),
        ("refresh", "close", "refresh"),
    ],
)
def test_a_full_session_keeps_its_listener_in_any_order(
    new_service: NewService, order: tuple[str, ...]
) -> None:
    service = new_service(1)
    session_id = service.create_with_listeners(["old"])
    events: dict[str, Callable[[], object]] = {
        "refresh": partial(service.refresh, session_id, "old", "new"),
        "close": partial(service.close, "old"),
    }

    for each in order:
        events[each]()

    assert service.attendance(session_id) == (1, {"new"})


@twice
def test_a_refresh_during_a_close_keeps_or_loses_one_seat(
    new_service: NewService,
) -> None:
    service = new_service(SEATS)
    before = {f"old-{n}" for n in range(SEATS)}
    session_id = service.create_with_listeners(before)
    moving = [f"old-{n}" for n in range(12)]
    strangers = [f"stranger-{n}" for n in range(16)]

    with service.watching_counts(session_id):
        answers = service.run_all(
            {
                (f"new-of-{old}", time): partial(service.refresh, session_id, old, f"new-of-{old}")
                for old in moving
                for time in (1, 2)
            }
            | _closes_twice(service, moving)
            | {(each, 1): partial(service.join, session_id, each) for each in strangers}
        )

    joined = {new for new, _ in answered(answers, "sessionJoined")}
    moved = {new for new, _ in answered(answers, "connectionRefreshComplete")}
    present = before - set(moving) | joined | moved
    assert service.attendance(session_id) == (len(present), present)
    assert len(moving) - len(moved) <= len(joined)


@pytest.mark.parametrize("times", [1, 2])
@twice
def test_a_refresh_during_a_close_succeeds_without_competing_joins(
    new_service: NewService, times: int
) -> None:
    service = new_service(1)
    session_ids = service.create_all({f"speaker-{n}": [f"old-{n}"] for n in range(16)})
    refreshes = {
        (n, time): partial(service.refresh, session_ids[f"speaker-{n}"], f"old-{n}", f"new-{n}")
        for n in range(16)
        for time in range(times)
    }

    with service.watching_counts(*session_ids.values()):
        answers = service.run_all(
            {**refreshes, **_closes_twice(service, [f"old-{n}" for n in range(16)])}
        )

    _assert_each_session_has_one_listener(service, session_ids, ["new"])
    assert answered(answers, "connectionRefreshComplete") == set(refreshes)


@twice
def test_two_refreshes_of_one_connection_have_one_seat(new_service: NewService) -> None:
    service = new_service(CONCURRENCY // 2)
    before = [f"old-{n}" for n in range(CONCURRENCY // 2)]
    session_id = service.create_with_listeners(before)
    refreshes = _refreshes_by_two(service, session_id, before)

    with service.watching_counts(session_id, at_least=len(before)):
        answers = service.run_all(refreshes)

    present = service.attendance(session_id).present
    assert answered(answers, "connectionRefreshComplete") == set(refreshes)
    assert service.attendance(session_id).listener_count == len(before)
    assert sorted(each.partition("of-")[2] for each in present) == sorted(before)

    with service.watching_counts(session_id, at_least=len(before)):
        service.run_all(_closes_twice(service, {*before, *refreshes} - present))
    assert service.attendance(session_id) == (len(before), present)


@twice
def test_two_refreshes_of_a_closing_connection_succeed_with_one_seat(
    new_service: NewService,
) -> None:
    service = new_service(1)
    session_ids = service.create_all({f"speaker-{n}": [f"old-{n}"] for n in range(16)})
    refreshes = {
        new: partial(service.refresh, session_ids[f"speaker-{n}"], f"old-{n}", new)
        for n in range(16)
        for new in (f"first-{n}", f"second-{n}")
    }

    with service.watching_counts(*session_ids.values()):
        answers = service.run_all(
            refreshes
            | {old: partial(service.close, old) for old in (f"old-{n}" for n in range(16))}
        )

    _assert_each_session_has_one_listener(service, session_ids, ["first", "second"])
    assert answered(answers, "connectionRefreshComplete") == set(refreshes)


@twice
def test_concurrent_returns_from_one_closed_connection_take_one_seat(
    new_service: NewService,
) -> None:
    service = new_service(100)
    session_id = service.create_with_listeners([f"staying-{n}" for n in range(80)])
    service.join(session_id, "old")
    service.close("old")
    invited = [f"invited-{n}" for n in range(15)]

    with service.watching_counts(session_id, at_least=80, at_most=96):
        answers = service.run_all(
            {f"new-{n}": partial(service.refresh, session_id, "old", f"new-{n}") for n in range(24)}
            | {("same", n): partial(service.refresh, session_id, "old", "same") for n in range(24)}
            | {each: partial(service.join, session_id, each) for each in invited}
        )

    assert answered(answers, "sessionJoined") == set(invited)
    others = answers.keys() - set(invited)
    returned = answered(answers, "connectionRefreshComplete") & others
    assert returned
    assert answered(answers, "SERVICE_UNAVAILABLE") == others - returned
    attendance = service.attendance(session_id)
    assert attendance.listener_count == len(attendance.present) == 96


@twice
def test_a_concurrent_chain_of_refreshes_has_one_seat(new_service: NewService) -> None:
    """Each refresh names the previous connection, as from a client with short-lived connections."""
    service = new_service(8)
    session_id = service.create_with_listeners([f"0-{n}" for n in range(8)])
    links = [(f"{link}-{n}", f"{link + 1}-{n}") for n in range(8) for link in range(8)]

    with service.watching_counts(session_id):
        service.run_all({new: partial(service.refresh, session_id, old, new) for old, new in links})

    attendance = service.attendance(session_id)
    assert attendance.listener_count == len(attendance.present) == 8


def test_500_listeners_refresh_in_a_full_session_and_are_counted_once(
    new_service: NewService,
) -> None:
    service = new_service(500)
    moves = [(f"old-{n}", f"new-{n}") for n in range(500)]
    old, new = zip(*moves, strict=True)
    session_id = service.create_with_listeners(old)

    with service.watching_counts(session_id, at_least=500):
        for some in batches(moves):
            answers = service.run_all(
                {each: partial(service.refresh, session_id, *each) for each in some}
            )
            assert answered(answers, "connectionRefreshComplete") == set(some)
        assert service.attendance(session_id) == (500, set(new))
        assert set(service.stores.listeners.list_ids(session_id)) == set(new)
        assert _successors(service) == dict(moves)

        for each in batches([(each, 1) for each in old] + [(each, 2) for each in old[::5]]):
            service.run_all({event: partial(service.close, event[0]) for event in each})

    assert service.attendance(session_id) == (500, set(new))


def _closes_twice(
    service: Service, closing: Collection[str]
) -> dict[tuple[str, int], partial[Any]]:
    """Return two $disconnect events for each connection."""
    return {(each, time): partial(service.close, each) for each in closing for time in (1, 2)}


def _refreshes_by_two(
    service: Service, session_id: str, moving: Collection[str]
) -> dict[str, partial[Any]]:
    return {
        f"{which}-of-{old}": partial(service.refresh, session_id, old, f"{which}-of-{old}")
        for old in moving
        for which in ("first", "second")
    }


def _successors(service: Service) -> dict[str, str]:
    return {
        item["connectionId"]["S"]: item["supersededBy"]["S"]
        for item in service.items("connections")
        if "supersededBy" in item
    }


def _assert_each_session_has_one_listener(
    service: Service, session_ids: Mapping[str, str], names: Collection[str]
) -> None:
    """Check that each session has one listener, with one of the names."""
    for speaker, session_id in session_ids.items():
        attendance = service.attendance(session_id)
        assert attendance.listener_count == len(attendance.present) == 1
        assert attendance.present <= {f"{name}-{speaker.partition('-')[2]}" for name in names}
