"""Parsing of command-line arguments, with error messages of one line."""

import argparse
import math
import os
import re
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


def host(text: str) -> str:
    """Check a host. An empty name would listen on all addresses.

    Raises:
        ArgumentTypeError: The text is empty.
    """
    if not text:
        raise argparse.ArgumentTypeError("must be an address or a name, not ''")
    return text


def stage(text: str) -> str:
    """Check a stage's name. Source: CreateStage, StageName.

    Raises:
        ArgumentTypeError: API Gateway doesn't allow the name.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", text):
        raise argparse.ArgumentTypeError(
            f"must be 1 to 128 letters, digits, hyphens and underscores, not {text!r}"
        )
    return text


def header_name(text: str) -> str:
    """Check the name of an HTTP header. Source: RFC 9110, section 5.6.2, token.

    Raises:
        ArgumentTypeError: The text isn't a token.
    """
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", text):
        raise argparse.ArgumentTypeError(f"must be the name of a header, not {text!r}")
    return text
