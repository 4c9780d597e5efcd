"""Session IDs such as `golden-eagle-427`, built from the word lists in words/.

The lists are read on first use. An ID is not a secret: rate limits and invite codes protect a
session against guessing.
"""

import re
import secrets
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

LOWEST_NUMBER: Final = 100
"""Numbers have no leading zero, which is easily lost when a number is spoken."""

HIGHEST_NUMBER: Final = 999
"""171 adjectives, 174 nouns and 900 numbers make 26.8 million IDs. 26.3 million are not blocked."""

MAX_ID_CHARACTERS: Final = 64
"""Longest accepted ID."""

MAX_DRAWS: Final = 100
"""Draws before generate() gives up.

Two in a hundred IDs are blocked, so a hundred blocked draws in a row mean that a list is wrong.
"""

_ID: Final = re.compile(r"[a-z]+-[a-z]+-[0-9]{3}")
_SEPARATORS: Final = re.compile(r"[ _-]+")
_WORDS: Final = Path(__file__).with_name("words")
_SYSTEM_RANDOM: Final = secrets.SystemRandom()


def generate(random: Random = _SYSTEM_RANDOM) -> str:
    """Generate an ID. All IDs that are not blocked are equally likely.

    The ID may already be in use. The caller detects that when it stores the ID, and generates
    another.

    Args:
        random: The source of randomness.

    Raises:
        RuntimeError: The word lists block nearly all IDs.
    """
    for _ in range(MAX_DRAWS):
        adjective = random.choice(read_words("adjectives"))
        noun = random.choice(read_words("nouns"))
        session_id = f"{adjective}-{noun}-{random.randint(LOWEST_NUMBER, HIGHEST_NUMBER)}"
        if not is_blocked(session_id):
            return session_id
    raise RuntimeError(f"{MAX_DRAWS} session IDs in a row are blocked; check {_WORDS}")


def parse(text: str) -> str | None:
    """Convert an ID that was heard or typed, such as `Golden Eagle 427`, to its canonical form.

    The words need not be in the lists. The lists may change while sessions exist, and no session
    has an ID with unknown words.

    Args:
        text: The ID in any case, with spaces, hyphens or underscores.

    Returns:
        The canonical ID, or None if the text cannot be one.
    """
    text = text.strip()
    if not text.isascii():  # Before lower(), which turns the Kelvin sign into an ASCII k.
        return None
    session_id = _SEPARATORS.sub("-", text).lower()
    if len(session_id) > MAX_ID_CHARACTERS or not _ID.fullmatch(session_id):
        return None
    return session_id


def is_blocked(session_id: str) -> bool:
    """Return whether the ID contains a blocked text, with or without its hyphens."""
    readings = (session_id, session_id.replace("-", ""))
    return any(text in reading for text in read_words("blocklist") for reading in readings)


@cache
def read_words(list_name: str) -> tuple[str, ...]:
    """Read words/{list_name}.txt, which has one word per line and `#` comments."""
    lines = (_WORDS / f"{list_name}.txt").read_text(encoding="ascii").splitlines()
    return tuple(word for line in lines if (word := line.partition("#")[0].strip()))
