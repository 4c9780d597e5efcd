"""Temporary folders, which the next start removes if their process was killed."""

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

LOCK: Final = ".lock"
"""The name of the file that the folder's process locks. The lock ends with the process."""

LOCK_SECONDS: Final = 3600
"""Age at which a folder without a lock file is abandoned. A process locks its folder at once."""

_NAME_LENGTH: Final = 8
"""The number of characters that mkdtemp adds to the prefix."""


@contextmanager
def folder(prefix: str) -> Iterator[Path]:
    """Create a temporary folder that only this user can access, and remove it at the end.

    First removes folders with the same prefix that this user's terminated processes left behind.
    """
    parent = Path(tempfile.gettempdir())
    for path in parent.glob(f"{prefix}{'?' * _NAME_LENGTH}"):
        _remove_if_abandoned(path)
    path = Path(tempfile.mkdtemp(prefix=prefix))
    lock = _lock(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _lock(path: Path) -> int:
    """Lock the folder. The file gets its final name only after it is locked."""
    new_file = path / f"{LOCK}.new"
    descriptor = os.open(new_file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    new_file.rename(path / LOCK)
    return descriptor


def _remove_if_abandoned(path: Path) -> None:
    """Remove a folder whose lock file isn't locked, or an old one without a lock file.

    A process leaves a folder without a lock file if it is killed before it has locked it.
    """
    with suppress(OSError):
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            return
        try:
            descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            is_private = not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
            if is_private and time.time() - status.st_mtime > LOCK_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)
