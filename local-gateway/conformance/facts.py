"""The facts about AWS's WebSocket APIs, each with the test that checks it."""

import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

Confidence = Literal["documented", "documented for REST APIs", "reported", "inferred"]
"""How the fact is known: from AWS's documentation, from users, or from other facts."""

_Test = TypeVar("_Test", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Fact:
    """What AWS does.

    Attributes:
        number: The fact's number. A letter distinguishes parts of a fact, and the numbers of facts
            about an emulator's deviations start with "T".
        statement: What AWS does, in one sentence.
        source: Where it is documented or reported, in the abbreviations of the matrix.
        confidence: How it is known.
    """

    number: str
    statement: str
    source: str
    confidence: Confidence

    @property
    def order(self) -> tuple[bool, int, str]:
        """The fact's place in the matrix."""
        found = re.fullmatch(r"(T?)(\d+)([a-z]?)", self.number)
        assert found is not None, self.number
        return bool(found[1]), int(found[2]), found[3]


FACTS: Final[dict[str, Fact]] = {}
"""The facts by number. `load_facts` fills it."""


def fact(
    number: str, statement: str, *, source: str, confidence: Confidence
) -> Callable[[_Test], _Test]:
    """Mark a test as the check of a fact."""
    assert number not in FACTS, f"fact {number} has two tests"
    FACTS[number] = known = Fact(number, statement, source, confidence)

    def mark(test: _Test) -> _Test:
        test.fact = known  # type: ignore[attr-defined]
        return test

    return mark


def load_facts() -> list[Fact]:
    """Import the checks, and return their facts in the matrix's order."""
    checks = importlib.import_module("conformance.checks")
    for module in pkgutil.iter_modules(checks.__path__):
        importlib.import_module(f"conformance.checks.{module.name}")
    return sorted(FACTS.values(), key=lambda it: it.order)
