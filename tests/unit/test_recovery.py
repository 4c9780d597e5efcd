"""The account of missed captions, without a store."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.models import Caption
from chalicelib.recovery import Account, account_for, first_kept
from chalicelib.store.captions import KEPT_CAPTIONS, StoredCaption

NOW_MS = 1_800_000_000_000
OLD_MS = NOW_MS - 60_000
EXPIRED_MS = NOW_MS - 600_001


def stored(seq: int, stored_at_ms: int = OLD_MS, size: int = 100) -> StoredCaption:
    return StoredCaption(seq, Caption(f"id-{seq}", "x" * size, 0), stored_at_ms)


def account(
    items: Iterable[StoredCaption],
    after_seq: int,
    last_seq: int,
    *,
    last_given_at_ms: int = NOW_MS,
    max_size: int = 10_000,
) -> Account:
    """Account for captions that are kept for 600 s, and settled after 10 s."""
    floor = first_kept(after_seq, last_seq)
    return account_for(
        [each for each in items if each.seq > floor],
        after_seq,
        last_seq,
        kept_since_ms=NOW_MS - 600_000,
        settled_before_ms=NOW_MS - 10_000,
        last_given_at_ms=last_given_at_ms,
        size=lambda each: len(each.caption.text),
        max_size=max_size,
    )


def seqs(found: Account) -> list[int]:
    return [each.seq for each in found.items]


def test_a_number_that_was_not_given_has_nothing_after_it() -> None:
    assert account([stored(1)], 7, 1) == Account([], 7, 0, False)


def test_captions_that_a_later_write_has_stored_are_left_to_the_next_account() -> None:
    found = account([stored(1), stored(2)], 0, 1)
    assert (seqs(found), found.last_seq, found.missed) == ([1], 1, 0)


def test_an_account_ends_before_a_caption_that_may_still_be_stored() -> None:
    found = account([stored(1), stored(3, NOW_MS - 9_000)], 0, 3)
    assert (seqs(found), found.last_seq, found.missed) == ([1], 1, 0)
    assert not found.has_more


def test_an_account_ends_before_a_last_caption_that_may_still_be_stored() -> None:
    found = account([stored(1)], 0, 2, last_given_at_ms=NOW_MS - 10_000)
    assert (seqs(found), found.last_seq, found.missed) == ([1], 1, 0)


def test_a_hole_is_missed_once_a_later_caption_is_old() -> None:
    found = account([stored(1), stored(3, NOW_MS - 10_001)], 0, 3)
    assert (seqs(found), found.last_seq, found.missed) == ([1, 3], 3, 1)


def test_a_hole_at_the_end_is_missed_once_no_number_was_given_for_a_while() -> None:
    found = account([stored(1)], 0, 3, last_given_at_ms=NOW_MS - 10_001)
    assert (seqs(found), found.last_seq, found.missed) == ([1], 3, 2)


def test_expired_captions_are_missed_and_not_delivered() -> None:
    found = account([stored(1, EXPIRED_MS), stored(2, EXPIRED_MS), stored(3)], 0, 3)
    assert (seqs(found), found.last_seq, found.missed) == ([3], 3, 2)


def test_of_more_than_200_captions_the_first_are_missed() -> None:
    found = account([stored(seq, size=1) for seq in range(1, 251)], 10, 250)
    assert seqs(found) == list(range(51, 251))
    assert (found.last_seq, found.missed, found.has_more) == (250, 40, False)


def test_an_answer_that_would_be_too_large_ends_before_and_says_so() -> None:
    found = account([stored(seq) for seq in range(1, 6)], 0, 5, max_size=399)
    assert (seqs(found), found.last_seq, found.missed) == ([1, 2, 3], 3, 0)
    assert found.has_more
    found = account([stored(seq) for seq in range(1, 6)], 3, 5, max_size=399)
    assert (seqs(found), found.has_more) == ([4, 5], False)


def test_an_answer_of_exactly_the_largest_size_is_complete() -> None:
    found = account([stored(seq) for seq in range(1, 5)], 0, 4, max_size=400)
    assert (seqs(found), found.has_more) == ([1, 2, 3, 4], False)


def test_a_hole_before_a_caption_that_does_not_fit_is_accounted_for() -> None:
    found = account([stored(1), stored(3)], 0, 3, max_size=100)
    assert (seqs(found), found.last_seq, found.missed, found.has_more) == ([1], 2, 1, True)


CAPTIONS = st.dictionaries(
    st.integers(1, 260),
    st.tuples(
        st.sampled_from([EXPIRED_MS, OLD_MS, NOW_MS - 10_001, NOW_MS - 9_999, NOW_MS]),
        st.integers(1, 500),
    ),
)


@given(
    CAPTIONS,
    st.integers(0, 270),
    st.integers(0, 260),
    st.sampled_from([0, NOW_MS - 10_001, NOW_MS - 10_000, NOW_MS]),
    st.integers(1, 2000),
)
def test_every_number_is_an_item_or_missed(
    captions: dict[int, tuple[int, int]],
    after_seq: int,
    last_seq: int,
    last_given_at_ms: int,
    max_size: int,
) -> None:
    items = [stored(seq, *captions[seq]) for seq in sorted(captions)]
    found = account(
        items, after_seq, last_seq, last_given_at_ms=last_given_at_ms, max_size=max_size
    )
    numbers = seqs(found)
    assert len(numbers) + found.missed == found.last_seq - after_seq
    assert found.missed >= 0
    assert numbers == sorted(set(numbers))
    assert set(numbers) <= {each.seq for each in items if each.stored_at_ms != EXPIRED_MS}
    assert all(after_seq < seq <= found.last_seq <= last_seq for seq in numbers)
    assert found.last_seq <= max(after_seq, last_seq)
    if found.has_more:
        assert numbers
    sizes = [len(each.caption.text) for each in found.items]
    assert len(sizes) <= 1 or sum(sizes) <= max_size
    assert len(numbers) <= KEPT_CAPTIONS


@given(CAPTIONS, st.integers(0, 260), st.integers(1, 2000))
def test_repeated_accounts_deliver_every_kept_caption_once(
    captions: dict[int, tuple[int, int]], last_seq: int, max_size: int
) -> None:
    items = [stored(seq, *captions[seq]) for seq in sorted(captions)]
    after_seq, numbers, missed = 0, [], 0
    while True:
        found = account(items, after_seq, last_seq, last_given_at_ms=0, max_size=max_size)
        numbers += seqs(found)
        missed += found.missed
        assert found.last_seq > after_seq or not found.has_more
        after_seq = found.last_seq
        if not found.has_more:
            break
    assert numbers == sorted(set(numbers))
    assert len(numbers) + missed == after_seq
    kept = [
        each.seq
        for each in items
        if first_kept(0, last_seq) < each.seq <= after_seq and each.stored_at_ms != EXPIRED_MS
    ]
    assert numbers == kept


@pytest.mark.parametrize(
    ("after_seq", "last_seq", "floor"), [(0, 0, 0), (0, 200, 0), (0, 201, 1), (150, 201, 150)]
)
def test_the_last_200_captions_can_be_kept(after_seq: int, last_seq: int, floor: int) -> None:
    assert first_kept(after_seq, last_seq) == floor
