"""Which of a listener's missed captions one answer to `getCaptions` accounts for."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from chalicelib.store.captions import KEPT_CAPTIONS, StoredCaption

SETTLED_SECONDS: Final = 10
"""A caption with a number is stored within this time, or never.

The write follows the one that gives the number, and lasts 9 s at most; see aws.retries.
"""


class Account(NamedTuple):
    """The captions after a number: each is an item or missed.

    Attributes:
        items: The captions that are kept, in order.
        last_seq: The number of the last caption that is an item or missed.
        missed: How many are missed.
        has_more: Whether more would exceed the size of an answer.
    """

    items: Sequence[StoredCaption]
    last_seq: int
    missed: int
    has_more: bool


def account_for(
    stored: Iterable[StoredCaption],
    after_seq: int,
    last_seq: int,
    *,
    kept_since_ms: int,
    settled_before_ms: int,
    last_given_at_ms: int,
    size: Callable[[StoredCaption], int],
    max_size: int,
) -> Account:
    """Account for the captions from one number to another.

    A number without a stored caption belongs to one that is on its way, or is lost for good. It
    counts as missed if a later number was given long enough ago. Otherwise the account ends before
    it.

    Args:
        stored: The stored captions after `first_kept(after_seq, last_seq)`, in order.
        after_seq: The number of the last caption that the listener has.
        last_seq: The last number that was given.
        kept_since_ms: Captions that were stored earlier are no longer kept.
        settled_before_ms: A caption whose number was given before this time is stored, or never
            will be.
        last_given_at_ms: When the last number was given.
        size: Returns the size of a caption in an answer.
        max_size: The sum of sizes that an answer can have.
    """
    items: list[StoredCaption] = []
    done = first_kept(after_seq, last_seq)
    room = max_size
    for each in stored:
        if each.seq > last_seq:
            break
        if each.seq > done + 1 and each.stored_at_ms >= settled_before_ms:
            return _account(items, after_seq, done)
        if each.stored_at_ms >= kept_since_ms:
            room -= size(each)
            if room < 0 and items:
                return _account(items, after_seq, each.seq - 1, has_more=True)
            items.append(each)
        done = each.seq
        if done == last_seq:
            break  # The next item would be read in vain.
    if done < last_seq and last_given_at_ms < settled_before_ms:
        done = last_seq
    return _account(items, after_seq, done)


def first_kept(after_seq: int, last_seq: int) -> int:
    """Return the number after which captions can be kept."""
    return max(after_seq, last_seq - KEPT_CAPTIONS)


def _account(
    items: Sequence[StoredCaption], after_seq: int, last_seq: int, *, has_more: bool = False
) -> Account:
    return Account(items, last_seq, last_seq - after_seq - len(items), has_more)
