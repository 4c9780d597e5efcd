"""Listeners who come, and go, all at once."""

from functools import partial

from tests.races.conftest import NewService, rounds
from tests.races.service import told

SEATS = 10


@rounds(3)
def test_of_64_at_once_as_many_come_in_as_there_are_seats(new_service: NewService) -> None:
    service = new_service(SEATS)
    session_id = service.create()

    with service.watching_counts(session_id):
        answers = service.at_once(
            {f"new-{n}": partial(service.join, session_id, f"new-{n}") for n in range(64)}
        )

    came_in = told(answers, "sessionJoined")
    assert came_in | told(answers, "SESSION_FULL") == set(answers)
    assert len(came_in) == SEATS
    assert service.books(session_id) == (SEATS, came_in)


@rounds(3)
def test_who_leaves_twice_gives_up_one_seat(new_service: NewService) -> None:
    service = new_service(SEATS)
    before = {f"old-{n}" for n in range(SEATS)}
    session_id = service.create_full_of(before)
    crowd = [f"new-{n}" for n in range(44)]

    with service.watching_counts(session_id):
        answers = service.at_once(
            {each: partial(service.join, session_id, each) for each in crowd}
            | {f"{each}, {time}": partial(service.close, each) for each in before for time in "12"}
        )

    came_in = told(answers, "sessionJoined")
    assert service.books(session_id) == (len(came_in), came_in)
    service.let_in(session_id, {f"late-{n}" for n in range(SEATS - len(came_in))})


@rounds(3)
def test_who_leaves_while_he_comes_in_is_not_counted_after_two_sweeps(
    new_service: NewService,
) -> None:
    service = new_service(SEATS)
    session_id = service.create()
    crowd = [f"new-{n}" for n in range(32)]

    with service.watching_counts(session_id):
        service.at_once(
            {("join", each): partial(service.join, session_id, each) for each in crowd}
            | {("leave", each): partial(service.close, each) for each in crowd}
        )
        service.sweep_twice()

    assert service.books(session_id) == (0, set())


@rounds(3)
def test_of_joins_at_once_on_one_connection_one_takes_one_seat(new_service: NewService) -> None:
    service = new_service(SEATS)
    session_id = service.create()

    with service.watching_counts(session_id):
        answers = service.at_once({n: partial(service.join, session_id, "phone") for n in range(8)})

    joined = told(answers, "sessionJoined")
    assert joined | told(answers, "CONFLICT") == set(answers)
    assert len(joined) == 1
    assert service.books(session_id) == (1, {"phone"})
