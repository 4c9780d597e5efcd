"""Listeners who move to a new connection, against the end of the old one and against others."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import pytest

from tests.races.conftest import NewService, rounds
from tests.races.service import AT_ONCE, Service, batches, told

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
    session_id = service.create_full_of(["old"])
    events: dict[str, Callable[[], object]] = {
        "refresh": partial(service.refresh, session_id, "old", "new"),
        "close": partial(service.close, "old"),
    }

    for each in order:
        events[each]()

    assert service.books(session_id) == (1, {"new"})


@rounds(3)
def test_whoever_refreshes_as_his_connection_ends_is_in_once_or_lost_his_seat_to_another(
    new_service: NewService,
) -> None:
    service = new_service(SEATS)
    before = {f"old-{n}" for n in range(SEATS)}
    session_id = service.create_full_of(before)
    moving = [f"old-{n}" for n in range(12)]
    strangers = [f"stranger-{n}" for n in range(16)]

    with service.watching_counts(session_id):
        answers = service.at_once(
            {
                (f"new-of-{old}", time): partial(service.refresh, session_id, old, f"new-of-{old}")
                for old in moving
                for time in (1, 2)
            }
            | _closes_twice(service, moving)
            | {(each, 1): partial(service.join, session_id, each) for each in strangers}
        )

    came_in = {new for new, _ in told(answers, "sessionJoined")}
    moved = {new for new, _ in told(answers, "connectionRefreshComplete")}
    present = before - set(moving) | came_in | moved
    assert service.books(session_id) == (len(present), present)
    assert len(moving) - len(moved) <= len(came_in)


@pytest.mark.parametrize("times", [1, 2])
@rounds(3)
def test_nobody_is_refused_who_refreshes_as_his_connection_ends_and_no_other_comes(
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
        answers = service.at_once(
            {**refreshes, **_closes_twice(service, [f"old-{n}" for n in range(16)])}
        )

    _assert_each_has_a_place(service, session_ids, ["new"])
    assert told(answers, "connectionRefreshComplete") == set(refreshes)


@rounds(3)
def test_two_new_connections_for_one_old_have_one_place(new_service: NewService) -> None:
    service = new_service(AT_ONCE // 2)
    before = [f"old-{n}" for n in range(AT_ONCE // 2)]
    session_id = service.create_full_of(before)
    refreshes = _refreshes_by_two(service, session_id, before)

    with service.watching_counts(session_id, at_least=len(before)):
        answers = service.at_once(refreshes)

    present = service.books(session_id).present
    assert told(answers, "connectionRefreshComplete") == set(refreshes)
    assert service.books(session_id).listener_count == len(before)
    assert sorted(each.partition("of-")[2] for each in present) == sorted(before)

    with service.watching_counts(session_id, at_least=len(before)):
        service.at_once(_closes_twice(service, {*before, *refreshes} - present))
    assert service.books(session_id) == (len(before), present)


@rounds(3)
def test_two_new_connections_for_one_that_ends_have_one_place_and_neither_is_refused(
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
        answers = service.at_once(
            refreshes
            | {old: partial(service.close, old) for old in (f"old-{n}" for n in range(16))}
        )

    _assert_each_has_a_place(service, session_ids, ["first", "second"])
    assert told(answers, "connectionRefreshComplete") == set(refreshes)


@rounds(3)
def test_returns_at_once_by_one_left_connection_take_one_seat(new_service: NewService) -> None:
    service = new_service(100)
    session_id = service.create_full_of([f"staying-{n}" for n in range(80)])
    service.join(session_id, "old")
    service.close("old")
    invited = [f"invited-{n}" for n in range(15)]

    with service.watching_counts(session_id, at_least=80, at_most=96):
        answers = service.at_once(
            {f"new-{n}": partial(service.refresh, session_id, "old", f"new-{n}") for n in range(24)}
            | {("same", n): partial(service.refresh, session_id, "old", "same") for n in range(24)}
            | {each: partial(service.join, session_id, each) for each in invited}
        )

    assert told(answers, "sessionJoined") == set(invited)
    others = answers.keys() - set(invited)
    returned = told(answers, "connectionRefreshComplete") & others
    assert returned
    assert told(answers, "SERVICE_UNAVAILABLE") == others - returned
    books = service.books(session_id)
    assert books.listener_count == len(books.present) == 96


@rounds(3)
def test_a_chain_of_refreshes_at_once_is_one_place(new_service: NewService) -> None:
    """Each names the connection before it, as a client does whose connections break fast."""
    service = new_service(8)
    session_id = service.create_full_of([f"0-{n}" for n in range(8)])
    links = [(f"{link}-{n}", f"{link + 1}-{n}") for n in range(8) for link in range(8)]

    with service.watching_counts(session_id):
        service.at_once({new: partial(service.refresh, session_id, old, new) for old, new in links})

    books = service.books(session_id)
    assert books.listener_count == len(books.present) == 8


def test_500_listeners_refresh_in_a_full_session_and_nobody_is_refused_or_counted_twice(
    new_service: NewService,
) -> None:
    service = new_service(500)
    moves = [(f"old-{n}", f"new-{n}") for n in range(500)]
    old, new = zip(*moves, strict=True)
    session_id = service.create_full_of(old)

    with service.watching_counts(session_id, at_least=500):
        for some in batches(moves):
            answers = service.at_once(
                {each: partial(service.refresh, session_id, *each) for each in some}
            )
            assert told(answers, "connectionRefreshComplete") == set(some)
        assert service.books(session_id) == (500, set(new))
        assert set(service.store.list_listener_ids(session_id)) == set(new)
        assert _successors(service) == dict(moves)

        for each in batches([(each, 1) for each in old] + [(each, 2) for each in old[::5]]):
            service.at_once({event: partial(service.close, event[0]) for event in each})

    assert service.books(session_id) == (500, set(new))


def _closes_twice(
    service: Service, closing: Collection[str]
) -> dict[tuple[str, int], partial[Any]]:
    """Let each connection's $disconnect come twice."""
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


def _assert_each_has_a_place(
    service: Service, session_ids: Mapping[str, str], names: Collection[str]
) -> None:
    """See that in each session one listener is left, under one of those names."""
    for speaker, session_id in session_ids.items():
        books = service.books(session_id)
        assert books.listener_count == len(books.present) == 1
        assert books.present <= {f"{name}-{speaker.partition('-')[2]}" for name in names}
