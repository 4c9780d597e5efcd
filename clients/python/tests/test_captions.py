"""The order of captions."""

from hypothesis import given
from hypothesis import strategies as st

from broadcast_sessions_client import Caption, Event, Gap
from broadcast_sessions_client.captions import CAPACITY, Captions
from client_support.captions import caption, covered

LATEST = 30

ARRIVALS = st.integers(1, LATEST)
ANSWERS = st.tuples(st.integers(0, LATEST), st.sets(st.integers(1, LATEST)))
"""The `last_seq` of an answer, and the numbers of the captions in it."""


@given(first=st.integers(0, 5), steps=st.lists(ARRIVALS | ANSWERS, max_size=40))
def test_captions_and_gaps_cover_every_number_once_whatever_arrives(
    first: int, steps: list[int | tuple[int, set[int]]]
) -> None:
    captions = Captions("es", first)
    events: list[Event] = []
    arrived: set[int] = set()
    known = first

    for step in [*steps, (LATEST, set())]:
        seqs, last_seq = ({step}, step) if isinstance(step, int) else (step[1], step[0])
        arrived |= {seq for seq in seqs if seq <= last_seq}
        known = max(known, last_seq)
        if isinstance(step, int):
            new: list[Caption] | list[Caption | Gap] = captions.add(caption(step))
        else:
            new = captions.add_missing(map(caption, seqs), last_seq)
        events += new
        assert covered(events) == list(range(first + 1, captions.last_seq + 1))
        assert captions.is_behind == (captions.last_seq < known)
        gaps = [event for event in new if isinstance(event, Gap)]
        assert arrived.isdisjoint(covered(gaps))

    assert captions.last_seq == LATEST


def test_a_caption_waits_for_the_one_before_it() -> None:
    captions = Captions("es", 4)
    assert captions.add(caption(7)) == []
    assert captions.add(caption(6)) == []
    assert captions.is_behind
    assert captions.add(caption(5)) == [caption(5), caption(6), caption(7)]
    assert not captions.is_behind


def test_a_caption_that_has_been_delivered_or_waits_is_dropped() -> None:
    captions = Captions("es", 4)
    assert captions.add(caption(4)) == []
    assert captions.add(caption(6)) == captions.add(caption(6)) == []
    assert captions.add(caption(5)) == [caption(5), caption(6)]
    assert captions.add(caption(6)) == []


def test_a_caption_of_another_language_is_dropped() -> None:
    captions = Captions("es", 4)
    assert captions.add(caption(5, "fr")) == []
    assert captions.add_missing([caption(5, "fr")], 5) == [Gap("es", 4, 1)]


def test_a_gap_is_at_its_place() -> None:
    captions = Captions("es", 4)
    captions.add(caption(8))
    missing = [caption(6), caption(10), caption(13)]
    assert captions.add_missing(missing, 11) == [
        Gap("es", 4, 1),
        caption(6),
        Gap("es", 6, 1),
        caption(8),
        Gap("es", 8, 1),
        caption(10),
        Gap("es", 10, 1),
    ]
    assert captions.add(caption(13)) == []  # An answer is only about numbers up to its last one.
    assert captions.add(caption(12)) == [caption(12), caption(13)]


def test_captions_that_have_waited_follow_those_that_were_missing() -> None:
    captions = Captions("es", 4)
    captions.add(caption(7))
    captions.add(caption(9))
    assert captions.add_missing([caption(5)], 6) == [caption(5), Gap("es", 5, 1), caption(7)]
    assert captions.is_behind
    assert captions.add_missing([], 4) == []


def test_a_gap_of_any_size_is_counted() -> None:
    captions = Captions("es", 0)
    assert captions.add_missing([], 2**53 - 1) == [Gap("es", 0, 2**53 - 1)]


def test_the_latest_of_too_many_captions_that_wait_are_missing_again() -> None:
    captions = Captions("es", 0)
    for seq in range(CAPACITY + 3, 1, -1):
        assert captions.add(caption(seq)) == []
    following = captions.add(caption(1))
    assert following == [caption(seq) for seq in range(1, CAPACITY + 2)]
    assert captions.is_behind


def test_the_next_caption_is_delivered_although_many_wait() -> None:
    captions = Captions("es", 0)
    for seq in range(2, CAPACITY + 2):
        captions.add(caption(seq))
    assert covered(captions.add(caption(1))) == list(range(1, CAPACITY + 2))
    assert not captions.is_behind
