"""Concurrent joins and leaves."""

from functools import partial

from tests.races.conftest import NewService, twice
from tests.races.service import answered

SEATS = 10


@twice
def test_of_64_concurrent_joins_only_as_many_succeed_as_there_are_seats(
    new_service: NewService,
) -> None:
    service = new_service(SEATS)
    session_id = service.create()

    with service.watching_counts(session_id):
        answers = service.run_all(
            {f"new-{n}": partial(service.join, session_id, f"new-{n}") for n in range(64)}
        )

    joined = answered(answers, "sessionJoined")
    assert joined | answered(answers, "SESSION_FULL") == set(answers)
    assert len(joined) == SEATS
    assert service.attendance(session_id) == (SEATS, joined)


@twice
def test_a_duplicate_leave_releases_one_seat(new_service: NewService) -> None:
    service = new_service(SEATS)
    before = {f"old-{n}" for n in range(SEATS)}
    session_id = service.create_with_listeners(before)
    crowd = [f"new-{n}" for n in range(44)]

    with service.watching_counts(session_id):
        answers = service.run_all(
            {each: partial(service.join, session_id, each) for each in crowd}
            | {f"{each}, {time}": partial(service.close, each) for each in before for time in "12"}
        )

    joined = answered(answers, "sessionJoined")
    assert service.attendance(session_id) == (len(joined), joined)
    service.join_all(session_id, {f"late-{n}" for n in range(SEATS - len(joined))})


@twice
def test_listeners_that_leave_while_joining_are_not_counted_after_two_sweeps(
    new_service: NewService,
) -> None:
    service = new_service(SEATS)
    session_id = service.create()
    crowd = [f"new-{n}" for n in range(32)]

    with service.watching_counts(session_id):
        service.run_all(
            {("join", each): partial(service.join, session_id, each) for each in crowd}
            | {("leave", each): partial(service.close, each) for each in crowd}
        )
        service.sweep_twice()

    assert service.attendance(session_id) == (0, set())


@twice
def test_concurrent_joins_on_one_connection_take_one_seat(new_service: NewService) -> None:
    service = new_service(SEATS)
    session_id = service.create()

    with service.watching_counts(session_id):
        answers = service.run_all({n: partial(service.join, session_id, "phone") for n in range(8)})

    joined = answered(answers, "sessionJoined")
    assert joined | answered(answers, "CONFLICT") == set(answers)
    assert len(joined) == 1
    assert service.attendance(session_id) == (1, {"phone"})
