"""The end of a session, against all that goes on in it."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain

import pytest

from chalicelib import protocol
from tests.races.conftest import NewService, rounds
from tests.races.service import INVITE_CODE, Service, told
from tests.races.stand_ins import latency

ENDINGS: dict[str, Callable[[Service], object]] = {
    "by command": lambda service: service.end(),
    "by a clean close": lambda service: service.close("speaker", 1000),
}


@pytest.mark.parametrize("ending", ENDINGS)
@rounds(3)
def test_whoever_was_let_in_hears_of_the_end_once_and_nothing_is_left(
    new_service: NewService, ending: str
) -> None:
    service = new_service(100)
    staying = [f"staying-{n}" for n in range(15)]
    leaving = [f"leaving-{n}" for n in range(10)]
    moving = {f"old-{n}": f"new-{n}" for n in range(15)}
    coming = [f"coming-{n}" for n in range(22)]
    session_id = service.create_full_of([*staying, *leaving, *moving])

    with service.watching_counts(session_id):
        answers = service.at_once(
            {each: partial(service.join, session_id, each) for each in coming}
            | {new: partial(service.refresh, session_id, old, new) for old, new in moving.items()}
            | {each: partial(service.close, each) for each in leaving}
            | {f"end {n}": partial(_late, partial(ENDINGS[ending], service)) for n in (1, 2)}
        )

    moved = told(answers, "connectionRefreshComplete")
    let_in = moved | told(answers, "sessionJoined")
    refused = told(answers, "SESSION_NOT_FOUND") - {"end 1", "end 2"}
    assert let_in | refused == {*coming, *moving.values()}
    assert service.books(session_id).present == set()
    assert _ends_heard(service, {*staying, *let_in}) == {1}
    assert _ends_heard(service, {*leaving, *refused, *moving}) <= {0, 1}
    assert _ends_heard(service, [old for old, new in moving.items() if new in moved]) <= {0}
    assert _ends_heard(service, ["speaker"]) == {0}
    for pair in moving.items():
        assert _ends_heard(service, pair) in ({0}, {0, 1})

    everybody = {*staying, *leaving, *moving, *let_in, *refused, "speaker"}
    heard = {each: service.phones.heard(each) for each in everybody}
    service.clock.turn(60)
    service.sweep()
    assert heard == {each: service.phones.heard(each) for each in everybody}
    assert service.items("sessions") == service.present() == []


@rounds(3)
def test_whoever_comes_into_an_empty_session_as_it_ends_hears_of_the_end_or_is_refused(
    new_service: NewService,
) -> None:
    service = new_service(2)
    session_ids = service.create_all({f"speaker-{n}": () for n in range(20)})
    coming = {f"{name}-{speaker}": speaker for speaker in session_ids for name in ("one", "two")}

    answers = service.at_once(
        {
            each: partial(service.join, session_ids[speaker], each)
            for each, speaker in coming.items()
        }
        | {each: partial(_late, partial(service.end, each)) for each in session_ids}
    )

    let_in = told(answers, "sessionJoined")
    assert let_in | told(answers, "SESSION_NOT_FOUND") == set(coming)
    assert _ends_heard(service, let_in) <= {1}
    assert _ends_heard(service, set(coming) - let_in) <= {0, 1}
    assert {service.books(each).present == set() for each in session_ids.values()} == {True}


@rounds(3)
def test_a_clean_close_and_an_end_that_comes_twice_end_each_session_once(
    new_service: NewService,
) -> None:
    service = new_service(3)
    listeners = {f"speaker-{n}": [f"{n}-{m}" for m in range(3)] for n in range(16)}
    service.create_all(listeners)

    ends = {
        ("end", each, time): partial(service.end, each) for each in listeners for time in (1, 2)
    }

    answers = service.at_once(
        ends
        | {
            ("close", each, time): partial(service.close, each, 1000)
            for each in listeners
            for time in (1, 2)
        }
    )

    ended = [speaker for _, speaker, _ in told(answers, "sessionEnded")]
    assert len(ended) == len(set(ended))
    assert told(answers, "sessionEnded") | told(answers, "SESSION_NOT_FOUND") == set(ends)
    assert _ends_heard(service, chain.from_iterable(listeners.values())) == {1}
    assert _ends_heard(service, listeners) == {0}
    service.clock.turn(60)
    service.sweep()
    assert service.items("sessions") == service.items("connections") == []


@pytest.mark.parametrize("order", [("end", "open", "deliver"), ("open", "end", "deliver")])
def test_nobody_hears_that_he_has_joined_after_the_end(
    new_service: NewService, order: tuple[str, ...]
) -> None:
    """By the connect URL: the connection opens after $connect, and the outcome comes even later."""
    service = new_service(1)
    session_id = service.create()
    command = protocol.JoinSession(session_id, "es", INVITE_CODE)
    outcome = protocol.encode(service.sessions.join(service.caller("listener"), command), 0)
    events: dict[str, Callable[[], object]] = {
        "open": partial(service.phones.open, "listener"),
        "end": service.end,
        "deliver": partial(service.sessions.deliver_outcome, "listener", "1", outcome),
    }

    for each in order:
        events[each]()

    assert service.phones.heard("listener")[-1:] in (["sessionEnded"], ["error"])


def _late(end: Callable[[], object]) -> object:
    """End a session once others are half way."""
    for _ in range(2):
        latency()
    return end()


def _ends_heard(service: Service, connection_ids: Iterable[str]) -> set[int]:
    """Say how often they heard of an end: once each is {1}."""
    return {service.phones.heard(each).count("sessionEnded") for each in connection_ids}
