"""Concurrent publications of captions, with ends, pauses and listeners that come."""

import json
import random
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any, Final

import pytest

from chalicelib.audience import Audience
from chalicelib.aws.connections import FanOut
from chalicelib.models import Caption, SessionStatus
from chalicelib.notices import Notices
from chalicelib.publishing import Publishing
from chalicelib.store.caption_numbers import Numbered
from tests.races.conftest import NewService, twice
from tests.races.fakes import latency
from tests.races.service import ENDPOINT_URL, Service, answered, batches

PUBLISHERS: Final = 32
RETRIES: Final = 16
ROUNDS: Final = 50
PHRASES: Final = 10

CLOCK_PRECISION_SECONDS: Final = 0.001
"""The precision of the times that are stored."""


@twice
def test_concurrent_publishers_of_a_language_get_each_number_once(new_service: NewService) -> None:
    service = new_service(4)
    listeners = [f"listener-{n}" for n in range(4)]
    session_id = service.create_with_listeners(listeners)
    caption_ids = [f"caption-{n}" for n in range(PUBLISHERS)]

    done = service.run_all(
        {each: partial(service.publish, session_id, "es", each) for each in caption_ids}
    )

    numbers = {each: answer.seqs[0] for each, answer in done.items()}
    assert sorted(numbers.values()) == [*range(1, PUBLISHERS + 1)]
    assert _stored(service) == numbers
    for each in listeners:
        assert {it["captionId"]: it["seq"] for it in _captions(service, each)} == numbers
        assert len(_captions(service, each)) == PUBLISHERS


@twice
def test_concurrent_retries_of_a_caption_have_one_number_and_one_delivery(
    new_service: NewService,
) -> None:
    service = new_service(1)
    session_id = service.create_with_listeners(["listener"])

    done = service.run_all(
        {n: partial(service.publish, session_id, "es", "caption") for n in range(RETRIES)}
    )

    assert {tuple(each.seqs) for each in done.values()} == {(1,)}
    assert [it["seq"] for it in _captions(service, "listener")] == [1]
    assert sum(each.reached for each in done.values()) == 1
    assert _stored(service) == {"caption": 1}


