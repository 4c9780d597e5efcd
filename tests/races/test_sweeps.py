"""Sweeps, concurrent with each other and with other events."""

from collections.abc import Iterable
from functools import partial

import pytest

from chalicelib import messages
from chalicelib.models import EndReason
from tests.races.conftest import NewService, twice
from tests.races.service import (
    GRACE_SECONDS,
    LOST_AFTER_SECONDS,
    SESSION_SECONDS,
    Service,
    answered,
)

SESSIONS_PER_KIND = 3
LISTENERS = 4


@pytest.mark.parametrize("sweeps", [2, 8])
def test_concurrent_sweeps_repair_everything_and_notify_once(
    new_service: NewService, sweeps: int
) -> None:
    service = new_service(LISTENERS + 2)
    expired = _open(service, "expired")
    service.clock.advance(SESSION_SECONDS)
    abandoned = _open(service, "abandoned")
    for speaker in abandoned:
        service.close(speaker)
    service.clock.advance(GRACE_SECONDS)
    deserted = _open(service, "deserted")
    service.connections.close(deserted)
    half_ended = _open(service, "half-ended")
    for speaker, session_id in half_ended.items():
        _interrupt_end(service, speaker, session_id)
    healthy = _open(service, "healthy")
    with_dead = _open(service, "with-dead")
    too_high, too_low = _open(service, "too-high"), _open(service, "too-low")
    with_dead_too_high = _open(service, "with-dead-too-high")
    for speaker in [*with_dead, *with_dead_too_high]:
        service.connections.close([f"{speaker}-0", f"{speaker}-1"])
    for session_id in [*too_high.values(), *with_dead_too_high.values()]:
        service.add_to_count(session_id, 2)
    for session_id in too_low.values():
        service.add_to_count(session_id, -2)
    service.clock.advance(LOST_AFTER_SECONDS)
    service.send_heartbeats()
    ended = expired | abandoned | deserted | half_ended
    twice_off = set(with_dead_too_high)
    lasting = healthy | too_high | too_low | with_dead | with_dead_too_high
    expected = {each: set(_listeners(each)) for each in lasting}
    for speaker in [*with_dead, *with_dead_too_high]:
        expected[speaker] -= {f"{speaker}-0", f"{speaker}-1"}

    with service.watching_counts(*lasting.values()):
        for _ in range(2):
            _sweep_concurrently(service, sweeps)
            service.clock.advance(60)
            service.send_heartbeats()
        correct = {each: _is_correct(service, lasting[each], expected[each]) for each in lasting}
        assert {each for each, is_correct in correct.items() if not is_correct} <= twice_off

        # Sessions that ended in the second round, or listeners that two sweeps removed in the first
        # round, need a third round.
        _sweep_concurrently(service, sweeps)
        assert all(_is_correct(service, lasting[each], expected[each]) for each in lasting)

    for speaker in [*expired, *half_ended]:
        assert _received(service, _listeners(speaker)) == [["sessionEnded"]] * LISTENERS
    for speaker in expired:
        assert service.connections.received(speaker) == ["sessionEnded"]
    for speaker in [*abandoned, *deserted]:
        interrupted_and_ended = ["sessionInterrupted", "sessionEnded"]
        assert _received(service, _listeners(speaker)) == [interrupted_and_ended] * LISTENERS
    for speaker in lasting:
        assert _received(service, [speaker, *_listeners(speaker)]) == [[]] * (1 + LISTENERS)
    left = {item["sessionId"]["S"] for item in service.items("sessions")}
    assert left == set(lasting.values())
    assert {item["sessionId"]["S"] for item in service.present()} == left
    assert not left & set(ended.values())


@twice
def test_counts_are_correct_after_concurrent_sweeps_and_commands(
    new_service: NewService,
) -> None:
    service = new_service(3 * LISTENERS)
    session_ids = _open(service, "speaker")
    too_high, with_dead, ending = session_ids
    service.add_to_count(session_ids[too_high], 2)
    service.clock.advance(60)
    service.sweep()
    service.send_heartbeats(except_for=[f"{with_dead}-0"])
    service.connections.close([f"{with_dead}-0"])
    service.clock.advance(60)
    service.send_heartbeats()

    with service.watching_counts(*session_ids.values()):
        answers = service.run_all(
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

    admitted = answered(answers, "sessionJoined") | answered(answers, "connectionRefreshComplete")
    assert not answered(answers, "SERVICE_UNAVAILABLE")
    for speaker, stayed in ((too_high, {0, 3}), (with_dead, {3})):
        expected = {each for each in admitted if each.endswith(f"-of-{speaker}")}
        expected |= {f"{speaker}-{n}" for n in stayed}
        assert service.attendance(session_ids[speaker]) == (len(expected), expected)
        assert not [received for received in _received(service, expected) if received]
    notified = {each for each in admitted if each.endswith(f"-of-{ending}")}
    notified |= {f"{ending}-0", f"{ending}-3"}
    assert _received(service, notified) == [["sessionEnded"]] * len(notified)
    assert service.session(session_ids[ending]) == {}


def _open(service: Service, kind: str) -> dict[str, str]:
    """Create sessions with listeners, and return the session IDs by speaker."""
    speakers = [f"{kind}-{n}" for n in range(SESSIONS_PER_KIND)]
    return service.create_all({each: _listeners(each) for each in speakers})


def _listeners(speaker: str) -> list[str]:
    return [f"{speaker}-{n}" for n in range(LISTENERS)]


def _interrupt_end(service: Service, speaker: str, session_id: str) -> None:
    """Start to end a session, but stop after one listener has been notified."""
    session = service.stores.sessions.claim_end(session_id, EndReason.SPEAKER_ENDED, speaker)
    assert session is not None
    (first,) = service.stores.listeners.remove(session_id, [f"{speaker}-0"])
    message = messages.session_ended(session_id, EndReason.SPEAKER_ENDED)
    service.connections.post(first, messages.encode(message, 0))


def _move_speaker(service: Service, session_ids: dict[str, str], speaker: str) -> None:
    service.refresh_speaker(session_ids[speaker], f"new-{speaker}", speaker)
    service.close(speaker)


def _is_correct(service: Service, session_id: str, expected: set[str]) -> bool:
    return service.attendance(session_id) == (len(expected), expected)


def _sweep_concurrently(service: Service, sweeps: int) -> None:
    service.run_all(dict.fromkeys(range(sweeps), service.sweep))


def _received(service: Service, connection_ids: Iterable[str]) -> list[list[str]]:
    return [service.connections.received(each) for each in connection_ids]
