"""A speaker who moves to a new connection, against himself and against the end of the old one."""

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import product

import pytest

from tests.races.conftest import NewService, rounds
from tests.races.service import AT_ONCE, Service, batches, told

SPEAKERS = [f"speaker-{n}" for n in range(16)]


@pytest.mark.parametrize("code", [1000, 1001])
@rounds(3)
def test_of_two_new_connections_one_is_current_whatever_becomes_of_the_old(
    new_service: NewService, code: int
) -> None:
    service = new_service(2)
    session_ids = _create_all(service, SPEAKERS)

    answers = service.at_once(
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

    back = {speaker for speaker, _ in told(answers, "connectionRefreshComplete")}
    assert back == set(SPEAKERS)
    _assert_one_is_current(service, session_ids, back, ["first", "second"])
    for speaker in back:
        for heard in _heard_by_listeners(service, speaker):
            assert heard.count("sessionEnded") == 0
            assert heard.count("sessionInterrupted") <= 1
            assert "sessionInterrupted" in heard or "sessionResumed" not in heard


@rounds(3)
def test_who_heard_of_an_interruption_hears_last_that_it_is_over(
    new_service: NewService,
) -> None:
    service = new_service(2)
    session_ids = _create_all(service, [f"speaker-{n}" for n in range(32)])

    service.at_once(
        {
            speaker: partial(service.refresh_speaker, session_id, f"new-{speaker}", speaker)
            for speaker, session_id in session_ids.items()
        }
        | {f"close {each}": partial(service.close, each) for each in session_ids}
    )

    for speaker in session_ids:
        for heard in _heard_by_listeners(service, speaker):
            assert heard[-1:] in ([], ["sessionResumed"])
            assert "sessionInterrupted" in heard or not heard


@rounds(3)
def test_of_64_new_connections_one_is_current(new_service: NewService) -> None:
    service = new_service(2)
    session_ids = _create_all(service, ["speaker"])
    names = [f"new-{n}" for n in range(AT_ONCE)]
    new = {f"{name}-speaker" for name in names}

    answers = service.at_once(
        {each: partial(service.refresh_speaker, session_ids["speaker"], each) for each in new}
    )

    assert told(answers, "connectionRefreshComplete") == new
    (current,) = _assert_one_is_current(service, session_ids, ["speaker"], names)
    service.at_once({each: partial(service.close, each, 1000) for each in new - {current}})
    _assert_one_is_current(service, session_ids, ["speaker"], names)


@rounds(3)
def test_a_refresh_that_comes_twice_among_others_leaves_one_that_is_current_and_works(
    new_service: NewService,
) -> None:
    service = new_service(2)
    session_ids = _create_all(service, SPEAKERS)

    service.at_once(
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


@rounds(3)
def test_a_session_whose_speaker_has_come_back_outlives_the_ends_of_his_old_connections(
    new_service: NewService,
) -> None:
    service = new_service(2)
    session_ids = _create_all(service, SPEAKERS)
    for new in ("first", "second", "third"):
        service.at_once(
            {
                speaker: partial(service.refresh_speaker, session_id, f"{new}-{speaker}", speaker)
                for speaker, session_id in session_ids.items()
            }
        )
    old = [*SPEAKERS, *(f"{new}-{each}" for new in ("first", "second") for each in SPEAKERS)]

    for some in batches(product(old, (1000, 1001))):
        service.at_once({each: partial(service.close, *each) for each in some})
    service.sweep_twice()

    _assert_one_is_current(service, session_ids, SPEAKERS, ["first", "second", "third"])
    for speaker in SPEAKERS:
        assert _heard_by_listeners(service, speaker) == [[], []]


def _create_all(service: Service, speakers: Iterable[str]) -> dict[str, str]:
    return service.create_all({each: [f"{each}-1", f"{each}-2"] for each in speakers})


def _heard_by_listeners(service: Service, speaker: str) -> list[list[str]]:
    return [service.phones.heard(f"{speaker}-{n}") for n in (1, 2)]


def _assert_one_is_current(
    service: Service, session_ids: Mapping[str, str], speakers: Iterable[str], names: Iterable[str]
) -> list[str]:
    """See that each session is on the air, that its current connection works, and no other does.

    Each speaker has a connection of each of those names. Returns the current ones.
    """
    sessions = {speaker: service.session(session_ids[speaker]) for speaker in speakers}
    current = {speaker: item["speakerConnectionId"]["S"] for speaker, item in sessions.items()}
    assert {item["status"]["S"] for item in sessions.values()} <= {"active"}
    assert not [speaker for speaker, item in sessions.items() if "graceEndsAt" in item]
    connections = [(f"{name}-{speaker}", speaker) for speaker in sessions for name in names]
    for some in batches(connections):
        answers = service.at_once({each: partial(service.heartbeat, *each) for each in some})
        for (connection_id, speaker), ack in answers.items():
            assert ("sessionId" in ack) == (connection_id == current[speaker])
    return list(current.values())
