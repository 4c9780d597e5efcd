"""Refreshes of speakers, concurrent with closes and other refreshes."""

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import product

import pytest

from tests.races.conftest import NewService, twice
from tests.races.service import CONCURRENCY, Service, answered, batches

SPEAKERS = [f"speaker-{n}" for n in range(16)]


@pytest.mark.parametrize("code", [1000, 1001])
@twice
def test_of_two_refreshed_connections_one_is_current(new_service: NewService, code: int) -> None:
    service = new_service(2)
    session_ids = _create_all(service, SPEAKERS)

    answers = service.run_all(
        {
            (speaker, new): partial(
                service.refresh_speaker, session_id, f"{new}-{speaker}", speaker
            )
            for speaker, session_id in session_ids.items()
            for new in ("first", "second")
        }
        | {
            (speaker, time): partial(service.close, speaker, code)
            for speaker in SPEAKERS
            for time in ("once", "twice")
        }
    )

    back = {speaker for speaker, _ in answered(answers, "connectionRefreshComplete")}
    assert back == set(SPEAKERS)
    _assert_one_is_current(service, session_ids, back, ["first", "second"])
    for speaker in back:
        for received in _received_by_listeners(service, speaker):
            assert received.count("sessionEnded") == 0
            assert received.count("sessionInterrupted") <= 1
            assert "sessionInterrupted" in received or "sessionResumed" not in received


@twice
def test_a_listener_that_received_an_interruption_receives_its_end(
    new_service: NewService,
) -> None:
    service = new_service(2)
    session_ids = _create_all(service, [f"speaker-{n}" for n in range(32)])

    service.run_all(
        {
            speaker: partial(service.refresh_speaker, session_id, f"new-{speaker}", speaker)
            for speaker, session_id in session_ids.items()
        }
        | {f"close {each}": partial(service.close, each) for each in session_ids}
    )

    for speaker in session_ids:
        for received in _received_by_listeners(service, speaker):
            assert received[-1:] in ([], ["sessionResumed"])
            assert "sessionInterrupted" in received or not received


@twice
def test_of_64_refreshed_connections_one_is_current(new_service: NewService) -> None:
    service = new_service(2)
    session_ids = _create_all(service, ["speaker"])
    names = [f"new-{n}" for n in range(CONCURRENCY)]
    new = {f"{name}-speaker" for name in names}

    answers = service.run_all(
        {each: partial(service.refresh_speaker, session_ids["speaker"], each) for each in new}
    )

    assert answered(answers, "connectionRefreshComplete") == new
    (current,) = _assert_one_is_current(service, session_ids, ["speaker"], names)
    service.run_all({each: partial(service.close, each, 1000) for each in new - {current}})
    _assert_one_is_current(service, session_ids, ["speaker"], names)


@twice
def test_duplicate_refreshes_leave_one_working_current_connection(
    new_service: NewService,
) -> None:
    service = new_service(2)
    session_ids = _create_all(service, SPEAKERS)

    service.run_all(
        {
            (speaker, new, time): partial(
                service.refresh_speaker, session_id, f"{new}-{speaker}", speaker
            )
            for speaker, session_id in session_ids.items()
            for new in ("first", "second")
            for time in "12"
        }
    )

    _assert_one_is_current(service, session_ids, SPEAKERS, ["first", "second"])


@twice
def test_a_session_outlives_its_speakers_old_connections(
    new_service: NewService,
) -> None:
    service = new_service(2)
    session_ids = _create_all(service, SPEAKERS)
    for new in ("first", "second", "third"):
        service.run_all(
            {
                speaker: partial(service.refresh_speaker, session_id, f"{new}-{speaker}", speaker)
                for speaker, session_id in session_ids.items()
            }
        )
    old = [*SPEAKERS, *(f"{new}-{each}" for new in ("first", "second") for each in SPEAKERS)]

    for some in batches(product(old, (1000, 1001))):
        service.run_all({each: partial(service.close, *each) for each in some})
    service.sweep_twice()

    _assert_one_is_current(service, session_ids, SPEAKERS, ["first", "second", "third"])
    for speaker in SPEAKERS:
        assert _received_by_listeners(service, speaker) == [[], []]


def _create_all(service: Service, speakers: Iterable[str]) -> dict[str, str]:
    return service.create_all({each: [f"{each}-1", f"{each}-2"] for each in speakers})


def _received_by_listeners(service: Service, speaker: str) -> list[list[str]]:
    return [service.connections.received(f"{speaker}-{n}") for n in (1, 2)]


def _assert_one_is_current(
    service: Service, session_ids: Mapping[str, str], speakers: Iterable[str], names: Iterable[str]
) -> list[str]:
    """Check that each session is active, and that only its current speaker connection works.

    Each speaker has one connection for each name. Returns the current connection IDs.
    """
    sessions = {speaker: service.session(session_ids[speaker]) for speaker in speakers}
    current = {speaker: item["speakerConnectionId"]["S"] for speaker, item in sessions.items()}
    assert {item["status"]["S"] for item in sessions.values()} <= {"active"}
    assert not [speaker for speaker, item in sessions.items() if "graceEndsAt" in item]
    connections = [(f"{name}-{speaker}", speaker) for speaker in sessions for name in names]
    for some in batches(connections):
        answers = service.run_all({each: partial(service.heartbeat, *each) for each in some})
        for (connection_id, speaker), ack in answers.items():
            assert ("sessionId" in ack) == (connection_id == current[speaker])
    return list(current.values())