def test_no_listener_receives_a_caption_after_the_end(
    new_service: NewService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = new_service(2)
    _slow_posts_down(service, monkeypatch)
    audiences = {f"speaker-{n}": [f"{n}-one", f"{n}-two"] for n in range(ROUNDS)}
    session_ids = service.create_all(audiences)
    published: set[str] = set()

    for some in batches(session_ids, 16):
        answers = service.run_all(
            {
                f"{each} {n}": partial(service.publish, session_ids[each], "es", f"{each} {n}")
                for each in some
                for n in range(2)
            }
            | {each: partial(_later, partial(service.end, each)) for each in some}
        )
        assert answered({each: answers[each] for each in some}, "sessionEnded") == set(some)
        published |= {each for each, it in answers.items() if hasattr(it, "seqs")}

    assert published
    # A caption with a number is kept, even if nobody received it.
    assert _stored(service).keys() == published
    for speaker, listeners in audiences.items():
        for each in listeners:
            received = service.connections.received(each)
            assert received.count("sessionEnded") == 1
            assert received[-1] == "sessionEnded", f"{speaker}: {received}"


def test_no_listener_receives_an_earlier_caption_after_a_pause(
    new_service: NewService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = new_service(2)
    _slow_posts_down(service, monkeypatch)
    session_ids = service.create_all({f"speaker-{n}": [] for n in range(ROUNDS)})
    for speaker, session_id in session_ids.items():
        service.join(session_id, f"of-{speaker}", "en")
    before_pause = _watch_numbers(service, monkeypatch)

    for some in batches(session_ids, 16):
        service.run_all(
            {
                f"{each} {n}": partial(service.send_caption, f"{each} {n}", each)
                for each in some
                for n in range(2)
            }
            | {each: partial(_later, partial(service.pause, each)) for each in some}
        )

    assert before_pause
    for speaker in session_ids:
        messages = service.connections.messages(f"of-{speaker}")
        paused_at = [it["type"] for it in messages].index("sessionPaused")
        late = {it["captionId"] for it in messages[paused_at + 1 :]}
        assert not late & before_pause


@twice
def test_translations_are_numbered_in_the_order_of_the_phrases(new_service: NewService) -> None:
    service = new_service(1)
    session_id = service.create()
    service.join(session_id, "listener", "fr")
    publishing = _publishing_in_simulated_time(service)

    def translate(order: int) -> Sequence[int]:
        caption = Caption(f"phrase-{order}", "words", 0)
        return publishing.publish_translation(session_id, "fr", caption, order).seqs

    # The first translation into a language waits for none.
    assert translate(1) == [1]
    orders = [*range(2, PHRASES + 1)]
    random.shuffle(orders)
    began_at = service.clock()

    numbers = service.run_all({order: partial(translate, order) for order in orders})

    assert service.clock() - began_at < 3
    assert {order: seqs[0] for order, seqs in numbers.items()} == {it: it for it in orders}
    # Deliveries can overtake each other.
    assert sorted(it["seq"] for it in _captions(service, "listener")) == [*range(1, PHRASES + 1)]


@twice
def test_a_listener_that_comes_during_publications_can_get_each_later_caption(
    new_service: NewService,
) -> None:
    service = new_service(64)
    staying, moving = [f"old-{n}" for n in range(8)], [f"moving-{n}" for n in range(8)]
    session_id = service.create_with_listeners(staying + moving)
    comers = (
        {each: partial(service.change_language, each, "fr") for each in staying}
        | {f"new-{n}": partial(service.join, session_id, f"new-{n}", "fr") for n in range(8)}
        | {f"of-{it}": partial(service.refresh, session_id, it, f"of-{it}", "fr") for it in moving}
    )
    publications = {
        f"caption-{n}": partial(_later, partial(service.publish, session_id, "fr", f"caption-{n}"))
        for n in range(PUBLISHERS)
    }

    answers = service.run_all(comers | publications)

    for each in comers:
        first = answers[each]["lastSeq"]
        received = [it["seq"] for it in _captions(service, each) if it["language"] == "fr"]
        assert max(Counter(received).values(), default=0) <= 1
        last = _last_without_gap(first, received)
        rest = service.get_captions(each, last)
        assert (rest["lastSeq"], rest["missed"]) == (PUBLISHERS, 0)
        known = {*received, *range(1, last + 1), *(it["seq"] for it in rest["items"])}
        assert known == {*range(1, PUBLISHERS + 1)}


def _last_without_gap(first: int, received: Iterable[int]) -> int:
    """Return the number up to which a client that began after `first` has each caption."""
    last, received = first, set(received)
    while last + 1 in received:
        last += 1
    return last


def _later(task: Any) -> Any:
    """Run a task while others are running."""
    for _ in range(2):
        latency()
    return task()


def _slow_posts_down(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the posts of captions take as long as they may, in simulated time."""
    fan_out = service.connections.fan_out

    def slowly(ids: Collection[str], text: str, limit_seconds: float) -> FanOut:
        if json.loads(text)["type"] == "caption":
            if limit_seconds <= CLOCK_PRECISION_SECONDS:
                return FanOut(0, frozenset(), len(ids), frozenset(ids))
            service.clock.sleep(limit_seconds - CLOCK_PRECISION_SECONDS)
        return fan_out(ids, text)

    monkeypatch.setattr(service.connections, "fan_out", slowly)


def _watch_numbers(service: Service, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the IDs of the captions that get their numbers before the session is paused."""
    numbers = service.stores.caption_numbers
    give, before_pause = numbers.give_spoken, set[str]()

    def give_spoken(session_id: str, caption_id: str, *rest: Any) -> Numbered:
        numbered = give(session_id, caption_id, *rest)
        if numbered.session.status is SessionStatus.ACTIVE:
            before_pause.add(caption_id)
        return numbered

    monkeypatch.setattr(numbers, "give_spoken", give_spoken)
    return before_pause


def _publishing_in_simulated_time(service: Service) -> Publishing:
    """Return a publication whose turns are measured by the simulated clock."""
    stores, clock = service.stores, service.clock
    audience = Audience(stores, service.pipeline, service.outcomes, ENDPOINT_URL, clock)
    notices = Notices(stores, service.connections, audience, service.pipeline, clock, clock.sleep)
    return Publishing(stores, notices, clock, clock.sleep, stopwatch=clock)


def _captions(service: Service, connection_id: str) -> list[dict[str, Any]]:
    return [it for it in service.connections.messages(connection_id) if it["type"] == "caption"]


def _stored(service: Service) -> dict[str, int]:
    """Return the number of each stored caption."""
    return {it["captionId"]["S"]: int(it["seq"]["N"]) for it in service.items("captions")}
