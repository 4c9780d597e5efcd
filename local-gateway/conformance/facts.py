"""The facts about AWS's WebSocket APIs, each with the test that checks it."""

import hashlib
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from conformance.targets.base import PROBE

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
        check: The test.
    """

    number: str
    statement: str
    source: str
    confidence: Confidence
    check: Callable[..., Any]

    @property
    def order(self) -> tuple[bool, int, str]:
        """The fact's place in the matrix."""
        found = re.fullmatch(r"(T?)(\d+)([a-z]?)", self.number)
        assert found is not None, self.number
        return bool(found[1]), int(found[2]), found[3]

    @property
    def version(self) -> str:
        """The check's version: a hash of its code, its module's helpers, and the probe."""
        parts = [PROBE.joinpath("app.py").read_text(), *_sources(self.check)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


FACTS: Final[dict[str, Fact]] = {}
"""The facts by number. `load_facts` fills it."""


def fact(
    number: str, statement: str, *, source: str, confidence: Confidence
) -> Callable[[_Test], _Test]:
    """Mark a test as the check of a fact."""
    assert number not in FACTS, f"fact {number} has two tests"

    def mark(test: _Test) -> _Test:
        FACTS[number] = Fact(number, statement, source, confidence, test)
        test.fact = FACTS[number]  # type: ignore[attr-defined]
        return test

    return mark


def load_facts() -> list[Fact]:
    """Import the checks, and return their facts in the matrix's order."""
    checks = importlib.import_module("conformance.checks")
    for module in pkgutil.iter_modules(checks.__path__):
        importlib.import_module(f"conformance.checks.{module.name}")
    return sorted(FACTS.values(), key=lambda it: it.order)


def _sources(function: Callable[..., Any]) -> Iterator[str]:
    """Yield a function's code without its decorators, and its module's functions and constants."""
    source = f"\n{inspect.getsource(function)}"
    code = source[source.index("\ndef ") :]
    yield code
    known = vars(sys.modules[function.__module__])
    for name in sorted(set(re.findall(r"\w+", code)) & known.keys() - {function.__name__}):
        value = known[name]
        if isinstance(value, str | int):
            yield f"{name} = {value!r}"
        elif inspect.isfunction(value) and value.__module__ == function.__module__:
            yield from _sources(value)
