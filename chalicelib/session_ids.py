"""Words to ids, spoken ids to ids: `golden-eagle-427`, from the lists in words/.

Pure but for reading those lists, once each and never at import. What an id opens is not known
here, and an id is no secret: rate limits and invite codes stand between a guess and a session.
"""

import re
import secrets
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

LOWEST_NUMBER: Final = 100
HIGHEST_NUMBER: Final = 999
"""Three digits and no leading zero, which would get lost when a number is spoken.

With 171 adjectives and 174 nouns there are 26.8 million ids, 26.3 million of them not blocked.
"""

MAX_ID_CHARACTERS: Final = 64

MAX_DRAWS: Final = 100
"""Two ids in a hundred are blocked: so many in a row are broken lists, not bad luck."""

_ID: Final = re.compile(r"[a-z]+-[a-z]+-[0-9]{3}")
_SEPARATORS: Final = re.compile(r"[ _-]+")
_WORDS: Final = Path(__file__).with_name("words")
_SYSTEM_RANDOM: Final = secrets.SystemRandom()


def generate(random: Random = _SYSTEM_RANDOM) -> str:
    """Make an id, each that is not blocked as likely as any other.

    It may be in use already: whoever stores it finds out and asks for another.

    Raises: RuntimeError if the lists leave hardly any id that is not blocked.
    """
    for _ in range(MAX_DRAWS):
        adjective = random.choice(read_words("adjectives"))
        noun = random.choice(read_words("nouns"))
        session_id = f"{adjective}-{noun}-{random.randint(LOWEST_NUMBER, HIGHEST_NUMBER)}"
        if not is_blocked(session_id):
            return session_id
    raise RuntimeError(f"{MAX_DRAWS} session ids in a row were blocked; see {_WORDS}")


def parse(text: str) -> str | None:
    """Bring an id as it was heard or typed, `Golden Eagle 427`, into its one spelling.

    None if it cannot be one. Words outside the lists are let through: such an id is merely one
    that no session has, and lists may change while sessions last.
    """
    text = text.strip()
    if not text.isascii():  # before lower(), which turns the Kelvin sign into an ASCII k
        return None
    session_id = _SEPARATORS.sub("-", text).lower()
    if len(session_id) > MAX_ID_CHARACTERS or not _ID.fullmatch(session_id):
        return None
    return session_id


def is_blocked(session_id: str) -> bool:
    """Whether the id holds a blocked text, read with its hyphens or without."""
    readings = (session_id, session_id.replace("-", ""))
    return any(text in reading for text in read_words("blocklist") for reading in readings)


@cache
def read_words(list_name: str) -> tuple[str, ...]:
    """Read words/{list_name}.txt: a word a line, `#` begins a comment."""
    lines = (_WORDS / f"{list_name}.txt").read_text(encoding="ascii").splitlines()
    return tuple(word for line in lines if (word := line.partition("#")[0].strip()))
