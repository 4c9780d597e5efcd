"""The facts about AWS's WebSocket APIs, each with the test that checks it."""

import hashlib
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from conformance.targets.base import PROBE

Confidence = Literal["documented", "documented for REST APIs", "reported", "inferred"]
"""How the fact is known: from AWS's documentation, from users, or from other facts."""

SHARED: Final = (
    PROBE / "app.py",
    Path(__file__).with_name("variant.py"),
    Path(__file__).parent / "checks" / "conftest.py",
)
"""The files that every check uses."""

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
        """The check's version: a hash of all that it is made of.

        This is its code, the functions and values of its module that it names, directly or in
        another function, and the files of `SHARED`.
        """
        parts = [*(it.read_text() for it in SHARED), *_sources(self.check, set())]
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


def _sources(function: Callable[..., Any], seen: set[str]) -> Iterator[str]:
    """Yield a function's code without its decorators, and that of its module's names in it.

    Args:
        function: The function.
        seen: The names that have been yielded. This function adds its own.
    """
    source = f"\n{inspect.getsource(function)}"
    code = source[source.index("\ndef ") :]
    yield code
    seen.add(function.__name__)
    known = vars(sys.modules[function.__module__])
    for name in sorted(set(re.findall(r"\w+", code)) & known.keys()):
        if name in seen:
            continue
        seen.add(name)
        value = known[name]
        if inspect.isfunction(value) and value.__module__ == function.__module__:
            yield from _sources(value, seen)
        elif not (inspect.isroutine(value) or inspect.isclass(value) or inspect.ismodule(value)):
            yield f"{name} = {value!r}"
