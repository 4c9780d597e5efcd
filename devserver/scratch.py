"""Temporary folders that the next start removes if their process was killed."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

LOCK: Final = ".lock"
"""A file that its process keeps locked; the system unlocks it when the process ends."""


@contextmanager
def folder(prefix: str) -> Iterator[Path]:
    """Make a temporary folder that only this user can enter, and remove it at the end.

    Folders with the same prefix that ended processes of this user have left are removed first.
    """
    parent = Path(tempfile.gettempdir())
    for path in parent.glob(f"{prefix}*"):
        _remove_if_left(path)
    path = Path(tempfile.mkdtemp(prefix=prefix))
    lock = _lock(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _lock(path: Path) -> int:
    """Lock the folder. The lock appears under its name only when it is held."""
    unnamed = path / f"{LOCK}.new"
    descriptor = os.open(unnamed, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    unnamed.rename(path / LOCK)
    return descriptor


def _remove_if_left(path: Path) -> None:
    """Remove a folder whose lock is free. Folders without a lock aren't from here."""
    with suppress(OSError):
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            return
        descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)
