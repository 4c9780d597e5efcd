"""Ends of sessions, concurrent with all other events."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain

import pytest

from chalicelib.commands import JoinSession
from chalicelib.outcomes import Delivery
from tests.races.conftest import NewService, twice
from tests.races.fakes import latency
from tests.races.service import INVITE_CODE, Service, answered

ENDINGS: dict[str, Callable[[Service], object]] = {
    "by command": lambda service: service.end(),
    "by a clean close": lambda service: service.close("speaker", 1000),
}


@pytest.mark.parametrize("ending", ENDINGS)
@twice
def test_every_participant_receives_the_end_once_and_no_item_is_left(
    new_service: NewService, ending: str
) -> None:
    service = new_service(100)
    staying = [f"staying-{n}" for n in range(15)]
    leaving = [f"leaving-{n}" for n in range(10)]
    moving = {f"old-{n}": f"new-{n}" for n in range(15)}
    joining = [f"joining-{n}" for n in range(22)]
    session_id = service.create_with_listeners([*staying, *leaving, *moving])

    with service.watching_counts(session_id):
        answers = service.run_all(
            {each: partial(service.join, session_id, each) for each in joining}
            | {new: partial(service.refresh, session_id, old, new) for old, new in moving.items()}
            | {each: partial(service.close, each) for each in leaving}
            | {f"end {n}": partial(_delayed, partial(ENDINGS[ending], service)) for n in (1, 2)}
        )

    moved = answered(answers, "connectionRefreshComplete")
    admitted = moved | answered(answers, "sessionJoined")
    refused = answered(answers, "SESSION_NOT_FOUND") - {"end 1", "end 2"}
    assert admitted | refused == {*joining, *moving.values()}
    assert service.attendance(session_id).present == set()
    assert _end_counts(service, {*staying, *admitted}) == {1}
    assert _end_counts(service, {*leaving, *refused, *moving}) <= {0, 1}
    assert _end_counts(service, [old for old, new in moving.items() if new in moved]) <= {0}
    assert _end_counts(service, ["speaker"]) == {0}
    for pair in moving.items():
        assert _end_counts(service, pair) in ({0}, {0, 1})

    everyone = {*staying, *leaving, *moving, *admitted, *refused, "speaker"}
    received = {each: service.connections.received(each) for each in everyone}
    service.clock.advance(60)
    service.sweep()
    assert received == {each: service.connections.received(each) for each in everyone}
    assert service.items("sessions") == service.present() == []


@twice
def test_joins_of_an_ending_session_are_refused_or_receive_the_end(
    new_service: NewService,
) -> None:
    service = new_service(2)
    session_ids = service.create_all({f"speaker-{n}": () for n in range(20)})
    joining = {f"{name}-{speaker}": speaker for speaker in session_ids for name in ("one", "two")}

    answers = service.run_all(
        {
            each: partial(service.join, session_ids[speaker], each)
            for each, speaker in joining.items()
        }
        | {each: partial(_delayed, partial(service.end, each)) for each in session_ids}
    )

    admitted = answered(answers, "sessionJoined")
    assert admitted | answered(answers, "SESSION_NOT_FOUND") == set(joining)
    assert _end_counts(service, admitted) <= {1}
    assert _end_counts(service, set(joining) - admitted) <= {0, 1}
    assert {service.attendance(each).present == set() for each in session_ids.values()} == {True}


@twice
def test_clean_closes_and_duplicate_ends_end_each_session_once(
    new_service: NewService,
) -> None:
    service = new_service(3)
    listeners = {f"speaker-{n}": [f"{n}-{m}" for m in range(3)] for n in range(16)}
    service.create_all(listeners)

    ends = {
        ("end", each, time): partial(service.end, each) for each in listeners for time in (1, 2)
    }

    answers = service.run_all(
        ends
        | {
            ("close", each, time): partial(service.close, each, 1000)
            for each in listeners
            for time in (1, 2)
        }
    )

    ended = [speaker for _, speaker, _ in answered(answers, "sessionEnded")]
    assert len(ended) == len(set(ended))
    assert answered(answers, "sessionEnded") | answered(answers, "SESSION_NOT_FOUND") == set(ends)
    assert _end_counts(service, chain.from_iterable(listeners.values())) == {1}
    assert _end_counts(service, listeners) == {0}
    service.clock.advance(60)
    service.sweep()
    assert service.items("sessions") == service.items("connections") == []


@pytest.mark.parametrize("order", [("end", "open", "deliver"), ("open", "end", "deliver")])
def test_no_listener_receives_its_join_after_the_end(
    new_service: NewService, order: tuple[str, ...]
) -> None:
    """Join by the connect URL, which opens the connection after $connect and before the outcome."""
    service = new_service(1)
    session_id = service.create()
    command = JoinSession(session_id, "es", INVITE_CODE)
    outcome = service.use_cases.joining.join(service.caller("listener"), command).message
    delivery = Delivery("listener", "", [outcome])
    events: dict[str, Callable[[], object]] = {
        "open": partial(service.connections.open, "listener"),
        "end": service.end,
        "deliver": partial(service.use_cases.deliveries.deliver, delivery),
    }

    for each in order:
        events[each]()

    assert service.connections.received("listener")[-1:] in (["sessionEnded"], ["error"])


def _delayed(end: Callable[[], object]) -> object:
    """End a session while other tasks are running."""
    for _ in range(2):
        latency()
    return end()


def _end_counts(service: Service, connection_ids: Iterable[str]) -> set[int]:
    """Return the numbers of ends that connections received. {1} means one end each."""
    return {service.connections.received(each).count("sessionEnded") for each in connection_ids}
