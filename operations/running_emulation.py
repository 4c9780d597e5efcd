"""The file in which a running `make emulate` publishes its addresses, for STAGE=local.

The process that runs the emulation keeps its file locked, so the file of a killed process doesn't
count as a running emulation.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

STAGE: Final = "local"
"""The stage of an emulation. It can't be deployed to a real account."""

FILE: Final = Path(__file__).parent.parent / "build" / "emulate.json"


class EmulationError(Exception):
    """No emulation is running in this folder, or one already is."""


@dataclass(frozen=True, slots=True)
class RunningEmulation:
    """The environment variables that reach an emulation, and the outputs of its stack."""

    environment: Mapping[str, str]
    outputs: Mapping[str, Any]


@contextmanager
def claim() -> Iterator[IO[str]]:
    """Lock the file for an emulation of this process, and remove it at the end.

    Raises:
        EmulationError: Another process runs an emulation in this folder.
    """
    FILE.parent.mkdir(exist_ok=True)
    with FILE.open("a") as claimed:
        try:
            fcntl.flock(claimed, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EmulationError("an emulation is already running in this folder") from None
        claimed.truncate(0)
        try:
            yield claimed
        finally:
            FILE.unlink(missing_ok=True)


def announce(claimed: IO[str], running: RunningEmulation) -> None:
    """Write the addresses of an emulation that is ready."""
    claimed.write(json.dumps(asdict(running)))
    claimed.flush()


def get() -> RunningEmulation:
    """Return the emulation that runs in this folder.

    Raises:
        EmulationError: None is running, or it isn't ready.
    """
    if not FILE.exists():
        raise EmulationError("no emulation is running; start one: make emulate")
    with FILE.open() as found:
        try:
            fcntl.flock(found, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = found.read()
        else:
            raise EmulationError("no emulation is running; start one: make emulate")
    if not text:
        raise EmulationError("the emulation is still starting; wait until it prints its URL")
    return RunningEmulation(**json.loads(text))


def find_unless_another_is_named() -> RunningEmulation | None:
    """Return the emulation of this folder, or None if AWS_ENDPOINT_URL names another emulator.

    Raises:
        EmulationError: None is running, and AWS_ENDPOINT_URL names no other.
    """
    named = os.environ.get("AWS_ENDPOINT_URL")
    try:
        running = get()
    except EmulationError:
        if named:
            return None
        raise
    return running if named in (None, "", running.environment["AWS_ENDPOINT_URL"]) else None
