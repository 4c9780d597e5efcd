"""Word lists whose IDs a listener can write down after hearing them once."""

import re
from collections.abc import Callable
from itertools import combinations

import jellyfish
import pytest

from chalicelib import session_ids

ADJECTIVES = session_ids.read_words("adjectives")
NOUNS = session_ids.read_words("nouns")
BLOCKED_TEXTS = session_ids.read_words("blocklist")

MIN_ADJECTIVES = 141
MIN_NOUNS = 138
MAX_BLOCKED_SHARE = 0.02


def test_no_word_is_blocked() -> None:
    assert [word for word in ADJECTIVES + NOUNS if session_ids.is_blocked(word)] == []


@pytest.mark.parametrize("code", [jellyfish.metaphone, jellyfish.nysiis])
def test_no_two_words_sound_alike(code: Callable[[str], str]) -> None:
    alike = [
        (one, other)
        for one, other in combinations(ADJECTIVES + NOUNS, 2)
        if code(one) == code(other)
    ]

    assert alike == []


def test_no_two_words_differ_by_one_letter() -> None:
    near = [
        (one, other)
        for one, other in combinations(ADJECTIVES + NOUNS, 2)
        if jellyfish.damerau_levenshtein_distance(one, other) <= 1
    ]

    assert near == []


def test_no_word_begins_another() -> None:
    begun = [
        (one, other)
        for one, other in combinations(sorted(ADJECTIVES + NOUNS), 2)
        if other.startswith(one)
    ]

    assert begun == []


@pytest.mark.parametrize("words", [ADJECTIVES, NOUNS, BLOCKED_TEXTS])
def test_each_list_is_sorted_without_duplicates(words: tuple[str, ...]) -> None:
    assert list(words) == sorted(set(words))


def test_words_have_three_to_ten_lower_case_letters() -> None:
    assert [word for word in ADJECTIVES + NOUNS if not re.fullmatch("[a-z]{3,10}", word)] == []


def test_blocked_texts_can_occur_in_an_id() -> None:
    possible = re.compile("[a-z]{3,}|[a-z]+-[a-z]+|[1-9][0-9]{2}")

    assert [text for text in BLOCKED_TEXTS if not possible.fullmatch(text)] == []


def test_no_word_is_in_both_lists() -> None:
    assert not set(ADJECTIVES) & set(NOUNS)


def test_there_are_enough_words() -> None:
    assert len(ADJECTIVES) >= MIN_ADJECTIVES
    assert len(NOUNS) >= MIN_NOUNS


def test_few_ids_are_blocked() -> None:
    pairs = [f"{adjective}-{noun}" for adjective in ADJECTIVES for noun in NOUNS]
    numbers = range(session_ids.LOWEST_NUMBER, session_ids.HIGHEST_NUMBER + 1)
    # No blocked text mixes letters and digits, so pairs and numbers are blocked independently.
    free_pairs = sum(not session_ids.is_blocked(pair) for pair in pairs)
    free_numbers = sum(not session_ids.is_blocked(str(number)) for number in numbers)
    blocked_share = 1 - free_pairs * free_numbers / (len(pairs) * len(numbers))

    assert blocked_share <= MAX_BLOCKED_SHARE
    assert free_pairs * free_numbers > 26_000_000


def test_the_protocols_example_can_be_generated() -> None:
    assert "golden" in ADJECTIVES
    assert "eagle" in NOUNS
    assert session_ids.parse("Golden Eagle 427") == "golden-eagle-427"
    assert not session_ids.is_blocked("golden-eagle-427")
