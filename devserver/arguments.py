"""Command-line arguments: their types, and a parser that refuses a bad one in one line."""

import argparse
import math
import os
from typing import Final, NoReturn

MAX_PORT: Final = 65_535

CALLED_AS: Final = "CALLED_AS"
"""The environment variable with the command that you typed, where that isn't this program."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line; `--help` shows the usage."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2, as argparse does. The line begins with the command that you typed."""
        self.exit(2, f"{os.environ.get(CALLED_AS) or self.prog}: {message}\n")


def port(text: str) -> int:
    """Return a TCP port. Raises: ArgumentTypeError."""
    if not (text.isascii() and text.isdigit()) or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to {MAX_PORT}, not {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Return a duration. Raises: ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number greater than 0, not {text!r}")
    return value
