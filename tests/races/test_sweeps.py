"""Sweeps against each other, and against all that goes on meanwhile."""

from collections.abc import Iterable
from functools import partial

import pytest

from chalicelib import protocol
from chalicelib.models import EndReason
from tests.races.conftest import NewService, rounds
from tests.races.service import (
    GRACE_SECONDS,
    LOST_AFTER_SECONDS,
    SESSION_SECONDS,
    Service,
    told,
)

OF_A_KIND = 3
LISTENERS = 4


@pytest.mark.parametrize("sweeps", [2, 8])
@rounds(2)
def test_sweeps_side_by_side_set_everything_right_and_tell_nobody_twice(
    new_service: NewService, sweeps: int
) -> None:
    service = new_service(LISTENERS + 2)
    expired = _open(service, "expired")
    service.clock.turn(SESSION_SECONDS)
    abandoned = _open(service, "abandoned")
    for speaker in abandoned:
        service.close(speaker)
    service.clock.turn(GRACE_SECONDS)
    deserted = _open(service, "deserted")
    service.phones.close(deserted)
    half_ended = _open(service, "half-ended")
    for speaker, session_id in half_ended.items():
        _begin_to_end(service, speaker, session_id)
    healthy = _open(service, "healthy")
    with_dead = _open(service, "with-dead")
    too_high, too_low = _open(service, "too-high"), _open(service, "too-low")
    with_dead_too_high = _open(service, "with-dead-too-high")
    for speaker in [*with_dead, *with_dead_too_high]:
        service.phones.close([f"{speaker}-0", f"{speaker}-1"])
    for session_id in [*too_high.values(), *with_dead_too_high.values()]:
        service.add_to_count(session_id, 2)
    for session_id in too_low.values():
        service.add_to_count(session_id, -2)
    service.clock.turn(LOST_AFTER_SECONDS)
    service.beat()
    ended = expired | abandoned | deserted | half_ended
    twice_off = set(with_dead_too_high)
    lasting = healthy | too_high | too_low | with_dead | with_dead_too_high
    in_it = {each: set(_listeners(each)) for each in lasting}
    for speaker in [*with_dead, *with_dead_too_high]:
        in_it[speaker] -= {f"{speaker}-0", f"{speaker}-1"}

    with service.watching_counts(*lasting.values()):
        for _ in range(2):
            _sweep_side_by_side(service, sweeps)
            service.clock.turn(60)
            service.beat()
        in_order = {each: _is_in_order(service, lasting[each], in_it[each]) for each in lasting}
        assert {each for each, is_in_order in in_order.items() if not is_in_order} <= twice_off

        # What ended in the second round, or was removed by two sweeps in the first, takes a third.
        _sweep_side_by_side(service, sweeps)
        assert all(_is_in_order(service, lasting[each], in_it[each]) for each in lasting)

    for speaker in [*expired, *half_ended]:
        assert _heard(service, _listeners(speaker)) == [["sessionEnded"]] * LISTENERS
    for speaker in expired:
        assert service.phones.heard(speaker) == ["sessionEnded"]
    for speaker in [*abandoned, *deserted]:
        interrupted_and_ended = ["sessionInterrupted", "sessionEnded"]
        assert _heard(service, _listeners(speaker)) == [interrupted_and_ended] * LISTENERS
    for speaker in lasting:
        assert _heard(service, [speaker, *_listeners(speaker)]) == [[]] * (1 + LISTENERS)
    left = {item["sessionId"]["S"] for item in service.items("sessions")}
    assert left == set(lasting.values())
    assert {item["sessionId"]["S"] for item in service.present()} == left
    assert not left & set(ended.values())


@rounds(3)
def test_counts_are_right_after_sweeps_among_joins_leaves_refreshes_and_ends(
    new_service: NewService,
) -> None:
    service = new_service(3 * LISTENERS)
    session_ids = _open(service, "speaker")
    too_high, with_dead, ending = session_ids
    service.add_to_count(session_ids[too_high], 2)
    service.clock.turn(60)
    service.sweep()
    service.beat(except_for=[f"{with_dead}-0"])
    service.phones.close([f"{with_dead}-0"])
    service.clock.turn(60)
    service.beat()

    with service.watching_counts(*session_ids.values()):
        answers = service.at_once(
            {f"sweep {n}": service.sweep for n in range(4)}
            | {f"end {n}": partial(service.end, ending) for n in range(2)}
            | {
                f"new-{n}-of-{speaker}": partial(join, session_id, f"new-{n}-of-{speaker}")
                for speaker, session_id in session_ids.items()
                for n, join in enumerate([service.join, service.join_by_url] * 6)
            }
            | {f"{each}-1": partial(service.close, f"{each}-1") for each in session_ids}
            | {
                f"moved-of-{speaker}": partial(
                    service.refresh, session_id, f"{speaker}-2", f"moved-of-{speaker}"
                )
                for speaker, session_id in session_ids.items()
            }
            | {f"{with_dead} moves": partial(_move_speaker, service, session_ids, with_dead)}
        )
        service.sweep_twice()

    let_in = told(answers, "sessionJoined") | told(answers, "connectionRefreshComplete")
    assert not told(answers, "SERVICE_UNAVAILABLE")
    for speaker, stayed in ((too_high, {0, 3}), (with_dead, {3})):
        in_it = {each for each in let_in if each.endswith(f"-of-{speaker}")}
        in_it |= {f"{speaker}-{n}" for n in stayed}
        assert service.books(session_ids[speaker]) == (len(in_it), in_it)
        assert not [heard for heard in _heard(service, in_it) if heard]
    hear_the_end = {each for each in let_in if each.endswith(f"-of-{ending}")}
    hear_the_end |= {f"{ending}-0", f"{ending}-3"}
    assert _heard(service, hear_the_end) == [["sessionEnded"]] * len(hear_the_end)
    assert service.session(session_ids[ending]) == {}


def _open(service: Service, kind: str) -> dict[str, str]:
    """Create sessions with listeners. Returns their ids by their speakers."""
    speakers = [f"{kind}-{n}" for n in range(OF_A_KIND)]
    return service.create_all({each: _listeners(each) for each in speakers})


def _listeners(speaker: str) -> list[str]:
    return [f"{speaker}-{n}" for n in range(LISTENERS)]


def _begin_to_end(service: Service, speaker: str, session_id: str) -> None:
    """End a session, and break off when one listener has been told."""
    session = service.store.claim_end(session_id, EndReason.SPEAKER_ENDED, speaker)
    assert session is not None
    (first,) = service.store.take_connections(session_id, [f"{speaker}-0"])
    message = protocol.session_ended(session_id, EndReason.SPEAKER_ENDED)
    service.phones.post(first, protocol.encode(message, 0))


def _move_speaker(service: Service, session_ids: dict[str, str], speaker: str) -> None:
    service.refresh_speaker(session_ids[speaker], f"new-{speaker}", speaker)
    service.close(speaker)


def _is_in_order(service: Service, session_id: str, in_it: set[str]) -> bool:
    return service.books(session_id) == (len(in_it), in_it)


def _sweep_side_by_side(service: Service, sweeps: int) -> None:
    service.at_once(dict.fromkeys(range(sweeps), service.sweep))


def _heard(service: Service, connection_ids: Iterable[str]) -> list[list[str]]:
    return [service.phones.heard(each) for each in connection_ids]
