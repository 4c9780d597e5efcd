"""Session IDs: generating, parsing and blocking."""

import importlib
import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import session_ids

SEPARATORS = st.text(alphabet=" _-", min_size=1, max_size=4)
SPACE = st.text(alphabet=" \t\n\u00a0", max_size=3)


class AlwaysTheSameNumber(Random):
    def __init__(self, number: int) -> None:
        super().__init__(1)
        self.number = number

    def randint(self, a: int, b: int) -> int:
        return self.number


@st.composite
def generated_ids(draw: st.DrawFn) -> str:
    return session_ids.generate(Random(draw(st.integers())))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-",
        "golden",
        "golden-eagle",
        "golden-427",
        "eagle-golden-eagle-427",
        "golden-eagle-42",
        "golden-eagle-4270",
        "golden-eagle-four",
        "goldeneagle427",
        "golden-eagle427",
        "golden eagle 4 2 7",
        "-golden-eagle-427",
        "golden-eagle-427-",
        "golden-eagle-427_",
        "golden.eagle.427",
        "golden\teagle\t427",
        "golden-eagle-427\x00",
        "g0lden-eagle-427",
        "golden-eagle-427?inviteCode=1",
    ],
)
def test_an_invalid_id_is_not_parsed(text: str) -> None:
    assert session_ids.parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "g\u00f6lden-eagle-427",
        "golden-eagle-\u0664\u0662\u0667",  # Arabic digits.
        "golden-eagle-\uff14\uff12\uff17",  # Full-width digits.
        "golden\u2013eagle\u2013427",  # En dashes.
        "golden\u00a0eagle\u00a0427",  # No-break spaces.
        "silver-oa\u212a-427",  # The Kelvin sign, whose lower case is an ASCII k.
        "golden-eagle-427\u200b",  # A zero-width space.
        "\U0001f985",
    ],
)
def test_letters_and_digits_outside_ascii_are_not_parsed(text: str) -> None:
    assert session_ids.parse(text) is None


def test_an_id_of_more_than_64_characters_is_not_parsed() -> None:
    longest = "golden-" + "e" * 53 + "-427"

    assert len(longest) == 64
    assert session_ids.parse(longest) == longest
    assert session_ids.parse(longest.replace("golden", "goldens")) is None


def test_a_long_run_of_separators_counts_as_one() -> None:
    assert session_ids.parse("golden" + " " * 100 + "eagle-427") == "golden-eagle-427"


@pytest.mark.parametrize(
    "text",
    [
        "golden-eagle-427",
        "Golden Eagle 427",
        "GOLDEN_EAGLE_427",
        "  golden-eagle-427\n",
        "golden - eagle - 427",
        "golden__eagle--427",
        "golden _-eagle 427",
    ],
)
def test_spoken_and_typed_spellings_give_the_same_id(text: str) -> None:
    assert session_ids.parse(text) == "golden-eagle-427"


def test_a_well_formed_id_of_unknown_words_is_parsed() -> None:
    assert session_ids.parse("no-suchword-001") == "no-suchword-001"


@given(text=st.text(max_size=128))
def test_a_parsed_id_is_canonical(text: str) -> None:
    session_id = session_ids.parse(text)

    if session_id is not None:
        assert re.fullmatch(r"[a-z]+-[a-z]+-[0-9]{3}", session_id)
        assert session_ids.parse(session_id) == session_id


@given(session_id=generated_ids())
def test_a_generated_id_is_canonical(session_id: str) -> None:
    assert session_ids.parse(session_id) == session_id


@given(
    session_id=generated_ids(),
    first=SEPARATORS,
    second=SEPARATORS,
    before=SPACE,
    after=SPACE,
    upper=st.integers(0, 2**session_ids.MAX_ID_CHARACTERS - 1),
)
def test_a_generated_id_is_recognized_in_any_spelling(
    session_id: str, first: str, second: str, before: str, after: str, upper: int
) -> None:
    adjective, noun, number = session_id.split("-")
    spoken = f"{adjective}{first}{noun}{second}{number}"
    spoken = "".join(c.upper() if upper >> n & 1 else c for n, c in enumerate(spoken))

    assert session_ids.parse(f"{before}{spoken}{after}") == session_id


@pytest.mark.parametrize(
    "session_id",
    [
        "golden-eagle-666",
        "golden-eagle-369",
        "golden-temple-427",  # A pair of words, with its hyphen.
        "alpine-grove-427",  # Across the two words.
        "damned-eagle-427",  # Within a word.
    ],
)
def test_an_id_that_contains_a_blocked_text_is_blocked(session_id: str) -> None:
    assert session_ids.is_blocked(session_id)


def test_an_ordinary_id_is_not_blocked() -> None:
    assert not session_ids.is_blocked("golden-eagle-427")


def test_generating_an_id_fails_when_every_draw_is_blocked() -> None:
    with pytest.raises(RuntimeError, match="100 session IDs in a row are blocked"):
        session_ids.generate(AlwaysTheSameNumber(666))


def test_generated_ids_use_every_word_and_number_and_nothing_blocked() -> None:
    random = Random(20261121)
    ids = [session_ids.generate(random) for _ in range(9_000)]
    adjectives, nouns, numbers = zip(*(session_id.split("-") for session_id in ids), strict=True)

    assert not any(map(session_ids.is_blocked, ids))
    assert set(adjectives) == set(session_ids.read_words("adjectives"))
    assert set(nouns) == set(session_ids.read_words("nouns"))
    allowed = {f"{number}" for number in range(100, 1000)} - set(
        session_ids.read_words("blocklist")
    )
    assert set(numbers) == allowed


def test_the_same_random_source_gives_the_same_ids() -> None:
    assert session_ids.generate(Random(7)) == session_ids.generate(Random(7))


def test_ids_differ_by_default() -> None:
    assert len({session_ids.generate() for _ in range(50)}) > 45


def test_each_list_is_read_once_and_not_at_import() -> None:
    importlib.reload(session_ids)
    assert session_ids.read_words.cache_info().misses == 0

    session_ids.generate()
    session_ids.generate()
    assert session_ids.read_words.cache_info().misses == 3
