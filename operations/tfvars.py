"""Reads the few values of a Terraform variables file that are checked before Terraform runs."""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Final

_HEREDOC: Final = re.compile(r"<<-?(\w+)\n.*?^\s*\1$", re.DOTALL | re.MULTILINE)
_STRING_OR_COMMENT: Final = re.compile(r'"(?:\\.|[^"\\])*"|(?:#|//)[^\n]*|/\*.*?\*/', re.DOTALL)
_NESTED: Final = re.compile(r"\{[^{}]*\}|\[[^][]*\]|\([^()]*\)")
_ASSIGNMENT: Final = re.compile(r"^\s*([A-Za-z_][\w-]*)\s*=(?!=)", re.MULTILINE)
_DECLARATION: Final = re.compile(r'^\s*variable\s+"([^"]+)"', re.MULTILINE)


def assigned_names(text: str) -> list[str]:
    """List the variables that a file sets, without the names nested in their values."""
    text = _HEREDOC.sub('""', text)
    text = _STRING_OR_COMMENT.sub(lambda found: '""' if found[0][0] == '"' else "", text)
    while _NESTED.search(text):
        text = _NESTED.sub('""', text)
    return _ASSIGNMENT.findall(text)


def declared_names(folder: Path) -> set[str]:
    """Return the variables that the configuration in a folder declares."""
    files = folder.glob("*.tf")
    return {name for file in files for name in _DECLARATION.findall(file.read_text())}


def find_string(text: str, name: str) -> str | None:
    """Return the string that a file sets a variable to, or None if it doesn't set it."""
    found = re.search(rf'^\s*{name}\s*=\s*"([^"]*)"', text, re.MULTILINE)
    return found[1] if found else None


def find_unknown(text: str, folder: Path) -> str | None:
    """Describe the first variable that a file sets but the stack doesn't declare.

    Args:
        text: The text of the variables file.
        folder: The folder of the configuration.

    Returns:
        The variable's name with a hint, or None if all variables are declared.
    """
    declared = declared_names(folder)
    for name in assigned_names(text):
        if name not in declared:
            similar = get_close_matches(name, declared, 1)
            hint = f"; did you mean {similar[0]}?" if similar else ""
            return f"{name}, which the stack doesn't declare{hint}"
    return None
