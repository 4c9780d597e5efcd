"""Parsing of command-line arguments, with error messages of one line."""

import argparse
import math
import os
from typing import Final, NoReturn

MAX_PORT: Final = 65_535

CALLED_AS: Final = "CALLED_AS"
"""The environment variable with the command that the user typed, if it isn't this program."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose error messages have one line. `--help` shows the usage."""

    def error(self, message: str) -> NoReturn:
        """Print the message after the command that the user typed, and exit with status 2."""
        self.exit(2, f"{os.environ.get(CALLED_AS) or self.prog}: {message}\n")


def port(text: str) -> int:
    """Parse a TCP port.

    Raises:
        ArgumentTypeError: The text isn't a number from 0 to MAX_PORT.
    """
    if not (text.isascii() and text.isdigit()) or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to {MAX_PORT}, not {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Parse a duration in seconds.

    Raises:
        ArgumentTypeError: The text isn't a number greater than 0.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number greater than 0, not {text!r}")
    return value
