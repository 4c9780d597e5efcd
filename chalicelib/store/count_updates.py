"""The update expressions that change a session's listener counts."""

import secrets
from collections.abc import Mapping
from typing import NamedTuple

from chalicelib.aws.dynamodb import Item
from chalicelib.models import Session
from chalicelib.store.items import ACTIVE, LANGUAGE_COUNT, QUIET, number


class Counted(NamedTuple):
    """The result of a write that changed counts.

    Attributes:
        session: The session after the write.
        token: Identifies the write among those that activate a language or claim a notice.
    """

    session: Session
    token: str

    @property
    def has_claimed_notice(self) -> bool:
        """Whether this write claimed the next notice of the status."""
        return self.session.status_due == self.token

    def has_activated(self, language: str) -> bool:
        """Return whether this write made a language active."""
        return self.session.active_tokens.get(language) == self.token


def new_count_token(now_seconds: float) -> str:
    """Return a token that tells the time of its write; see `token_time_ms`."""
    return f"{int(now_seconds * 1000)}-{secrets.token_hex(8)}"


def token_time_ms(token: str) -> int:
    """Return the time of the write that a token identifies, in Unix milliseconds."""
    return int(token.partition("-")[0])


class CountUpdate:
    """An update of counts, with the marks of demand that depend on them.

    A language with a new listener becomes active, and is not quiet any more. Any change of a count
    claims the next notice of the status, unless another write has claimed it.
    """

    def __init__(self, token: str, languages: Mapping[str, int], total: int = 0) -> None:
        """Add numbers to the counts.

        Args:
            token: Identifies the write.
            languages: The numbers to add, by target language.
            total: The number to add to the count of all listeners.
        """
        self.token = token
        self._sets: list[str] = []
        self._removes: list[str] = []
        self._adds = ["changes :one"]
        self.names: dict[str, str] = {}
        self.values: Item = {":one": number(1)}
        if total:
            self._adds.append("listenerCount :total")
            self.values[":total"] = number(total)
        for key, (language, count) in enumerate(languages.items()):
            self._adds.append(f"#language{key} :number{key}")
            self.names[f"#language{key}"] = LANGUAGE_COUNT + language
            self.values[f":number{key}"] = number(count)
            if count > 0:
                self.activate(language)
        if total or languages:
            self.set("statusDue = if_not_exists(statusDue, :token)", {":token": {"S": token}})

    def activate(self, language: str) -> None:
        """Make a language active that has a listener."""
        active, quiet = f"#active{len(self._removes)}", f"#quiet{len(self._removes)}"
        self.set(f"{active} = if_not_exists({active}, :token)", {":token": {"S": self.token}})
        self._removes.append(quiet)
        self.names |= {active: ACTIVE + language, quiet: QUIET + language}

    def set(self, assignment: str, values: Item) -> None:
        """Add an assignment of an attribute."""
        self._sets.append(assignment)
        self.values |= values

    def add(self, addition: str) -> None:
        """Add an addition to an attribute, whose values the update already has."""
        self._adds.append(addition)

    @property
    def expression(self) -> str:
        """The update expression."""
        clauses = {"SET": self._sets, "REMOVE": self._removes, "ADD": self._adds}
        return " ".join(f"{name} {', '.join(parts)}" for name, parts in clauses.items() if parts)
