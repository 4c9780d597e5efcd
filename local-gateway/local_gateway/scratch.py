"""Temporary folders, which the next start removes if their process was killed."""

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
"""The name of the file that the folder's process locks. The lock ends with the process."""


@contextmanager
def folder(prefix: str) -> Iterator[Path]:
    """Create a temporary folder that only this user can access, and remove it at the end.

    First removes folders with the same prefix that this user's terminated processes left behind.
    """
    parent = Path(tempfile.gettempdir())
    for path in parent.glob(f"{prefix}*"):
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
    """Remove a folder whose lock file isn't locked. Ignores folders without a lock file."""
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
