"""Asks you to confirm a change, at the terminal or by an option."""

import sys
from typing import Final

GUARDED_STAGES: Final = ("prod",)
"""The stages where a "yes" is not enough: you confirm a change by typing a name."""


class ConsentError(Exception):
    """The change was not confirmed, and nothing has changed."""


def check_name(name: str, confirmed: str | None) -> None:
    """Check that the option `--confirm`, if given, names what changes.

    Raises:
        ConsentError: It names something else.
    """
    if confirmed not in (None, name):
        raise ConsentError(f"{confirmed!r} was confirmed, not {name}; add --confirm {name}")


def check_terminal(action: str, command: str, name: str) -> None:
    """Check that there is a terminal to ask at.

    Args:
        action: The change, as a verb.
        command: The make command for the change.
        name: What changes, for the message.

    Raises:
        ConsentError: Standard input is no terminal.
    """
    if not is_terminal():
        raise ConsentError(
            f"there is no terminal to confirm at; to {action} {name}, add --confirm {name} "
            f"({command} CONFIRM={name})"
        )


def ask(question: str, wanted: str) -> None:
    """Ask at the terminal. The end of the input counts as a no.

    Raises:
        ConsentError: The answer is not the one that confirms.
    """
    try:
        answer = input(f"{question} ({wanted}) ")
    except EOFError:
        answer = ""
    if answer != wanted:
        raise ConsentError("not confirmed; nothing was changed")


def is_terminal() -> bool:
    """Return whether standard input is a terminal."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
